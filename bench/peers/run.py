"""The same work on Crossdock and on its peers: speed, CPU, memory, bytes, and what a `kill -9` leaves.

    python bench/peers/run.py [--peers dbos-sqlite,restate] [--flows 300] [--latency-ms 0,20] [--json] [--save]

Six HTTP calls in five durable steps for each webhook, 32 flows in flight, against the fake API of `bench/fake_api.py`
in this process. Each peer is installed at its first use into ~/.cache/crossdock-bench; README.md says what each
does. A peer that cannot be had is shown with the reason. `--save` writes results.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import driver
import uvloop
from environments import UnavailableError
from lanes.base import Lane
from lanes.crossdock import Crossdock
from lanes.dbos import DbosPostgres, DbosSqlite
from lanes.n8n import N8n
from lanes.restate import Restate
from lanes.temporal import Temporal, TemporalMemory

HERE = Path(__file__).parent
LANES: dict[str, type[Lane]] = {
    lane.name: lane for lane in (Crossdock, Restate, DbosSqlite, DbosPostgres, Temporal, TemporalMemory, N8n)
}
QUIET_CORES = 0.1
"""What others may use of the machine in a measurement that is not done again."""
DISTURBED_CORES = 0.3
"""What others may use before a rate says little."""
COLUMNS = {
    "flows_s": "flows/s",
    "cpu_ms_per_flow": "CPU ms/flow",
    "rss_idle_mib": "RSS idle",
    "rss_load_mib": "load MiB",
    "bytes_per_flow": "bytes written/flow",
    "kept_bytes_per_flow": "kept",
    "accept_p50_ms": "accept p50",
    "accept_p99_ms": "p99 ms",
    "flow_p50_ms": "flow p50",
    "flow_p99_ms": "p99 ms",
    "cores_used_by_others": "others' cores",
}


async def bench(kind: type[Lane], options: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of one peer, one for each latency; the kill test's result is in each."""
    head = {"name": kind.name, "version": kind.version}
    try:
        kind.install()
        rows = [head | await quietest(kind, latency, options) for latency in options.latency_ms]
        killed = await kills(kind, options.kills)
    except (UnavailableError, RuntimeError) as error:
        print(f"{kind.name}: {error}", file=sys.stderr)
        return [head | {"not_measured": str(error).splitlines()[0]}]
    return [row | {"kill": killed} for row in rows]


async def quietest(kind: type[Lane], latency: float, options: argparse.Namespace) -> dict[str, Any]:
    """One measurement; of several the one in which others used least of the machine, whatever came of it."""
    found: list[dict[str, Any]] = []
    while len(found) < options.tries and not any(row["cores_used_by_others"] < QUIET_CORES for row in found):
        print(f"{kind.name}: {latency:g} ms …", file=sys.stderr)
        found.append(await driver.measure(kind, latency, options.flows, options.seconds))
    return min(found, key=lambda row: row["cores_used_by_others"])


async def kills(kind: type[Lane], rounds: int) -> dict[str, Any] | None:
    if not rounds:
        return None
    print(f"{kind.name}: kill -9 …", file=sys.stderr)
    plain: dict[str, Any] = await driver.kill(kind, rounds, keyed=False)
    keyed = await driver.kill(kind, rounds, keyed=True) if kind.keys else {}
    return {
        "rounds": rounds,
        "latency_ms": driver.KILL_LATENCY_MS,
        **plain,
        "lost_with_key": keyed.get("lost"),
        "duplicates_with_key": keyed.get("duplicates"),
    }


def table(rows: list[dict[str, Any]]) -> str:
    head = ["peer", "API ms", *COLUMNS.values(), "kill -9: finished", "lost", "twice", "twice with key"]
    lines = [head]
    for row in rows:
        name = f"{row['name']} {row['version']}"
        if "not_measured" in row:
            lines.append([name, f"not measured: {row['not_measured']}"])
            continue
        killed = row["kill"] or {}
        what = [f"{killed.get('finished')} of {killed.get('accepted')}"]
        what += [str(killed.get(key)) for key in ("lost", "duplicates", "duplicates_with_key")]
        cells = [f"{row[key]:,}" for key in COLUMNS]
        if row["cores_used_by_others"] > DISTURBED_CORES:
            cells[0] = f"~{cells[0]}"
        lines.append([name, f"{row['latency_ms']:g}", *cells, *what])
    widths = [max(len(line[at]) for line in lines if len(line) == len(head)) for at in range(len(head))]
    widths[0] = max(len(line[0]) for line in lines)
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=False)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)


def machine() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return f"{len(models)} × {models[0].partition(':')[2].strip()}, {platform.system()} {platform.release()}"


def results(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "bytes_are": "bytes_per_flow: write_bytes of all processes; kept_bytes_per_flow: growth of the files",
        "peers": rows,
    }


def save(found: dict[str, Any]) -> None:
    """Into results.json, in place of the rows of the same peers; their last kill test stays if there was none now."""
    path = HERE / "results.json"
    names = {row["name"] for row in found["peers"]}
    old = json.loads(path.read_text())["peers"] if path.exists() else []
    killed = {row["name"]: row.get("kill") for row in old}
    for row in found["peers"]:
        row["kill"] = row.get("kill") or killed.get(row["name"])
    rows = [row for row in old if row["name"] not in names] + found["peers"]
    rows.sort(key=lambda row: list(LANES).index(row["name"]))
    path.write_text(json.dumps(found | {"peers": rows}, indent=1, ensure_ascii=False) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peers", type=lambda text: text.split(","), default=list(LANES), help=", ".join(LANES))
    parser.add_argument("--flows", type=int, default=300, help="in each measurement, at least")
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement, at least")
    parser.add_argument(
        "--latency-ms", type=lambda text: [float(part) for part in text.split(",")], default=[0.0, 20.0]
    )
    parser.add_argument("--tries", type=int, default=3, help="measurements at most, of which the quietest counts")
    parser.add_argument("--kills", type=int, default=3, help="rounds of the kill test; 0: none")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line, and no table")
    parser.add_argument("--save", action="store_true", help="write results.json too")
    options = parser.parse_args()
    if unknown := set(options.peers) - set(LANES):
        parser.error(f"no peer is named {', '.join(sorted(unknown))}; there are {', '.join(LANES)}")
    return options


def main() -> None:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    rows = [row for name in options.peers for row in uvloop.run(bench(LANES[name], options))]
    found = results(rows)
    if options.save:
        save(found)
    print(json.dumps(found, ensure_ascii=False) if options.json else table(rows))


if __name__ == "__main__":
    main()
