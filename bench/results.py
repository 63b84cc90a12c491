"""Runs the benches and writes down what they measured, with what was aimed at beside it.

    python bench/results.py [intake flow journal growth pages dashboard start] [--short] [--out FILE] [--peers FILE]

Without names all of them run, one after the other. The full run takes about fifteen minutes and writes
`bench/RESULTS.md`; `--short` takes about three, stops growing at 100,000 runs, and prints. What peers did is
taken from what `bench/peers/run.py --save` has written; `peers` alone renews that part of the file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Json = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One measured value; `aim` is a bound that it is to keep, `at_most` or at least."""

    what: str
    value: float
    unit: str = ""
    aim: float | None = None
    at_most: bool = True

    def cells(self) -> list[str]:
        if self.aim is None:
            return [self.what, "", _shown(self.value, self.unit), ""]
        met = self.value <= self.aim if self.at_most else self.value >= self.aim
        sign = "≤" if self.at_most else "≥"
        return [self.what, f"{sign} {_shown(self.aim, self.unit)}", _shown(self.value, self.unit), _verdict(met)]


def _shown(value: float, unit: str) -> str:
    return f"{value:,} {unit}".rstrip()


def _verdict(met: bool) -> str:
    return "met" if met else "**missed**"


def intake(found: Json) -> list[Row]:
    work = found["with_the_runner"]
    return [
        Row("accepted and committed", found["accepted_s"], "/s"),
        Row("the same server that only answers", found["plain_s"], "/s"),
        Row("ratio", found["ratio"], aim=0.5, at_most=False),
        Row("p50 at 200/s", found["p50_ms_at_200"], "ms"),
        Row("p99 at 200/s", found["p99_ms_at_200"], "ms", aim=10),
        Row("p99 at 200/s of the server that only answers", found["plain_p99_ms_at_200"], "ms"),
        Row("p99 of one commit of plain SQLite, meanwhile", found["commit_p99_ms"], "ms"),
        Row("p50 over 64 connections", found["p50_ms_saturated"], "ms"),
        Row("p99 over 64 connections", found["p99_ms_saturated"], "ms"),
        Row("p50 at 200/s, runner at work", work["p50_ms_at_200"], "ms"),
        Row("p99 at 200/s, runner at work", work["p99_ms_at_200"], "ms"),
        Row("accepted and committed, runner at work", work["accepted_s"], "/s"),
        Row("lost (accepted and not in the journal)", found["lost"], aim=0),
    ]


def flow(found: Json) -> list[Row]:
    rows = []
    for one in found["rows"]:
        at = f"API {one['latency_ms']:g} ms"
        rows += [
            Row(f"{at}: durable", one["durable_flows_s"], "flows/s"),
            Row(f"{at}: bare", one["bare_flows_s"], "flows/s"),
            Row(f"{at}: ratio", one["ratio"], aim=0.8, at_most=False),
            Row(f"{at}: ratio without tracing", one["ratio_without_tracing"]),
            Row(f"{at}: CPU per durable flow", one["cpu_ms_per_flow"]["durable"], "ms"),
        ]
    where = [Row(f"of a durable flow's CPU: {room}", share, "%") for room, share in found["where"].items()]
    return [*rows, *where, Row("on disk per flow", found["bytes_per_flow"], "bytes")]


def journal(found: Json) -> list[Row]:
    rows = [Row("SQLite, one row per commit", found["sqlite_single_commits_per_second"], "rows/s")]
    for one in found["journal"]:
        who = f"{one['callers']} run{'s' if one['callers'] > 1 else ''} at once"
        rows.append(Row(f"{who}: checkpoints", one["checkpoints_per_second"], "/s"))
        rows.append(Row(f"{who}: commits", one["commits_per_second"], "/s"))
        rows.append(Row(f"{who}: p99 of a checkpoint", one["p99_ms"], "ms"))
    return rows


def growth(found: Json) -> list[Row]:
    rows = []
    for place, one in enumerate(found["rows"]):
        at = f"{one['runs']:,} runs"
        rows += [
            Row(f"{at}: flows", one["flows_s"], "flows/s"),
            Row(f"{at}: accept p50", one["accept_p50_ms"], "ms"),
            Row(f"{at}: accept p99", one["accept_p99_ms"], "ms"),
            Row(f"{at}: slowest list page", one["slowest_list_ms"], "ms", aim=50),
            Row(f"{at}: file", one["file_mib"], "MiB"),
            Row(f"{at}: resident", one["rss_mib"], "MiB"),
        ]
        if place:
            rows += [
                Row(f"{at}: flows/s, beside the smallest", one["flows_ratio"], aim=0.9, at_most=False),
                Row(f"{at}: CPU of a flow, beside the smallest", one["cpu_ratio"], aim=1.1),
                Row(f"{at}: accept p50, beside the smallest", one["accept_ratio"], aim=1.1),
            ]
    return rows


