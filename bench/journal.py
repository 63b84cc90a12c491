"""How many checkpoints a second the SQLite journal makes durable, beside SQLite's own single-commit rate.

    python bench/journal.py [--seconds 2] [--json]

Each caller writes one checkpoint with one step of about 300 bytes and awaits it before the next, as a run does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from crossdock.journal.base import Checkpoint, ClaimedRun, NewEvent, NewRun, RunUpdate
from crossdock.journal.sqlite import SqliteJournal, utc_now

CALLERS = (1, 32, 256)
STEP = {"input": {"customer": {"name": "Acme", "email": "a@acme.example"}, "note": "x" * 220}}


def single_commits(folder: Path, seconds: float) -> list[float]:
    """The seconds that plain sqlite3 takes for each row that it commits by itself, WAL and synchronous=FULL."""
    db = sqlite3.connect(folder / "plain.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE IF NOT EXISTS steps (id INTEGER PRIMARY KEY, data TEXT)")
    text = json.dumps(STEP)
    took: list[float] = []
    until = time.perf_counter() + seconds
    while (start := time.perf_counter()) < until:
        db.execute("INSERT INTO steps (data) VALUES (?)", (text,))
        took.append(time.perf_counter() - start)
    db.close()
    return took


async def claimed_runs(journal: SqliteJournal, number: int) -> list[ClaimedRun]:
    await journal.store_plan("p", "f", {})
    arrivals = [(NewEvent(f"e{i}", "deal.won", str(i), {}), [NewRun(f"r{i}", "f", str(i), "p")]) for i in range(number)]
    await journal.accept("crm", arrivals)
    return await journal.claim("bench", number, utc_now(), timedelta(hours=1))


async def checkpoints(folder: Path, callers: int, seconds: float) -> dict[str, Any]:
    """One row of the result: rate, rate of commits, median and 99th percentile of one checkpoint."""
    took: list[float] = []

    async def call(run: ClaimedRun, until: float) -> None:
        while (start := time.perf_counter()) < until:
            step = Checkpoint("apply", "invoice", "intent", STEP, utc_now())
            await journal.checkpoint(run.claim, [step], RunUpdate("running", leg="invoice"), None)
            took.append(time.perf_counter() - start)

    async with SqliteJournal(folder / f"{callers}.db", redact=lambda text: text) as journal:
        runs = await claimed_runs(journal, callers)
        commits, start = journal.commits, time.perf_counter()
        await asyncio.gather(*(call(run, start + seconds) for run in runs))
        elapsed = time.perf_counter() - start
        commits = journal.commits - commits
    took.sort()
    return {
        "callers": callers,
        "checkpoints_per_second": round(len(took) / elapsed),
        "commits_per_second": round(commits / elapsed),
        "p50_ms": round(took[len(took) // 2] * 1000, 2),
        "p99_ms": round(took[len(took) * 99 // 100] * 1000, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long to measure each row")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        folder = Path(name)
        single = single_commits(folder, options.seconds)
        plain = round(len(single) / sum(single))
        rows = [asyncio.run(checkpoints(folder, callers, options.seconds)) for callers in CALLERS]
    if options.json:
        print(json.dumps({"sqlite_single_commits_per_second": plain, "journal": rows}))
        return
    print(f"SQLite, one row per commit: {plain:,} rows/s")
    for row in rows:
        print(
            f"journal, {row['callers']:>3} callers: {row['checkpoints_per_second']:>7,} checkpoints/s"
            f" in {row['commits_per_second']:>6,} commits/s, p50 {row['p50_ms']} ms, p99 {row['p99_ms']} ms"
        )


if __name__ == "__main__":
    main()
