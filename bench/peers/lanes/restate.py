"""Restate: the server from npm, and a service of its Python SDK in a process of its own (Hypercorn, as in its docs).

The webhook goes to the server's own ingress (`/…/send`), which answers once the invocation is stored; a second delivery
has the same `idempotency-key` and is the same invocation. Each of the five steps is a `ctx.run_typed`. The docs ask
for idempotent calls and give `ctx.uuid()`, which is the same in every try: with keys the invoice carries it. The kill
test kills the service, not the server.
"""

from __future__ import annotations

import subprocess

import aiohttp
import environments
from processes import free_ports, listening

from lanes.base import Delivery, Lane


class Restate(Lane):
    name = "restate"
    version = "1.7.12, SDK 1.3.0"

    @classmethod
    def install(cls) -> None:
        cls.python = environments.python("restate", "restate-sdk==1.3.0", "hypercorn==0.18.0", *environments.CLIENT)
        modules = environments.node("restate-server", {"@restatedev/restate-server-linux-x64": "1.7.12"})
        cls.server = modules / "@restatedev/restate-server-linux-x64/bin/restate-server"

    async def serve(self) -> None:
        fabric, self.ingress, self.admin = free_ports(3)
        env = {
            "RESTATE_BASE_DIR": str(self.folder / "restate"),
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_BIND_IP": "127.0.0.1",
            "RESTATE_ADVERTISED_HOST": "127.0.0.1",
            "RESTATE_BIND_PORT": str(fabric),
            "RESTATE_INGRESS__BIND_PORT": str(self.ingress),
            "RESTATE_ADMIN__BIND_PORT": str(self.admin),
            "RESTATE_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
            "RUST_LOG": "warn",
        }
        self.processes.spawn([self.server, "--no-logo"], env, log="restate.log")
        await self.processes.until(self._ready, "Restate")

    async def start(self) -> None:
        await super().start()
        async with aiohttp.ClientSession() as http:
            service = {"uri": f"http://127.0.0.1:{self.port}"}
            async with http.post(f"http://127.0.0.1:{self.admin}/deployments", json=service) as reply:
                if not reply.ok:
                    raise RuntimeError(f"Restate did not take the service: {await reply.text()}")

    async def _ready(self) -> bool:
        return await listening(self.admin) and await listening(self.ingress)

    def work(self) -> subprocess.Popen[bytes]:
        return self.app(self.python, "restate_app.py")

    def delivery(self, ident: str) -> Delivery:
        headers = {"idempotency-key": f"won-{ident}", "content-type": "application/json"}
        return Delivery(f"http://127.0.0.1:{self.ingress}/deals/won/send", b'{"id":"%b"}' % ident.encode(), headers)
