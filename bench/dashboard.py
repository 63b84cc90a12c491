"""Whether the dashboard's pages are quick over a million runs, and keep up with what happens.

    python bench/dashboard.py [--runs 1000000] [--rounds 30] [--rate 100] [--seconds 10] [--folder DIR] [--json]

The journal is that of `pages.py`; `crossdock serve` is started on it in a process of its own. *Pages*: each is asked
for over HTTP so many times, one after the other, and what is measured is the whole reply as a browser gets it; a run's
page shows one that was really performed. *Live*: `--rate` deals a second are delivered for so many seconds to the same
server, which performs them against a fast vendor. Meanwhile somebody looks at the list of runs: they listen to `/live`
as the page does, and fetch the list anew when they are told. *Seen after* is the time from a delivery's answer to the
list that shows its run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import fake_api
import growth
import httpx
import lane
import pages
import servers
import uvloop

AUTH = ("bench", "bench-password")
_KEY = re.compile(r"/runs/(\w{26})")


def asked(size: int, run: str) -> dict[str, str]:
    """The pages, by name."""
    return {
        "overview, hour": "/?span=hour",
        "overview, day": "/?span=day",
        "overview, month": "/?span=month",
        "runs": "/runs",
        "runs, dead": "/runs?status=dead",
        "runs, needs a person": "/runs?needs_person=1",
        "runs, of a flow at a connection": "/runs?flow=flow-3&connection=books",
        "runs, by e-mail": f"/runs?text=a{size // 2}@example.test",
        "runs, by common words": "/runs?text=customer+blue",
        "runs, by a rare word": "/runs?text=zanzibar",
        "a run": f"/runs/{run}",
        "flows": "/flows",
        "a flow": "/flows/deal-to-invoice",
        "connections": "/connections",
        "bulk": "/bulk",
        "bulk, a preview of all dead": "/bulk/new?status=dead",
        "audit": "/audit",
        "API: runs": "/api/v1/runs",
        "API: overview": "/api/v1/overview",
        "metrics": "/metrics",
    }


async def quick(client: httpx.AsyncClient, size: int, rounds: int) -> dict[str, Any]:
    """Median and worst of each page, in milliseconds."""
    wanted = {"flow": "deal-to-invoice", "status": "succeeded", "limit": 1}
    newest = (await client.get("/api/v1/runs", params=wanted)).json()
    found = {}
    for name, path in asked(size, newest["items"][0]["id"]).items():
        (await client.get(path)).raise_for_status()
        took = []
        for _ in range(rounds):
            start = time.perf_counter()
            (await client.get(path)).raise_for_status()
            took.append((time.perf_counter() - start) * 1000)
        found[name] = {"median_ms": round(statistics.median(took), 1), "worst_ms": round(max(took), 1)}
        print(
            f"{name:32} median {found[name]['median_ms']:8.1f} ms, worst {found[name]['worst_ms']:8.1f} ms",
            file=sys.stderr,
        )
    return found


class Onlooker:
    """Somebody whose list of runs keeps itself up to date."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.seen: dict[str, float] = {}
        self.took: list[float] = []

    async def look(self) -> None:
        async with self._client.stream("GET", "/live", timeout=None) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("event: changed"):
                    await self._fetch()

    async def _fetch(self) -> None:
        start = time.perf_counter()
        page = await self._client.get("/runs")
        self.took.append((time.perf_counter() - start) * 1000)
        now = time.perf_counter()
        for run in _KEY.findall(page.text):
            self.seen.setdefault(run, now)


async def live(client: httpx.AsyncClient, first: int, rate: int, seconds: int) -> dict[str, Any]:
    """How a list keeps up with so many new runs a second."""
    onlooker = Onlooker(client)
    looking = asyncio.create_task(onlooker.look())
    await asyncio.sleep(1)
    answered: dict[str, float] = {}

    async def deliver(number: int, at: float) -> None:
        await asyncio.sleep(max(at - time.perf_counter(), 0))
        body = {"id": str(number)}
        reply = await client.post("/webhooks/lane", json=body, auth=AUTH)
        reply.raise_for_status()
        answered[str(number)] = time.perf_counter()

    begun = time.perf_counter()
    await asyncio.gather(*(deliver(first + n, begun + n / rate) for n in range(rate * seconds)))
    sent = time.perf_counter() - begun
    ids = await _ids(client, rate * seconds)
    await asyncio.sleep(2)
    looking.cancel()
    lags = [onlooker.seen[ids[key]] - at for key, at in answered.items() if ids.get(key) in onlooker.seen]
    return {
        "delivered_s": round(len(answered) / sent, 1),
        "shown": len(lags),
        "delivered": len(answered),
        "seen_after_ms": round(statistics.median(lags) * 1000) if lags else None,
        "seen_after_worst_ms": round(max(lags) * 1000) if lags else None,
        "list_ms": round(statistics.median(onlooker.took), 1),
        "list_worst_ms": round(max(onlooker.took), 1),
        "lists_fetched": len(onlooker.took),
    }


async def _ids(client: httpx.AsyncClient, count: int) -> dict[str, str]:
    """Key → run of the newest runs."""
    found: dict[str, str] = {}
    cursor: str | None = None
    while len(found) < count:
        page = (
            await client.get("/api/v1/runs", params={"limit": 500, **({"cursor": cursor} if cursor else {})})
        ).json()
        found |= {run["key"]: run["id"] for run in page["items"]}
        cursor = page["next_cursor"]
    return found


async def measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        found = {"pages": await quick(client, options.runs, options.rounds)}
        return found | {"live": await live(client, 10_000_000, options.rate, options.seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--flows", type=int, default=12)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where the temporary files go")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.folder) as name, fake_api.running() as vendor:
        folder = Path(name)
        uvloop.run(growth.template(folder, vendor))
        begun = time.perf_counter()
        pages.fill(folder / "crossdock.db", options.runs, options.flows)
        print(f"{options.runs:,} runs: filled in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        lane.routing(folder, vendor)
        with servers.crossdock(folder) as ours:
            found = uvloop.run(measure(ours.url, options))
    slowest = max(found["pages"].values(), key=lambda one: one["median_ms"])
    print(f"live: {found['live']}")
    if options.json:
        print(json.dumps({"runs": options.runs, "slowest_ms": slowest["median_ms"], **found, "cores": os.cpu_count()}))


if __name__ == "__main__":
    main()
