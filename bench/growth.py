"""Whether a journal that has grown is as quick as a young one.

    python bench/growth.py [--sizes 1000,100000,1000000] [--rounds 3] [--flows 500] [--folder DIR] [--json]

A thousand runs are really performed (`lane.py`: six calls, five durable steps, traced). Their rows (events, runs,
steps, objects) are then copied in SQL with new numbers, ids, keys and earlier instants until there are as many finished
runs as the size says; triggers and indexes do their work as ever. A million take 5 GB in a temporary folder.

The sizes take turns in every measurement. *Flows/s*: the whole runtime in this process, as in `flow.py`. *Accept*:
200 webhooks a second to `crossdock serve`, whose runner is kept busy by a vendor that never answers, as in `intake.py`.
*List*: `GET /api/v1/runs`, 50 a page, first page and one in the middle, by filter, and one run with its steps.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

sys.path.insert(0, str(Path(__file__).parent))

import fake_api
import flow
import intake
import servers
import uvloop
from crossdock.journal.cursors import Cursors
from crossdock.journal.filters import RunFilter

TEMPLATE = 1000
"""Runs that are really performed; the others are copies of these."""
APART = 100_000
"""Microseconds between the instants of one run and the next."""
NEW_ID = "printf('0%09d', no + :by) || substr(id, 11)"
COPIES = {
    "events": {
        "seq": "seq + :by",
        "id": "'won:' || (subject + :by)",
        "subject": "(subject + :by) || ''",
        "data": """'{"deal":{"id":"' || (subject + :by) || '"}}'""",
        "received_at": "received_at - :ago",
    },
    "runs": {
        "no": "no + :by",
        "id": NEW_ID,
        "root": NEW_ID,
        "key": "(key + :by) || ''",
        "event_seq": "event_seq + :by",
        "created_at": "created_at - :ago",
        "updated_at": "updated_at - :ago",
        "ended_at": "ended_at - :ago",
    },
    "steps": {"no": "NULL", "run_no": "run_no + :by", "at": "at - :ago"},
    "objects": {"object_id": "(object_id + :by) || ''", "run_no": "run_no + :by"},
}
FIRST = {"events": "seq", "runs": "no", "steps": "run_no", "objects": "run_no"}
FILTERS: dict[str, dict[str, str]] = {
    "all": {},
    "flow": {"flow": "deal-to-invoice"},
    "status": {"status": "succeeded"},
    "rare_status": {"status": "dead"},
    "flow_and_status": {"flow": "deal-to-invoice", "status": "succeeded"},
    "key": {"key": "500"},
}


def fill(
    path: Path, size: int, copies: Mapping[str, Mapping[str, str]] = COPIES, more: Mapping[str, Any] | None = None
) -> None:
    """Copy the first runs until there are `size`; `more` are values that the expressions of `copies` name."""
    db = sqlite3.connect(path, isolation_level=None)
    for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "locking_mode = EXCLUSIVE"):
        db.execute(f"PRAGMA {setting}")
    db.execute("BEGIN")
    for by in range(TEMPLATE, size, TEMPLATE):
        for table, new in copies.items():
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(new.get(column, column) for column in columns)
            rows = f"SELECT {values} FROM {table} WHERE {FIRST[table]} <= {min(TEMPLATE, size - by)}"
            given = {"by": by, "ago": (size - by) * APART, **(more or {})}
            db.execute(f"INSERT INTO {table} ({', '.join(columns)}) {rows}", given)
    db.execute("COMMIT")
    db.close()
    with path.open("rb+") as file:
        # The system's late writing of gigabytes would be measured as our commits.
        os.fsync(file.fileno())


async def template(folder: Path, url: str) -> None:
    runtime = flow.Durable(folder, url, tracing=True)
    await runtime.runtime.start()
    await runtime.run(TEMPLATE)
    await runtime.runtime.stop()


def grown(folder: Path, sizes: list[int], url: str) -> dict[int, Path]:
    """A folder with a journal of each size."""
    first = folder / "template"
    first.mkdir()
    uvloop.run(template(first, url))
    places = {}
    for size in sizes:
        places[size] = folder / str(size)
        shutil.copytree(first, places[size])
        begun = time.perf_counter()
        fill(places[size] / "crossdock.db", size)
        print(f"{size:,} runs: filled in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    return places


async def perform(
    places: dict[int, Path], url: str, options: argparse.Namespace
) -> tuple[dict[int, list[float]], dict[int, list[float]]]:
    """Flows a second and CPU milliseconds a flow, in each round."""
    took: dict[int, list[float]] = defaultdict(list)
    cpu: dict[int, list[float]] = defaultdict(list)
    runtimes = {size: flow.Durable(place, url, tracing=True, first=size) for size, place in places.items()}
    for durable in runtimes.values():
        await durable.runtime.start()
        await durable.run(100)
    for _ in range(options.rounds):
        for size, durable in runtimes.items():
            start, used = time.perf_counter(), flow.cpu_seconds()
            await durable.run(options.flows)
            took[size].append(options.flows / (time.perf_counter() - start))
            cpu[size].append((flow.cpu_seconds() - used) / options.flows * 1000)
        print("flows/s: " + ", ".join(f"{size:,} {rates[-1]:.0f}" for size, rates in took.items()), file=sys.stderr)
    for durable in runtimes.values():
        await durable.runtime.stop()
    return took, cpu


class Reader:
    """Asks one server's API over one connection."""

    def __init__(self, server: servers.Server, place: Path, size: int) -> None:
        self._api = http.client.HTTPConnection(urlsplit(server.url).netloc)
        db = sqlite3.connect(f"file:{place / 'crossdock.db'}?mode=ro", uri=True)
        key = db.execute("SELECT value FROM meta WHERE name = 'cursor_key'").fetchone()[0]
        self._run, self._at = db.execute("SELECT id, created_at FROM runs WHERE no = ?", (size // 2,)).fetchone()
        db.close()
        self._cursors, self._middle = Cursors(key), size // 2

    def pages(self) -> dict[str, str]:
        """What is asked for, by name."""
        paths = {"one_run": f"/api/v1/runs/{self._run}"}
        for name, wanted in FILTERS.items():
            given = wanted.get("status")
            statuses = (given,) if given else ()
            filters = RunFilter(flow=wanted.get("flow"), statuses=statuses, key=wanted.get("key")).values()
            cursor = self._cursors.write_at(self._at, self._middle, filters)
            paths[name] = f"/api/v1/runs?{urlencode(wanted)}"
            paths[f"{name}_middle"] = f"/api/v1/runs?{urlencode(wanted | {'cursor': cursor})}"
        return paths

    def ask(self, path: str) -> float:
        """Milliseconds until the whole reply is there."""
        start = time.perf_counter()
        self._api.request("GET", path)
        reply = self._api.getresponse()
        body = reply.read()
        if reply.status != 200:
            raise SystemExit(f"{path}: {reply.status} {body!r}")
        return (time.perf_counter() - start) * 1000

    def close(self) -> None:
        self._api.close()


def served(places: dict[int, Path], options: argparse.Namespace) -> dict[int, dict[str, Any]]:
    """Accept latencies, list pages and memory of a server on each journal."""
    accepts: dict[tuple[int, str], list[float]] = defaultdict(list)
    pages: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with contextlib.ExitStack() as stack:
        vendor = stack.enter_context(intake.silent_vendor())
        running = {}
        for size, place in places.items():
            (place / "crossdock.yaml").write_text(intake.HELD % vendor)
            running[size] = stack.enter_context(servers.crossdock(place, concurrency=1))
        senders = {size: intake.Sender(server, "crm", "pipedrive") for size, server in running.items()}
        readers = {size: Reader(server, places[size], size) for size, server in running.items()}
        for _ in range(options.rounds):
            for size, sender in senders.items():
                outcome = sender.send(options.seconds, rate=intake.RATE)
                for percentile in ("p50_ms", "p99_ms"):
                    accepts[size, percentile].append(outcome[percentile])
            for size, reader in readers.items():
                for name, path in reader.pages().items():
                    pages[size][name] += [reader.ask(path) for _ in range(10)]
                # The server would close it before the next round.
                reader.close()
        memory = {size: server.rss_mib() for size, server in running.items()}
    found = {}
    for size in places:
        lists = {name: round(statistics.median(times), 2) for name, times in pages[size].items()}
        median = {name: round(statistics.median(accepts[size, name]), 2) for name in ("p50_ms", "p99_ms")}
        found[size] = {
            "accept_ratio": _ratio(accepts[size, "p50_ms"], accepts[options.sizes[0], "p50_ms"]),
            "accept_p50_ms": median["p50_ms"],
            "accept_p99_ms": median["p99_ms"],
            "list_ms": lists,
            "slowest_list_ms": max(lists.values()),
            "rss_mib": round(memory[size], 1),
        }
    return found


def measure(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    with fake_api.running() as url:
        places = grown(folder, options.sizes, url)
        sizes = {size: (place / "crossdock.db").stat().st_size for size, place in places.items()}
        flows, cpu = uvloop.run(perform(places, url, options))
    served_by = served(places, options)
    rows = []
    for size in places:
        young = options.sizes[0]
        rows.append(
            {
                "runs": size,
                "flows_s": round(statistics.median(flows[size]), 1),
                "flows_ratio": _ratio(flows[size], flows[young]),
                "cpu_ms_per_flow": round(statistics.median(cpu[size]), 2),
                "cpu_ratio": _ratio(cpu[size], cpu[young]),
                **served_by[size],
                "file_mib": round(sizes[size] / 2**20, 1),
            }
        )
    return rows


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the rounds' ratios."""
    return round(statistics.median(one / other for one, other in zip(ours, theirs, strict=True)), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")], default="1000,100000,1000000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--flows", type=int, default=500, help="in each round and size")
    parser.add_argument("--seconds", type=float, default=2, help="of each accept measurement")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where the temporary files go")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    if any(size < TEMPLATE for size in options.sizes):
        parser.error(f"a size is {TEMPLATE} at least")
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.folder) as name:
        rows = measure(Path(name), options)
    for row in rows:
        print(
            f"{row['runs']:>9,} runs: {row['flows_s']} flows/s ({row['flows_ratio']} of the smallest's),"
            f" {row['cpu_ms_per_flow']} ms CPU a flow ({row['cpu_ratio']}); accept p50"
            f" {row['accept_p50_ms']} ms ({row['accept_ratio']}), p99 {row['accept_p99_ms']} ms;"
            f" slowest list {row['slowest_list_ms']} ms;"
            f" {row['file_mib']:,} MiB on disk, {row['rss_mib']} MiB resident"
        )
        print(f"{'':9}  lists, ms: " + ", ".join(f"{name} {ms}" for name, ms in row["list_ms"].items()))
    if options.json:
        worst = min(row["flows_ratio"] for row in rows)
        slowest = max(row["slowest_list_ms"] for row in rows)
        found = {"flows_ratio": worst, "slowest_list_ms": slowest, "cores": os.cpu_count(), "rows": rows}
        print(json.dumps(found))


if __name__ == "__main__":
    main()
