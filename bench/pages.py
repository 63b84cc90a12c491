"""Whether a dashboard's reads are instant over a million runs.

    python bench/pages.py [--runs 1000000] [--rounds 50] [--flows 12] [--folder DIR] [--json]

A thousand runs are really performed and copied as in `growth.py` (their events and runs; the steps of a run are not
what lists read), but over several flows, and one in forty did not go well: rolled back, dead, held, in doubt, waiting,
at one of several connections with one of several kinds of error, some of them rare. Each has its words, and all are
counted by time. Every read is asked of the journal so many times, lists for 50 runs a page, and so is all that one
scrape of /metrics reads; a read is one piece of work in the journal's reading thread, so its time is what a request
has to wait. A million runs take 1.5 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).parent))

import fake_api
import growth
import uvloop
from crossdock.journal.base import RunFilter
from crossdock.journal.sqlite import SqliteJournal

PAGE = 50
N = "(no + :by)"
STATUS = f"""CASE WHEN {N} % 250007 = 7 THEN 'in_doubt' WHEN {N} % 1000 < 16 THEN 'rolled_back'
  WHEN {N} % 1000 < 22 THEN 'dead' WHEN {N} % 1000 = 22 THEN 'held' WHEN {N} % 1000 = 23 THEN 'waiting'
  WHEN {N} % 1000 < 26 THEN 'cancelled' ELSE 'succeeded' END"""
OPEN = f"{N} % 250007 = 7 OR {N} % 1000 IN (22, 23)"
TROUBLED = f"({N} % 250007 = 7 OR {N} % 1000 < 24)"
KIND = f"""CASE WHEN {N} % 333331 = 22 THEN 'void' ELSE
  json_extract('["rejected","transient","auth","discrepancy","not_found"]', '$[' || ({N} % 7919 % 5) || ']') END"""
ERROR = f"json_object('kind', {KIND}, 'message', 'books refused customer ' || {N} || ': no such tax code')"
COPIES = {
    "events": growth.COPIES["events"],
    "runs": growth.COPIES["runs"]
    | {
        "flow": f"CASE WHEN {N} % 3 THEN flow ELSE 'flow-' || ({N} % 7927 % :flows) END",
        "status": STATUS,
        "ended_at": f"CASE WHEN {OPEN} THEN NULL ELSE ended_at - :ago END",
        "turn": f"CASE WHEN {OPEN} THEN 1 ELSE 0 END",
        "error": f"CASE WHEN {TROUBLED} THEN {ERROR} END",
        "leg": f"""CASE WHEN {TROUBLED} THEN CASE WHEN {N} % 400009 < 5 THEN 'task' WHEN {N} % 7 THEN 'invoice'
                   ELSE 'customer' END END""",
        "stopped_connection": f"""CASE WHEN NOT {TROUBLED} THEN '' WHEN {N} % 400009 < 5 THEN 'board'
                                  WHEN {N} % 11 = 0 THEN 'crm' ELSE 'books' END""",
        "error_kind": f"CASE WHEN {TROUBLED} THEN {KIND} ELSE '' END",
        "stopped": TROUBLED,
        "needs_person": f"{N} % 250007 = 7 OR ({N} % 1000 BETWEEN 0 AND 22)",
        "waits_for": f"CASE WHEN {N} % 1000 = 23 THEN 'connection:books' END",
    },
}
DOCUMENT = """json_array(key, 'deal', 'customer', 'a' || key || '@example.test', 'a' || key, 'example', 'test', 'lane',
  'inv', 'inv-' || key, 'kick', 'off', CASE WHEN no % 199999 = 5 THEN 'zanzibar' ELSE 'roof' END,
  CASE WHEN no % 5 THEN 'blue' ELSE 'green' END, CASE WHEN error IS NULL THEN 'fine' ELSE 'refused' END)"""
Ask: TypeAlias = Callable[[], Awaitable[Any]]


def fill(path: Path, size: int, flows: int) -> None:
    """Copy the first runs until there are `size`, then give each its words and count it."""
    growth.fill(path, size, COPIES, {"flows": flows})
    db = sqlite3.connect(path, isolation_level=None)
    for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "temp_store = FILE"):
        db.execute(f"PRAGMA {setting}")
    triggers = [sql for (sql,) in db.execute("SELECT sql FROM sqlite_schema WHERE name = 'documents_insert'")]
    db.execute("BEGIN")
    for table in ("documents", "words", "endings"):
        db.execute(f"DELETE FROM {table}")
    db.execute("DROP TRIGGER documents_insert")
    db.execute(f"INSERT INTO documents SELECT no, {DOCUMENT} FROM runs ORDER BY no")
    db.execute("INSERT OR IGNORE INTO words SELECT value, run_no FROM documents, json_each(words) ORDER BY 1, 2")
    db.execute(triggers[0])
    db.execute(
        "INSERT INTO endings SELECT column1, ended_at - ended_at % (column1 * 1000000), flow, status, 200, COUNT(*)"
        " FROM (VALUES (60), (900), (86400)) JOIN runs WHERE ended_at IS NOT NULL GROUP BY 1, 2, 3, 4"
    )
    db.execute("UPDATE meta SET value = CAST((SELECT MAX(seq) FROM changes) AS BLOB) WHERE name = 'indexed'")
    db.execute("COMMIT")
    db.execute("PRAGMA journal_mode = WAL")
    db.close()


def reads(journal: SqliteJournal, size: int, at: datetime) -> dict[str, Ask]:
    """What is asked, by name. `at` is when the run in the middle was created."""
    wanted: dict[str, RunFilter] = {
        "all": RunFilter(),
        "flow": RunFilter(flow="flow-3"),
        "status": RunFilter(statuses=("succeeded",)),
        "two statuses": RunFilter(statuses=("dead", "held")),
        "rare status": RunFilter(statuses=("in_doubt",)),
        "no such status": RunFilter(statuses=("nothing",)),
        "flow, status": RunFilter(flow="flow-3", statuses=("dead",)),
        "connection": RunFilter(connection="books"),
        "rare connection": RunFilter(connection="board"),
        "no such connection": RunFilter(connection="nowhere"),
        "connection, status": RunFilter(connection="books", statuses=("dead",)),
        "rare connection, flow": RunFilter(connection="board", flow="flow-3"),
        "error": RunFilter(error_kind="auth"),
        "rare error": RunFilter(error_kind="void"),
        "leg": RunFilter(leg="invoice"),
        "rare leg": RunFilter(leg="task"),
        "needs person": RunFilter(needs_person=True),
        "needs person, flow": RunFilter(needs_person=True, flow="flow-5"),
        "five minutes": RunFilter(since=at, until=at + timedelta(minutes=5)),
        "five minutes, dead": RunFilter(since=at, until=at + timedelta(minutes=5), statuses=("dead",)),
        "a time without runs": RunFilter(until=at - timedelta(days=900)),
        "key": RunFilter(key=str(size // 2)),
        "no such key": RunFilter(key="nobody"),
        "text: key": RunFilter(text=str(size // 2)),
        "text: e-mail": RunFilter(text=f"a{size // 2}@example.test"),
        "text: number": RunFilter(text=f"INV-{size // 2}"),
        "text: beginning": RunFilter(text=f"inv-{size // 2}"[:-2]),
        "text: rare word": RunFilter(text="zanzibar"),
        "text: common word": RunFilter(text="customer"),
        "text: common and rare": RunFilter(text="customer zanzibar"),
        "text: two common": RunFilter(text="customer blue"),
        "text: common beginning": RunFilter(text="cust"),
        "text: no such word": RunFilter(text="qqqq"),
        "text: common, dead": RunFilter(text="customer", statuses=("dead",)),
        "text: common, in doubt (partial)": RunFilter(text="customer", statuses=("in_doubt",)),
    }
    asked: dict[str, Ask] = {name: partial(journal.runs, one, limit=PAGE) for name, one in wanted.items()}
    now = at + timedelta(hours=1)
    minute, quarter, day = timedelta(minutes=1), timedelta(minutes=15), timedelta(days=1)
    asked["overview"] = journal.overview
    asked["hour by minute"] = partial(journal.throughput, None, now - timedelta(hours=1), now, minute)
    asked["day by quarter"] = partial(journal.throughput, None, now - day, now, quarter)
    asked["month by day"] = partial(journal.throughput, None, now - 30 * day, now, day)
    asked["scrape of /metrics"] = partial(scrape, journal, now)
    return asked


async def scrape(journal: SqliteJournal, now: datetime) -> None:
    """All that the gauges of one scrape read, some of it twice as they do."""
    await journal.counts()
    await journal.overview(0)
    await journal.oldest_due(now)
    for read in (journal.condition.undelivered, journal.polls.all, journal.closed_connections):
        await read()
        await read()
    await journal.pauses.all()
    await journal.hooks.registered()


async def measure(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Median and p99 of each read, in milliseconds."""
    took: dict[str, list[float]] = {}
    async with SqliteJournal(path, redact=str) as journal:
        middle = (await journal.runs(RunFilter(key=str(options.runs // 2)))).items[0]
        asked = reads(journal, options.runs, middle.created_at)
        cursor = (await journal.changed_since(None)).cursor
        asked["changes, none"] = partial(journal.changed_since, cursor)
        for name, ask in asked.items():
            await ask()
            took[name] = []
        for _ in range(options.rounds):
            for name, ask in asked.items():
                start = time.perf_counter()
                await ask()
                took[name].append((time.perf_counter() - start) * 1000)
    found = {name: (statistics.median(times), _p99(times)) for name, times in took.items()}
    return {name: {"median_ms": round(median, 2), "p99_ms": round(p99, 2)} for name, (median, p99) in found.items()}


def _p99(times: list[float]) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * 0.99))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--flows", type=int, default=12)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where the temporary files go")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    if options.runs < growth.TEMPLATE:
        parser.error(f"there are {growth.TEMPLATE} runs at least")
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.folder) as name, fake_api.running() as url:
        uvloop.run(growth.template(Path(name), url))
        path, begun = Path(name) / "crossdock.db", time.perf_counter()
        fill(path, options.runs, options.flows)
        print(f"{options.runs:,} runs: filled in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        size = path.stat().st_size / 2**20
        found = uvloop.run(measure(path, options))
    for read, times in found.items():
        print(f"{read:34} median {times['median_ms']:8.2f} ms, p99 {times['p99_ms']:8.2f} ms")
    if options.json:
        slowest = max(times["median_ms"] for times in found.values())
        told = {"runs": options.runs, "slowest_ms": slowest, "file_mib": round(size, 1), "reads": found}
        print(json.dumps({**told, "cores": os.cpu_count()}))


if __name__ == "__main__":
    main()