def pages(found: Json) -> list[Row]:
    at = f"{found['runs']:,} runs"
    rows = [Row(f"{at}: {name}", times["median_ms"], "ms", aim=50) for name, times in found["reads"].items()]
    worst = max(times["p99_ms"] for times in found["reads"].values())
    return [*rows, Row(f"{at}: p99 of the slowest", worst, "ms")]


def dashboard(found: Json) -> list[Row]:
    at = f"{found['runs']:,} runs"
    rows = [Row(f"{at}: {name}", times["median_ms"], "ms", aim=100) for name, times in found["pages"].items()]
    live = found["live"]
    rows.append(Row("live: runs delivered and performed", live["delivered_s"], "/s"))
    rows.append(
        Row("live: from a delivery's answer to the list that shows its run, median", live["seen_after_ms"], "ms")
    )
    rows.append(Row("live: the same, at most", live["seen_after_worst_ms"], "ms"))
    return [*rows, Row("live: the list, median", live["list_ms"], "ms", aim=100)]


def start(found: Json) -> list[Row]:
    return [
        Row("`crossdock --version`, CPU", found["version_cpu_ms"], "ms", aim=150),
        Row("`crossdock --version`, wall", found["version_wall_ms"], "ms"),
        Row("`crossdock serve` until ready", found["ready_ms"], "ms", aim=1000),
        Row("`crossdock serve` until ready, CPU", found["ready_cpu_ms"], "ms"),
        Row("resident while idle", found["idle_rss_mib"], "MiB", aim=90),
    ]


@dataclass(frozen=True)
class Bench:
    """A bench: how it is run in full and in short, and what of its JSON is shown."""

    title: str
    full: Sequence[str]
    short: Sequence[str]
    rows: Callable[[Json], list[Row]]


BENCHES = {
    "intake": Bench("What a durable yes to a webhook costs", ["--rounds", "9"], ["--rounds", "3"], intake),
    "flow": Bench("What durability costs a flow", ["--rounds", "5"], ["--flows", "500", "--latency-ms", "0"], flow),
    "journal": Bench("Group commit", ["--seconds", "3"], ["--seconds", "1"], journal),
    "growth": Bench("Growth", ["--rounds", "5"], ["--sizes", "1000,100000", "--flows", "300"], growth),
    "dashboard": Bench("The dashboard", ["--rounds", "30"], ["--runs", "100000", "--rounds", "10"], dashboard),
    "pages": Bench("Lists and figures", ["--rounds", "50"], ["--runs", "100000", "--rounds", "20"], pages),
    "start": Bench("Start", ["--rounds", "10"], ["--rounds", "5"], start),
}


def measured(name: str, *, short: bool) -> list[str]:
    """The section of one bench, in Markdown."""
    bench = BENCHES[name]
    arguments = list(bench.short if short else bench.full)
    command = f"python bench/{name}.py {' '.join(arguments)}"
    print(f"{command} …", file=sys.stderr)
    given = [sys.executable, str(HERE / f"{name}.py"), *arguments, "--json"]
    done = subprocess.run(given, stdout=subprocess.PIPE, text=True)
    lines = [f"## {bench.title}", "", f"`{command}`", ""]
    if done.returncode:
        return [*lines, f"**It failed** with exit code {done.returncode}.", ""]
    rows = bench.rows(json.loads(done.stdout.splitlines()[-1]))
    return [*lines, *_table(["", "aim", "measured", ""], [row.cells() for row in rows]), ""]


def peers(path: Path) -> list[str]:
    """What others do on the same work, as `bench/peers/run.py --save` wrote it down; nothing if it did not."""
    if not path.exists():
        return []
    told = json.loads(path.read_text())
    have = [one for one in told["peers"] if "not_measured" not in one]
    ours = {one["latency_ms"]: one["flows_s"] for one in have if one["name"] == "crossdock"}
    best = {
        at: max((one["flows_s"] for one in have if one["name"] != "crossdock" and one["latency_ms"] == at), default=0)
        for at in ours
    }
    lines = [PEERS, "", f"`python bench/peers/run.py --save`, {told['date']}, {told['machine']}. {_PEERS_SAY}", ""]
    lines += _table(_PEER_HEAD, [_peer(one) for one in have])
    lines += ["", *_table(["", "aim", "measured", ""], [_beside(at, ours[at], best[at]) for at in ours if best[at]])]
    missing = [f"{one['name']} was not measured: {one['not_measured']}." for one in told["peers"] if one not in have]
    return [*lines, "", *missing]


