"""What the driver needs to know of a peer."""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from processes import Processes, free_ports, listening

APPS = Path(__file__).parents[1] / "apps"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Lane(ABC):
    """A peer on a fresh folder. `start` it, deliver to it; `restart` it after its worker was killed."""

    name: ClassVar[str]
    version: ClassVar[str]
    keys: ClassVar[bool] = True
    """Whether it offers a step an id that is the same in every try, to be sent as `requestid`."""
    worker: subprocess.Popen[bytes]
    """What the kill test kills: whatever runs the steps."""

    def __init__(self, folder: Path, api: str, processes: Processes, *, keyed: bool) -> None:
        self.folder = folder
        self.api = api
        self.processes = processes
        self.keyed = keyed
        self.port = free_ports(1)[0]

    @classmethod
    @abstractmethod
    def install(cls) -> None:
        """Raises `UnavailableError` if it cannot be had."""

    async def start(self) -> None:
        """Start all of it; returns once a delivery would be taken."""
        await self.serve()
        await self.restart()

    async def serve(self) -> None:
        """Start what outlives the worker, if anything does."""
        return

    async def restart(self) -> None:
        """Start the worker."""
        self.worker = self.work()
        await self.processes.until(self.ready, self.name)

    @abstractmethod
    def work(self) -> subprocess.Popen[bytes]:
        """The worker, just started."""

    async def ready(self) -> bool:
        """Whether the worker takes deliveries."""
        return await listening(self.port)

    def delivery(self, ident: str) -> Delivery:
        return Delivery(f"http://127.0.0.1:{self.port}/webhook", b'{"id":"%b"}' % ident.encode())

    def app(self, python: Path, script: str, **env: str) -> subprocess.Popen[bytes]:
        """Start a worker from `apps/`."""
        told = {"BENCH_API": self.api, "BENCH_KEYED": "1" if self.keyed else "", "BENCH_PORT": str(self.port)}
        return self.processes.spawn([python, APPS / script], told | env, log="worker.log")
