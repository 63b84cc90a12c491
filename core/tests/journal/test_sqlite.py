"""What the SQLite store promises beyond the contract: durability, group commit, readers, bad days."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from crossdock.journal.base import (
    Checkpoint,
    ConnectionState,
    JournalError,
    JournalFull,
    LeaseLost,
    NewEvent,
    NewRun,
    RunUpdate,
)
from crossdock.journal.opening import database_path, open_journal
from crossdock.journal.sqlite import SqliteJournal
from crossdock.journal.statements import load
from crossdock.journal.store import read_pragmas

CANARY = "canary-5f0e1b"


@pytest.fixture
async def sqlite(sqlite_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal(
        sqlite_path, redact=lambda text: text.replace(CANARY, "[redacted]"), busy=timedelta(milliseconds=200)
    )
    async with journal:
        await journal.store_plan("p", "f", {})
        yield journal


def arrival(number: int, **data: Any) -> tuple[NewEvent, list[NewRun]]:
    event = NewEvent(f"e{number}", "deal.won", str(number), data)
    return event, [NewRun(f"r{number}", "f", str(number), "p")]


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def modes_in(folder: Path) -> set[int]:
    return {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


def bytes_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def integrity(path: Path) -> str:
    with sqlite3.connect(path) as db:
        found = str(db.execute("PRAGMA integrity_check").fetchone()[0])
    db.close()
    return found


@contextmanager
def writing_process(path: Path) -> Iterator[Callable[[], None]]:
    """Another process with a write transaction open on the database; call it to end that."""
    script = textwrap.dedent("""
        import sqlite3, sys
        db = sqlite3.connect(sys.argv[1], isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO meta VALUES ('theirs', x'00')")
        print("locked", flush=True)
        sys.stdin.readline()
        db.execute("COMMIT")
        print("done", flush=True)
    """)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script, path], stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdin
        assert child.stdout
        assert child.stdout.readline() == "locked\n"

        def finish() -> None:
            assert child.stdin
            assert child.stdout
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline() == "done\n"

        yield finish
        child.kill()


async def test_every_connection_has_the_settings_that_durability_rests_on(sqlite: Any) -> None:
    assert len(sqlite._stores) == 2
    for store in sqlite._stores:
        pragmas = await store.perform(read_pragmas)
        assert (pragmas["journal_mode"], pragmas["synchronous"], pragmas["foreign_keys"]) == ("wal", 2, 1)
        # Who writes waits by looking often; see `begin`.
        assert pragmas["busy_timeout"] == (0 if store is sqlite._stores[0] else 200)


async def test_the_reader_cannot_write(sqlite: Any) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await sqlite._reader.perform(lambda db: db.execute("DELETE FROM runs"))


async def test_the_files_are_for_their_owner_only(sqlite: Any, sqlite_path: Path) -> None:
    await sqlite.accept("crm", [arrival(1)])
    assert names_in(sqlite_path.parent) == ["crossdock.db", "crossdock.db-shm", "crossdock.db-wal"]
    assert modes_in(sqlite_path.parent) == {0o600}


async def test_what_gathers_is_committed_together(sqlite: Any) -> None:
    before = sqlite.commits
    await asyncio.gather(*(sqlite.accept("crm", [arrival(i)]) for i in range(200)))
    assert sqlite.commits - before <= 3
    assert sum((await sqlite.counts())["f"].values()) == 200


async def test_deliveries_that_gather_are_stored_by_few_statements(sqlite: Any) -> None:
    said: list[str] = []
    await sqlite._stores[0].perform(lambda db: db.set_trace_callback(said.append))
    accepted = await asyncio.gather(*(sqlite.accept("crm", [arrival(i)]) for i in range(100)))
    await sqlite._stores[0].perform(lambda db: db.set_trace_callback(None))
    assert [a.runs for a in accepted] == [(f"r{i}",) for i in range(100)]
    # A statement is told of again for each trigger that it sets off.
    assert len({sql for sql in said if sql.startswith(("INSERT INTO events", "INSERT INTO runs"))}) <= 12


async def test_a_unit_that_fails_leaves_the_others_of_its_batch_alone(sqlite: Any) -> None:
    await sqlite.accept("crm", [arrival(0)])
    [claimed] = await sqlite.claim("me", 1, sqlite._now(), timedelta(seconds=30))
    await sqlite.release(claimed.claim, None)
    before = sqlite.commits
    bad = sqlite.checkpoint(claimed.claim, [], RunUpdate("dead"), None)
    good = [sqlite.accept("crm", [arrival(i)]) for i in (1, 2)]
    answers = await asyncio.gather(good[0], bad, good[1], return_exceptions=True)
    assert sqlite.commits == before + 1
    assert isinstance(answers[1], LeaseLost)
    assert {r.id for r in (await sqlite.runs()).items} == {"r0", "r1", "r2"}


async def test_a_commit_that_fails_fails_all_of_its_batch_and_the_journal_goes_on(sqlite: Any) -> None:
    def breaks_at_commit(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA defer_foreign_keys = ON")
        db.execute("INSERT INTO steps (run_no, seq, kind, phase, data, at) VALUES (99, 1, '', '', '', 0)")

    answers = await asyncio.gather(
        sqlite.accept("crm", [arrival(1)]),
        sqlite._writer.write(breaks_at_commit),
        sqlite.accept("crm", [arrival(2)]),
        return_exceptions=True,
    )
    assert [type(a) for a in answers] == [JournalError] * 3
    assert "FOREIGN KEY" in str(answers[0])
    assert (await sqlite.runs()).items == ()
    assert (await sqlite.accept("crm", [arrival(1)])).runs == ("r1",)


async def test_readers_see_only_what_is_committed_and_wait_for_nobody(sqlite: Any) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slow(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO connections (name, status, since, probe_at) VALUES ('books', 'paused', 0, 0)")
        inside.set()
        assert go_on.wait(20)

    writing = asyncio.create_task(sqlite._writer.write(slow))
    await asyncio.to_thread(inside.wait, 20)
    assert (await sqlite.connection_state("books")).status == "active"
    go_on.set()
    await writing
    assert (await sqlite.connection_state("books")).status == "paused"


async def test_a_reader_that_dawdles_does_not_hold_up_the_writer(sqlite: Any) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def dawdle(db: sqlite3.Connection) -> int:
        db.execute("BEGIN")
        first = db.execute("SELECT COUNT(*) FROM runs").fetchone()[0]
        inside.set()
        assert go_on.wait(20)
        second = db.execute("SELECT COUNT(*) FROM runs").fetchone()[0]
        db.execute("COMMIT")
        return int(first + second)

    reading = asyncio.create_task(sqlite._reader.perform(dawdle))
    await asyncio.to_thread(inside.wait, 20)
    await sqlite.accept("crm", [arrival(1)])
    go_on.set()
    assert await reading == 0
    assert len((await sqlite.runs()).items) == 1


async def test_a_full_disk_is_said_and_survived(sqlite: Any, sqlite_path: Path) -> None:
    writer = sqlite._stores[0]
    await sqlite.accept("crm", [arrival(0)])

    def limit(db: sqlite3.Connection, more: int) -> None:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + more}")

    await writer.perform(lambda db: limit(db, 2))
    big = [sqlite.accept("crm", [arrival(i, text="x" * 20_000)]) for i in (1, 2)]
    answers = await asyncio.gather(*big, return_exceptions=True)
    assert [type(a) for a in answers] == [JournalFull] * 2
    assert "free some space" in str(answers[0])
    assert [r.id for r in (await sqlite.runs()).items] == ["r0"]
    await writer.perform(lambda db: limit(db, 10_000))
    assert (await sqlite.accept("crm", [arrival(1, text="x" * 20_000)])).runs == ("r1",)
    assert integrity(sqlite_path) == "ok"


async def test_another_process_that_writes_is_waited_for(sqlite_path: Path) -> None:
    async with SqliteJournal(sqlite_path, redact=str) as journal:
        await journal.store_plan("p", "f", {})
        with writing_process(sqlite_path) as finish:
            accepting = asyncio.create_task(journal.accept("crm", [arrival(1)]))
            assert (await journal.runs()).items == ()
            assert not accepting.done()
            await asyncio.to_thread(finish)
            assert (await accepting).runs == ("r1",)


async def test_another_process_that_writes_for_too_long_is_an_error_and_no_more(sqlite: Any, sqlite_path: Path) -> None:
    with writing_process(sqlite_path) as finish:
        with pytest.raises(JournalError, match="another process kept the database locked"):
            await sqlite.accept("crm", [arrival(1)])
        finish()
    assert (await sqlite.accept("crm", [arrival(1)])).runs == ("r1",)


async def test_two_journals_on_one_file_share_the_work_and_double_nothing(sqlite_path: Path) -> None:
    one, two = (SqliteJournal(sqlite_path, redact=str) for _ in range(2))
    await asyncio.gather(one.open(), two.open())
    try:
        await one.store_plan("p", "f", {})
        deliveries = [j.accept("crm", [arrival(i)]) for i in range(60) for j in (one, two)]
        accepted = await asyncio.gather(*deliveries)
        assert sum(a.duplicates for a in accepted) == 60
        lease = timedelta(seconds=30)
        claims = [j.claim(name, 5, j._now(), lease) for _ in range(6) for j, name in ((one, "1"), (two, "2"))]
        got = [c.row.id for part in await asyncio.gather(*claims) for c in part]
        assert len(got) == len(set(got)) == 60
    finally:
        await asyncio.gather(one.close(), two.close())


async def test_a_caller_that_gives_up_leaves_all_or_nothing(sqlite: Any) -> None:
    for i in range(20):
        accepting = asyncio.create_task(sqlite.accept("crm", [arrival(i)]))
        for _ in range(i % 5):
            await asyncio.sleep(0)
        accepting.cancel()
        await asyncio.gather(accepting, return_exceptions=True)
    await sqlite.accept("crm", [arrival(100)])
    with_run = {run.event_seq for run in (await sqlite.runs()).items}
    events = [seq for seq in range(1, 40) if await sqlite.event(seq)]
    assert set(events) == with_run
    assert (await sqlite.run("r100")) is not None


async def test_closing_finishes_what_was_asked_for(sqlite_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossdock.journal.writer.LARGEST_BATCH", 3)
    journal = SqliteJournal(sqlite_path, redact=str)
    await journal.open()
    await journal.store_plan("p", "f", {})
    accepting = [asyncio.create_task(journal.accept("crm", [arrival(i)])) for i in range(20)]
    await asyncio.sleep(0)
    await journal.close()
    assert all([(await task).runs for task in accepting])
    async with SqliteJournal(sqlite_path, redact=str) as again:
        assert len((await again.runs()).items) == 20


KILLED = """
    import asyncio, sys
    from pathlib import Path
    from crossdock.journal.base import Checkpoint, NewEvent, NewRun, RunUpdate
    from crossdock.journal.sqlite import SqliteJournal, utc_now

    async def worker(journal, lane):
        from datetime import timedelta
        for i in range(10_000):
            name = f"{lane}-{i}"
            await journal.accept("crm", [(NewEvent(name, "t", name, {"x": "y" * 500}), [NewRun(name, "f", name, "p")])])
            print("run", name, flush=True)
            claimed = await journal.claim_run(name, "me", utc_now(), timedelta(seconds=30))
            steps = [Checkpoint("apply", "a", "done", {"n": n}, utc_now()) for n in range(3)]
            await journal.checkpoint(claimed.claim, steps, RunUpdate("succeeded", ended=True), None)
            print("end", name, flush=True)

    async def main():
        async with SqliteJournal(Path(sys.argv[1]), redact=str) as journal:
            await journal.store_plan("p", "f", {})
            await asyncio.gather(*(worker(journal, lane) for lane in range(16)))

    asyncio.run(main())
"""


def said_until_killed(path: Path, lines: int) -> list[list[str]]:
    """All that the child acknowledged; it is killed once it has said that many lines."""
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        said += child.stdout.readlines()
    assert child.returncode == -9
    return [line.split() for line in said if line.endswith("\n")]


@pytest.mark.parametrize("lines", [1, 37, 400])
async def test_what_was_acknowledged_survives_kill_9_in_the_middle_of_writing(sqlite_path: Path, lines: int) -> None:
    whole = await asyncio.to_thread(said_until_killed, sqlite_path, lines)
    assert len(whole) >= lines
    async with SqliteJournal(sqlite_path, redact=str) as journal:
        for word, name in whole:
            run = await journal.run(name)
            assert run is not None
            assert run.status == "succeeded" or word == "run"
        counted = {status: n for flow in (await journal.counts()).values() for status, n in flow.items()}
        with sqlite3.connect(sqlite_path) as db:
            halves = "SELECT COUNT(*) FROM runs WHERE step_count NOT IN (0, 3) OR step_count <> "
            count = "(SELECT COUNT(*) FROM steps WHERE run_no = runs.no)"
            assert db.execute(halves + count).fetchone() == (0,)
            assert db.execute("SELECT COUNT(*) FROM runs").fetchone() == (sum(counted.values()),)
        db.close()
    assert integrity(sqlite_path) == "ok"


async def test_no_secret_stands_in_the_files(sqlite: Any, sqlite_path: Path) -> None:
    secret = {"authorization": f"Bearer {CANARY}", CANARY: [{"deep": f"a{CANARY}b"}]}
    await sqlite.store_plan("h", "f", secret)
    await sqlite.accept("crm", [arrival(1, **secret)])
    [claimed] = await sqlite.claim("me", 1, sqlite._now(), timedelta(seconds=30))
    step = Checkpoint("apply", "a", "done", secret, sqlite._now())
    update = RunUpdate("held", error={"message": f"401 for {CANARY}"})
    await sqlite.checkpoint(claimed.claim, [step], update, None)
    now = sqlite._now()
    await sqlite.close_connection(ConnectionState("books", "paused", f"refused {CANARY}", now, now))
    await sqlite.put_alert("a", secret, sqlite._now())
    written = bytes_in(sqlite_path.parent)
    assert b"[redacted]" in written
    assert CANARY.encode() not in written
    assert (await sqlite.steps("r1"))[0].data["authorization"] == "Bearer [redacted]"


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ("UPDATE runs SET turn = 1 WHERE id = 'second'", "UNIQUE constraint failed: runs.flow, runs.key"),
        ("UPDATE runs SET status = 'queued' WHERE id = 'done'", "a run that has ended never changes"),
        ("UPDATE runs SET ended_at = 1 WHERE id = 'first'", "CHECK constraint failed"),
        ("INSERT INTO steps (run_no, seq, kind, phase, data, at) VALUES (99, 1, '', '', '', 0)", "FOREIGN KEY"),
    ],
)
async def test_the_database_itself_refuses_what_must_never_be(sqlite: Any, change: str, refusal: str) -> None:
    names = ("done", "first", "second")
    arrivals = [(NewEvent(name, "t", "k", {}), [NewRun(name, "f", "k", "p")]) for name in names]
    await sqlite.accept("crm", arrivals)
    [claimed] = await sqlite.claim("me", 5, sqlite._now(), timedelta(seconds=30))
    await sqlite.checkpoint(claimed.claim, [], RunUpdate("dead", ended=True), None)
    with pytest.raises(JournalError, match=refusal):
        await sqlite._writer.write(lambda db: db.execute(change).close())


async def test_a_claim_looks_only_at_runs_that_may_be_due(sqlite: Any) -> None:
    def plan(db: sqlite3.Connection) -> str:
        rows = db.execute("EXPLAIN QUERY PLAN " + load("runs")["select_ready"], {"now": 0, "limit": 1})
        return "; ".join(row["detail"] for row in rows)

    looked = "SEARCH runs USING INDEX runs_ready (ready_at<?)"
    paused = "LIST SUBQUERY 1; SEARCH pauses USING PRIMARY KEY (kind=?)"
    assert await sqlite._reader.perform(plan) == f"{looked}; {paused}"


def test_a_relative_and_an_absolute_url_name_a_file() -> None:
    assert database_path("sqlite:///crossdock.db") == Path("crossdock.db")
    assert database_path("sqlite:////var/lib/x.db") == Path("/var/lib/x.db")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://db/x", "SQLite only"),
        ("postgres://db/x", "SQLite only"),
        ("sqlite:///:memory:", "not a plain file"),
        ("sqlite:///x.db?mode=ro", "not a plain file"),
        ("sqlite://", "names no database"),
        ("sqlite:///", "names no database"),
        ("mysql://secret@db/x", "names no database"),
        ("", "names no database"),
    ],
)
def test_a_url_that_cannot_be_used_is_said_in_one_line(url: str, message: str) -> None:
    with pytest.raises(JournalError, match=message) as refused:
        open_journal(url, redact=str)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


async def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="No such file or directory; check the path"):
        await open_journal(f"sqlite:///{tmp_path}/nowhere/x.db", redact=str).open()


async def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("not a database, but long enough to look like one" * 100)
    with pytest.raises(JournalError, match="damaged"):
        await open_journal(f"sqlite:///{tmp_path}/x.db", redact=str).open()


async def test_a_path_with_odd_characters_is_one_file(tmp_path: Path) -> None:
    name = "a b?c#d%20é.db"
    async with SqliteJournal(tmp_path / name, redact=str) as journal:
        await journal.store_plan("p", "f", {})
        assert await journal.plan("p") == {}
    assert names_in(tmp_path) == [name]
