"""What durability costs: flows a second through Crossdock beside the same calls without it.

    python bench/flow.py [--flows 2000] [--rounds 3] [--latency-ms 0 20] [--profile FILE] [--json]

One flow is six HTTP calls in five durable steps, 32 at once, against `fake_api.py` in a process of its own. *Bare*
makes the same calls in asyncio with httpx over the aiohttp transport, as a script would. *Durable* is the whole
runtime in this process: events committed, claimed, every step with its intent and outcome on disk (WAL, FULL), spans
recorded and handed to an exporter. The rounds alternate; the medians and their ratios are shown, and where the
CPU of further durable rounds goes, by room.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import fake_api
import httpx
import lane
import uvloop
from crossdock.plugins import load_plugins
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock.telemetry import Telemetry
from crossdock_sdk import Event
from httpx_aiohttp import AiohttpTransport
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from where import Where

AT_ONCE = 32


class Counted(SpanExporter):
    """Takes spans and counts them: what a collector does with them is not ours to measure."""

    def __init__(self) -> None:
        self.spans = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += len(spans)
        return SpanExportResult.SUCCESS


async def bare(url: str, flows: int) -> None:
    """The six calls of each flow, as a script would make them."""
    gate = asyncio.Semaphore(AT_ONCE)
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=url, transport=AiohttpTransport(limits=limits), trust_env=False) as client:

        async def one(ident: int) -> None:
            async with gate:
                deal = (await client.get(f"/deals/{ident}")).json()
                found = (await client.get("/customers", params={"name": deal["customer"]})).json()["customers"]
                wanted = {"name": deal["customer"], "email": deal["email"]}
                customer = found[0] if found else (await client.post("/customers", json=wanted)).json()
                order = {"deal": deal["id"], "customer": customer["id"], "lines": deal["lines"], "total": deal["value"]}
                invoice = (await client.post("/invoices", json=order)).json()
                await client.patch(f"/deals/{ident}", json={"invoice_number": invoice["number"]})
                note = {"name": f"Kick off {deal['title']}", "notes": f"Invoice {invoice['number']}"}
                await client.post("/tasks", json=note)

        await asyncio.gather(*(one(ident) for ident in range(flows)))


class Durable:
    """The runtime on the journal in `folder`, in which the runs of `first` deals have succeeded already."""

    def __init__(self, folder: Path, url: str, *, tracing: bool, first: int = 0) -> None:
        settings = Settings(
            config=lane.routing(folder, url),
            database_url=f"sqlite:///{folder / 'crossdock.db'}",
            concurrency=AT_ONCE,
            watch=0,
        )
        self.runtime = Crossdock(settings, env={}, registry=load_plugins(extra=[lane], entry_points=()))
        self.exporter = Counted()
        if tracing:
            self.runtime.telemetry = Telemetry("bench", self.runtime.redactor, exporter=self.exporter, env={})
        self.base = first

    async def run(self, flows: int) -> None:
        """Accept that many events and wait until the last run has ended."""
        runtime = self.runtime
        first, self.base = self.base, self.base + flows
        for start in range(first, self.base, 100):
            events = [
                Event("deal.won", f"won:{ident}", str(ident), {"deal": {"id": str(ident)}})
                for ident in range(start, min(start + 100, self.base))
            ]
            await runtime.intake.accept("lane", events, runtime.telemetry.new_trace())
            runtime.runner.wake()
        while (ended := (await runtime.journal.counts()).get("deal-to-invoice", {})).get("succeeded", 0) < self.base:
            if ended.keys() - {"queued", "running", "succeeded"}:
                raise SystemExit(f"runs went wrong: {ended}")
            await asyncio.sleep(0.01)


async def measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    """The medians of alternating rounds at one latency."""
    took: dict[str, list[float]] = {"bare": [], "durable": [], "untraced": []}
    cpu: dict[str, list[float]] = {name: [] for name in took}

    async def timed(name: str, work: Any) -> None:
        start, used = time.perf_counter(), cpu_seconds()
        await work
        took[name].append(options.flows / (time.perf_counter() - start))
        cpu[name].append((cpu_seconds() - used) / options.flows * 1000)

    with (
        tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as one,
        tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as two,
    ):
        traced = Durable(Path(one), url, tracing=True)
        untraced = Durable(Path(two), url, tracing=False)
        await traced.runtime.start()
        await untraced.runtime.start()
        await bare(url, 100)
        await traced.run(100)
        await untraced.run(100)
        profile = cProfile.Profile() if options.profile else None
        where = Where()
        for _ in range(options.rounds):
            await timed("bare", bare(url, options.flows))
            if profile:
                profile.enable()
            await timed("durable", traced.run(options.flows))
            if profile:
                profile.disable()
            await timed("untraced", untraced.run(options.flows))
            with where.looking():
                await traced.run(options.flows)
        await untraced.runtime.stop()
        await traced.runtime.stop()
        if profile:
            profile.dump_stats(options.profile)
        size = (Path(one) / "crossdock.db").stat().st_size / traced.base
    flows = {name: statistics.median(rates) for name, rates in took.items()}
    return {
        "bare_flows_s": round(flows["bare"], 1),
        "durable_flows_s": round(flows["durable"], 1),
        "untraced_flows_s": round(flows["untraced"], 1),
        "ratio": round(flows["durable"] / flows["bare"], 3),
        "ratio_without_tracing": round(flows["untraced"] / flows["bare"], 3),
        "cpu_ms_per_flow": {name: round(statistics.median(each), 2) for name, each in cpu.items()},
        "spans_per_flow": round(traced.exporter.spans / traced.base, 1),
        "bytes_per_flow": round(size),
        "where": where.shares(),
    }


def cpu_seconds() -> float:
    """The CPU time that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--flows", type=int, default=2000, help="in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency-ms", type=float, nargs="+", default=[0, 20])
    parser.add_argument("--profile", help="write a cProfile of the durable rounds here")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    results = []
    for latency in options.latency_ms:
        with fake_api.running(latency) as url:
            results.append({"latency_ms": latency, **uvloop.run(measure(url, options))})
    for row in results:
        print(
            f"API {row['latency_ms']:g} ms: bare {row['bare_flows_s']}, durable {row['durable_flows_s']} flows/s"
            f" (ratio {row['ratio']}; without tracing {row['ratio_without_tracing']}), CPU ms per flow"
            f" {row['cpu_ms_per_flow']}, {row['spans_per_flow']} spans, {row['bytes_per_flow']} bytes per flow"
        )
        print("  of the CPU: " + ", ".join(f"{room} {share} %" for room, share in row["where"].items()))
    if options.json:
        print(json.dumps({**results[0], "cores": os.cpu_count(), "python": sys.version.split()[0], "rows": results}))


if __name__ == "__main__":
    main()
