"""Crossdock itself: `crossdock serve` with the connector of `bench/lane.py` as an installed plugin.

Its invoice is found again by its deal before it is written a second time (`Redo.LOOKUP`). With keys it is written as
the QuickBooks connector does: the leg's key goes as `requestid`, and it is looked for first all the same.
"""

from __future__ import annotations

import base64
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import lane

from lanes.base import APPS, Delivery, Lane

_CREDENTIALS = f"Basic {base64.b64encode(b'bench:bench-password').decode()}"


class Crossdock(Lane):
    name = "crossdock"
    version = version("crossdock")

    @classmethod
    def install(cls) -> None:
        """It runs in the environment that this command runs in."""

    async def serve(self) -> None:
        lane.routing(self.folder, self.api)
        plugin = self.folder / "bench_lane-0.dist-info"
        plugin.mkdir()
        (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-lane\nVersion: 0\n")
        (plugin / "entry_points.txt").write_text(f"[crossdock]\nlane = {'crossdock_keyed' if self.keyed else 'lane'}\n")

    def work(self) -> subprocess.Popen[bytes]:
        path = [self.folder, Path(lane.__file__).parent, APPS]
        env = {
            "PYTHONPATH": ":".join(map(str, path)),
            "CROSSDOCK_CONFIG": str(self.folder / "crossdock.yaml"),
            "CROSSDOCK_DATABASE_URL": f"sqlite:///{self.folder / 'crossdock.db'}",
        }
        command = [sys.executable, "-m", "crossdock", "serve", "--port", str(self.port)]
        return self.processes.spawn(command, env, log="worker.log")

    def delivery(self, ident: str) -> Delivery:
        url = f"http://127.0.0.1:{self.port}/webhooks/lane"
        return Delivery(url, b'{"id":"%b"}' % ident.encode(), {"authorization": _CREDENTIALS})
