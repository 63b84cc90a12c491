"""Load on one peer, what it used meanwhile, and what is left of 200 flows when its worker is killed among them."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
from lanes.base import Delivery, Lane
from office import Office, open_office
from processes import Processes, machine_busy

AT_ONCE = 32
WARM_UP = 64
KILLED = 200
"""Flows of one round of the kill test."""
KILL_LATENCY_MS = 20
QUIET = 30.0
"""Seconds without a call after which nothing more is expected: longer than any peer's interval between tries."""


class Run:
    """A peer that is up, with its API."""

    def __init__(self, lane: Lane, office: Office, processes: Processes, http: aiohttp.ClientSession) -> None:
        self.lane = lane
        self.office = office
        self.processes = processes
        self.accepted: set[str] = set()
        self.accept_ms: list[float] = []
        self.flow_ms: list[float] = []
        self.killed = asyncio.Event()
        self._http = http

    def kept(self) -> int:
        """Bytes of its files, logs aside."""
        files = (path for path in self.lane.folder.rglob("*") if path.suffix != ".log" and path.is_file())
        return sum(path.stat().st_size for path in files)

    async def flow(self, ident: str) -> None:
        """One delivery, and the wait for the last call of its flow; after a kill, for nothing."""
        done = self.office.done(ident)
        start = time.perf_counter()
        await self.deliver(self.lane.delivery(ident))
        self.accept_ms.append((time.perf_counter() - start) * 1000)
        self.accepted.add(ident)
        killed = asyncio.ensure_future(self.killed.wait())
        ended, _ = await asyncio.wait({done, killed}, timeout=120, return_when=asyncio.FIRST_COMPLETED)
        killed.cancel()
        if not ended:
            raise RuntimeError(f"{self.lane.name}: flow {ident} was accepted and is not done after two minutes")
        self.flow_ms.append((time.perf_counter() - start) * 1000)

    async def deliver(self, delivery: Delivery) -> None:
        """Until it is answered with 2xx, as a vendor would."""
        deadline = time.monotonic() + 120
        while True:
            try:
                async with self._http.post(delivery.url, data=delivery.body, headers=delivery.headers) as reply:
                    said = f"{reply.status} {(await reply.text())[:200]}"
                    if reply.ok:
                        return
            except aiohttp.ClientError as error:
                said = repr(error)
            if not self.killed.is_set() or time.monotonic() > deadline:
                raise RuntimeError(f"{self.lane.name} did not take a delivery: {said}")
            await asyncio.sleep(0.05)

    async def flows(self, idents: Iterator[int]) -> None:
        """All of them, 32 at once."""

        async def one_by_one() -> None:
            for ident in idents:
                await self.flow(str(ident))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(one_by_one())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None


@asynccontextmanager
async def running(kind: type[Lane], latency_ms: float, *, keyed: bool = False) -> AsyncIterator[Run]:
    """The peer on a fresh folder here (on a disk, where /tmp may be memory), until it is ended."""
    folder = _folder()
    processes = Processes(folder)
    try:
        async with open_office(latency_ms) as (office, url), _client() as http:
            lane = kind(folder, url, processes, keyed=keyed)
            await lane.start()
            yield Run(lane, office, processes, http)
    finally:
        processes.close()
        shutil.rmtree(folder, ignore_errors=True)


async def measure(kind: type[Lane], latency_ms: float, flows: int, seconds: float) -> dict[str, Any]:
    """One row: at least `flows` flows, and at least `seconds` of them."""
    async with running(kind, latency_ms) as run:
        idle = run.processes.usage().rss
        numbers = count(1)
        await run.flows(iter([next(numbers) for _ in range(WARM_UP)]))
        run.accept_ms.clear()
        run.flow_ms.clear()
        kept = run.kept()
        start, before, busy, own = time.perf_counter(), run.processes.usage(), machine_busy(), _own_cpu()

        def enough() -> bool:
            return len(run.flow_ms) + AT_ONCE > flows and time.perf_counter() - start > seconds

        sizes = [idle]
        watch = asyncio.create_task(_watch(run.processes, sizes))
        await run.flows(iter(lambda: 0 if enough() else next(numbers), 0))
        took, after = time.perf_counter() - start, run.processes.usage()
        watch.cancel()
        used = after.cpu - before.cpu
        others = machine_busy() - busy - used - (_own_cpu() - own)
        done = len(run.flow_ms)
        return {
            "latency_ms": latency_ms,
            "flows": done,
            "flows_s": round(done / took, 1),
            "cpu_ms_per_flow": round(used / done * 1000, 2),
            "rss_idle_mib": round(idle / 2**20),
            "rss_load_mib": round(max(*sizes, after.rss) / 2**20),
            "bytes_per_flow": round((after.written - before.written) / done),
            "kept_bytes_per_flow": round((run.kept() - kept) / done),
            **_percentiles("accept", run.accept_ms),
            **_percentiles("flow", run.flow_ms),
            "cores_used_by_others": round(max(others, 0) / took, 2),
        }


async def kill(kind: type[Lane], rounds: int, *, keyed: bool) -> dict[str, int]:
    """The sums over rounds of 200 flows, in the middle of each of which the worker is killed and started again."""
    sums: dict[str, int] = {}
    for _ in range(rounds):
        async with running(kind, KILL_LATENCY_MS, keyed=keyed) as run:
            for name, number in (await _round(run)).items():
                sums[name] = sums.get(name, 0) + number
    return sums


async def _round(run: Run) -> dict[str, int]:
    office = run.office
    load = asyncio.create_task(run.flows(iter(range(1, KILLED + 1))))
    await office.has_invoiced(KILLED // 2)
    # Set first, so that a delivery that the kill cuts off is sent again.
    run.killed.set()
    run.processes.kill(run.lane.worker)
    in_flight = len(run.accepted - office.finished)
    await run.lane.restart()
    await load
    await _settled(run)
    finished = len(run.accepted & office.finished)
    return {
        "accepted": len(run.accepted),
        "in_flight": in_flight,
        "finished": finished,
        "lost": len(run.accepted) - finished,
        "duplicates": office.duplicates,
    }


async def _settled(run: Run) -> None:
    """Wait until all is finished and nobody has called for two seconds, or until nobody has for thirty."""
    office, calls, since = run.office, -1, 0.0
    while True:
        if office.calls != calls:
            calls, since = office.calls, time.monotonic()
        quiet = time.monotonic() - since
        if quiet > QUIET or (quiet > 2 and run.accepted <= office.finished):
            return
        await asyncio.sleep(0.05)


async def _watch(processes: Processes, sizes: list[int]) -> None:
    while True:
        await asyncio.sleep(0.5)
        sizes.append(processes.usage().rss)


def _client() -> aiohttp.ClientSession:
    """It leaves an idle connection before a receiver does (uvicorn: after 5 s), which would cut a delivery off."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(keepalive_timeout=2))


def _folder() -> Path:
    """Readable by whoever a server has to run as."""
    folder = Path(tempfile.mkdtemp(prefix=".bench-", dir=Path.cwd()))
    folder.chmod(0o755)
    return folder


def _own_cpu() -> float:
    times = os.times()
    return times.user + times.system


def _percentiles(what: str, took: list[float]) -> dict[str, float]:
    ordered = sorted(took)
    return {f"{what}_p{part}_ms": round(ordered[len(ordered) * part // 100], 1) for part in (50, 99)}