PEERS = "## Others on the same work"
_PEERS_SAY = (
    "[peers/README.md](peers/README.md) says what each of them does, and what is unfair to whom. The worker is killed"
    " in the midst of two hundred flows, some times; *with key* is with the peer's own stable id sent to the API. At"
    " 20 ms a call the same calls without any durability set the bound (*bare*, above), so nobody is far ahead there."
)
_PEER_HEAD = (
    *("", "API ms", "flows/s", "CPU ms per flow", "RSS idle/load MiB", "written, kept bytes per flow"),
    *("accept p50/p99 ms", "flow p50/p99 ms", "kill: finished", "duplicates", "with key", "others' cores"),
)


def _peer(one: Json) -> list[str]:
    kill = one.get("kill") or {}
    finished = f"{kill['finished']} of {kill['accepted']}" if kill else ""
    return [
        f"{one['name']} {one['version']}",
        f"{one['latency_ms']:g}",
        f"{one['flows_s']:g}",
        f"{one['cpu_ms_per_flow']:g}",
        f"{one['rss_idle_mib']}/{one['rss_load_mib']}",
        f"{one['bytes_per_flow']:,}, {one['kept_bytes_per_flow']:,}",
        f"{one['accept_p50_ms']:g}/{one['accept_p99_ms']:g}",
        f"{one['flow_p50_ms']:g}/{one['flow_p99_ms']:g}",
        finished,
        str(kill.get("duplicates", "")),
        _if_any(kill.get("duplicates_with_key")),
        f"{one['cores_used_by_others']:g}",
    ]


def _if_any(value: object) -> str:
    return "" if value is None else str(value)


def _beside(latency: float, ours: float, best: float) -> list[str]:
    what = f"API {latency:g} ms: our flows/s, beside the best of theirs"
    return Row(what, round(ours / best, 2), aim=2.5, at_most=False).cells()


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["|".join(["", *(f" {cell} " if cell else " " for cell in line), ""]) for line in lines]


def machine() -> list[str]:
    """Where and with what it was measured."""
    info = Path("/proc/cpuinfo").read_text()
    model = info.partition("model name")[2].partition("\n")[0].strip("\t :") or platform.machine()
    load = os.getloadavg()[0]
    told = {
        "commit": _commit(),
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "CPU": f"{model}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "file system": _file_system(Path.cwd()),
        "Python, SQLite": f"{platform.python_version()}, {sqlite3.sqlite_version}",
        "load before it began": f"{load:.2f}" + (" (others were at work on this machine)" if load > 0.5 else ""),
    }
    return [*_table(["", ""], [[name, value] for name, value in told.items()]), ""]


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _file_system(path: Path) -> str:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(len(at), kind) for _, at, kind, *_ in mounts if path.resolve().is_relative_to(at)]
    return max(holding)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    known = [*BENCHES, "peers"]
    parser.add_argument("benches", nargs="*", metavar="bench", help=f"of {', '.join(known)}; default: all")
    parser.add_argument("--short", action="store_true", help="a few minutes, and printed")
    parser.add_argument("--out", type=Path, help="the file to write (default: bench/RESULTS.md, with --short none)")
    parser.add_argument("--peers", type=Path, default=HERE / "peers" / "results.json", help="what peers measured")
    options = parser.parse_args()
    if unknown := set(options.benches) - set(known):
        parser.error(f"there is no bench {', '.join(sorted(unknown))}")
    out = options.out or (None if options.short else HERE / "RESULTS.md")
    if options.benches == ["peers"] and out is not None:
        kept = out.read_text().partition(PEERS)[0].rstrip()
        out.write_text("\n".join([kept, "", *peers(options.peers)]).rstrip() + "\n")
        return
    lines = ["# Results", "", "Written by `bench/results.py`; [README.md](README.md) says what is measured.", ""]
    lines += machine()
    for name in options.benches or BENCHES:
        if name in BENCHES:
            lines += measured(name, short=options.short)
    text = "\n".join([*lines, *peers(options.peers)]).rstrip() + "\n"
    if out is None:
        print(text, end="")
    else:
        out.write_text(text)
    if "**It failed**" in text:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
