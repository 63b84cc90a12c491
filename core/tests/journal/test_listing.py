"""Lists of runs by filter, held against a filter in Python, and by which way the database finds them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from crossdock.journal.base import (
    InvalidCursor,
    NewEvent,
    NewRun,
    RunBrief,
    RunFilter,
    RunRow,
    RunUpdate,
    connection_wait,
)
from crossdock.journal.sqlite import SqliteJournal
from crossdock.journal.statements import load
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FLOWS, KEYS, CONNECTIONS, KINDS, LEGS = ("f", "g"), ("1", "2"), ("books", "crm"), ("rejected", "auth"), ("x", "y")
ENDINGS = ("succeeded", "dead", "rolled_back")
STATUSES = ("queued", "running", "waiting", "held", "in_doubt", *ENDINGS)
NEEDING = {"held", "in_doubt", "dead", "rolled_back"}

runs_strategy = st.lists(
    st.fixed_dictionaries(
        {
            "flow": st.sampled_from(FLOWS),
            "key": st.sampled_from((None, None, *KEYS)),
            "status": st.sampled_from(STATUSES),
            "connection": st.sampled_from((None, *CONNECTIONS)),
            "kind": st.sampled_from((None, *KINDS)),
            "leg": st.sampled_from((None, *LEGS)),
            "pause": st.integers(-2, 3),
            "replayed": st.booleans(),
        }
    ),
    max_size=12,
)


def maybe(values: tuple[str, ...]) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from((*values, "other"))


filters_strategy = st.fixed_dictionaries(
    {
        "flow": maybe(FLOWS),
        "statuses": st.lists(st.sampled_from((*STATUSES, "other")), max_size=3).map(tuple),
        "key": maybe(KEYS),
        "connection": maybe(CONNECTIONS),
        "error_kind": maybe(KINDS),
        "leg": maybe(LEGS),
        "needs_person": st.booleans(),
        "since": st.none() | st.integers(-3, 15),
        "until": st.none() | st.integers(-3, 15),
    }
)


async def happened(journal: Any, clock: Any, wanted: list[dict[str, Any]]) -> list[RunRow]:
    """The runs, made one after the other by a clock that is set back now and then; oldest number first."""
    names = []
    for number, run in enumerate(wanted):
        clock.advance(run["pause"])
        name = f"r{number}"
        names.append(name)
        # An unfinished run would keep later ones of its key from being performed.
        key = run["key"] if run["key"] and run["status"] in ENDINGS else f"of {name}"
        new = NewRun(name, run["flow"], key, "p")
        await journal.accept("crm", [(NewEvent(f"e{number}", "t", "s", {}), [new])])
        if run["status"] == "queued":
            continue
        claimed = await journal.claim_run(name, "me", clock(), timedelta(hours=1))
        if claimed is None:
            continue
        error = {"kind": run["kind"], "message": "m"} if run["kind"] else None
        ended = run["status"] in ENDINGS
        waits = connection_wait("crm") if run["status"] == "waiting" else None
        update = RunUpdate(
            run["status"],
            error=error,
            leg=run["leg"],
            stopped_connection=run["connection"] if error else "crm" if waits else None,
            waits_for=waits,
            ended=ended,
            release=True,
        )
        await journal.checkpoint(claimed.claim, [], update, None)
        if ended and run["replayed"]:
            names.append(f"{name}-again")
            await journal.add_run(NewRun(names[-1], run["flow"], new.key, "p", replay_of=name), claimed.event.seq)
    found = [await journal.run(name) for name in names]
    return [row for row in found if row is not None]


def fits(row: RunRow, wanted: RunFilter, replayed: set[str | None]) -> bool:
    needs = row.status in NEEDING and not (row.status in ENDINGS and row.id in replayed)
    stopped = row.error is not None or row.stopped_connection is not None or row.status in NEEDING
    return (
        (wanted.flow is None or row.flow == wanted.flow)
        and (not wanted.statuses or row.status in wanted.statuses)
        and (wanted.key is None or row.key == wanted.key)
        and (wanted.connection is None or row.stopped_connection == wanted.connection)
        and (wanted.error_kind is None or (row.error or {}).get("kind") == wanted.error_kind)
        and (wanted.leg is None or (stopped and row.leg == wanted.leg))
        and (not wanted.needs_person or needs)
        and (wanted.since is None or row.created_at >= wanted.since)
        and (wanted.until is None or row.created_at < wanted.until)
    )


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(wanted=runs_strategy, filters=st.lists(filters_strategy, min_size=1, max_size=6), limit=st.integers(1, 4))
async def test_a_list_is_what_a_filter_in_python_leaves(
    tmp_path_factory: Any, clock: Any, wanted: list[dict[str, Any]], filters: list[dict[str, Any]], limit: int
) -> None:
    begin = clock()
    async with SqliteJournal(tmp_path_factory.mktemp("x") / "x.db", redact=str, now=clock) as journal:
        await journal.store_plan("p", "f", {})
        rows = await happened(journal, clock, wanted)
        replayed = {row.replay_of for row in rows}
        order = {row.id: place for place, row in enumerate(rows)}
        newest = sorted(rows, key=lambda row: (row.created_at, order[row.id]), reverse=True)
        for one in filters:
            times = {
                name: None if one[name] is None else begin + timedelta(seconds=one[name]) for name in ("since", "until")
            }
            given_filter = RunFilter(**{**one, **times})
            expected = [row for row in newest if fits(row, given_filter, replayed)]
            assert await listed(journal, given_filter, limit) == [row.id for row in expected]
            briefs = (await journal.briefs(given_filter)).items
            assert briefs == tuple(RunBrief(row.id, row.status, row.needs_person, row.emptied_at) for row in expected)


async def listed(journal: Any, wanted: RunFilter, limit: int = 50) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = await journal.runs(wanted, limit=limit, cursor=cursor)
        found += [row.id for row in page.items]
        assert len(page.items) <= limit
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_a_cursor_is_bound_to_every_part_of_its_filter(world: Any) -> None:
    for key in ("a", "b", "c"):
        await world.accept(key)
    cursor = (await world.journal.runs(RunFilter(flow="f"), limit=1)).next_cursor
    others = [
        {"statuses": ("queued",)},
        {"key": "a"},
        {"connection": "books"},
        {"error_kind": "auth"},
        {"leg": "x"},
        {"since": world.clock()},
        {"until": world.clock()},
        {"replay_of": "r1"},
        {"root": "r1"},
        {"needs_person": True},
        {"text": "a"},
    ]
    for other in others:
        with pytest.raises(InvalidCursor):
            await world.journal.runs(RunFilter(flow="f", **other), limit=1, cursor=cursor)


async def test_a_dead_run_needs_a_person_until_it_is_replayed(world: Any) -> None:
    journal = world.journal
    run = await world.begin()
    await world.end(run, "dead", error={"kind": "rejected"}, leg="invoice", stopped_connection="books")
    needing, at_books = RunFilter(needs_person=True), RunFilter(connection="books", leg="invoice")
    assert await listed(journal, needing) == await listed(journal, at_books) == [run.row.id]
    await journal.add_run(NewRun("again", "f", "k", "p", replay_of=run.row.id), run.row.event_seq)
    assert await listed(journal, needing) == []
    assert await listed(journal, at_books) == [run.row.id]
    assert await listed(journal, RunFilter(replay_of=run.row.id)) == ["again"]
    assert await listed(journal, RunFilter(root=run.row.id)) == ["again", run.row.id]


async def test_a_page_is_merged_from_all_places_where_runs_stopped(world: Any) -> None:
    names = []
    for number in range(12):
        run = await world.begin(str(number))
        error = {"kind": KINDS[number % 2]}
        await world.end(run, "dead", error=error, leg=LEGS[number // 2 % 2], stopped_connection=CONNECTIONS[number % 2])
        names.insert(0, run.row.id)
        world.clock.advance(number % 3)
    for limit in (1, 2, 3, 50):
        assert await listed(world.journal, RunFilter(needs_person=True), limit) == names
    assert await listed(world.journal, RunFilter(connection="books"), 2) == names[1::2]


async def test_a_run_that_went_on_is_at_no_connection_any_more(world: Any) -> None:
    run = await world.begin()
    error = {"kind": "transient"}
    await world.write(run, "waiting", error=error, leg="invoice", stopped_connection="books")
    assert await listed(world.journal, RunFilter(error_kind="transient", connection="books")) == [run.row.id]
    await world.end(run)
    assert await listed(world.journal, RunFilter(error_kind="transient")) == []
    assert await listed(world.journal, RunFilter(connection="books")) == []


@pytest.mark.parametrize("text", ["\ud800", "a\0b", "x" * 100_000, "%", "'", '"', "💥"])
async def test_no_text_in_a_filter_does_harm(world: Any, text: str) -> None:
    await world.accept("k")
    names = ("flow", "key", "connection", "error_kind", "leg", "replay_of", "root", "text")
    for name in names:
        assert await listed(world.journal, RunFilter(**{name: text})) == []
    assert await listed(world.journal, RunFilter(statuses=(text,))) == []


async def test_no_list_reads_through_all_runs(world: Any, sqlite_path: Path) -> None:
    await world.journal.close()
    db = sqlite3.connect(sqlite_path)
    for name, sql in statements():
        values: Any = dict.fromkeys(re.findall(r":(\w+)", sql), 1) or [1] * sql.count("?")
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
        through = [line for line in plan if THROUGH.match(line) and line not in FINE]
        assert not through, f"{name}: {through}"
    db.close()


THROUGH = re.compile(
    r"SCAN (runs|r|events|steps|words|documents)\b"
    r"|SEARCH (runs|r) USING (INTEGER PRIMARY KEY|INDEX \w+) \((rowid|no)[<>]"
)
FINE = {
    # The index of those that need a person now, in order; it ends with the limit.
    "SCAN runs USING INDEX runs_needing",
}


def statements() -> Iterator[tuple[str, str]]:
    for room in ("listing", "figures", "index"):
        yield from load(room).items()
