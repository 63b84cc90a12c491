"""Servers in processes of their own: `crossdock serve` as it is, and `only_answers.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Server:
    """A server that takes connections."""

    url: str
    pid: int

    def rss_mib(self) -> float:
        """Its resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def cpu_seconds(self) -> float:
        """The CPU time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def crossdock(folder: Path, *, concurrency: int = 32, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """`crossdock serve` on `crossdock.yaml` and `crossdock.db` in `folder`; it finds the plugin `lane` as any other."""
    _announce_lane(folder)
    settings = {"CROSSDOCK_CONCURRENCY": str(concurrency), "CROSSDOCK_GRACE": "0", "CROSSDOCK_WATCH": "0"}
    command = [sys.executable, "-m", "crossdock", "serve", "--port", "0"]
    path = {"PYTHONPATH": os.pathsep.join([str(folder), str(HERE)])}
    with _running(command, folder, plain_env() | path | settings | dict(env or {})) as server:
        yield server


@contextmanager
def only_answers(folder: Path) -> Iterator[Server]:
    """The same FastAPI behind the same uvicorn, which reads the body and says 200."""
    with _running([sys.executable, str(HERE / "only_answers.py")], folder, plain_env()) as server:
        yield server


def plain_env() -> dict[str, str]:
    """The environment without settings of Crossdock and OpenTelemetry."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("CROSSDOCK_", "OTEL_"))}


def _announce_lane(folder: Path) -> None:
    """What pip would leave behind for an installed plugin."""
    info = folder / "crossdock_lane-0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: crossdock-lane\nVersion: 0\n")
    (info / "entry_points.txt").write_text("[crossdock]\nlane = lane\n")


@contextmanager
def _running(command: list[str], folder: Path, env: dict[str, str]) -> Iterator[Server]:
    log = folder / "server.log"
    with (
        log.open("a") as errors,
        subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            urls = [word for word in process.stdout.readline().split() if word.startswith("http://")]
            if not urls:
                raise SystemExit(f"{' '.join(command)} did not start:\n{log.read_text()}")
            yield Server(urls[0], process.pid)
        finally:
            process.terminate()
