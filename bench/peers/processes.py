"""Starting the processes of a peer, ending all of them, and what they have used, from `/proc`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a set of processes has used since it started, but for `rss`, which is of now."""

    cpu: float
    """Seconds, user and system, with children that have ended."""
    written: int
    """Bytes that they caused to be sent to storage (`write_bytes`)."""
    rss: int
    """Bytes; memory that they share by name is counted once."""


class Processes:
    """All processes of one peer. `close` ends every one of them, their children too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def spawn(
        self, command: Sequence[str | Path], env: Mapping[str, str], *, log: str, user: str | None = None
    ) -> subprocess.Popen[bytes]:
        """Start it with `env` and the little that every program needs; its output goes to `log` in the folder."""
        with (self._folder / log).open("ab") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=self._folder,
                env=environment(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
            )
        self._started.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """`kill -9` of the process and all its children at once."""
        for pid in _tree([process.pid]):
            _signal(pid, signal.SIGKILL)
        process.wait()
        self._started.remove(process)

    def close(self) -> None:
        """End them in the reverse order of their start: asked first, killed after three seconds."""
        for process in reversed(self._started):
            family = _tree([process.pid])
            _signal(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(3)
            for pid in family & set(_parents()):
                _signal(pid, signal.SIGKILL)
            process.wait()
        self._started.clear()

    def usage(self) -> Usage:
        cpu = written = private = shared = 0
        for pid in _tree([process.pid for process in self._started]):
            try:
                cpu += sum(map(int, _stat(pid)[11:15]))
                written += int(_fields(f"/proc/{pid}/io")["write_bytes"])
                memory = _fields(f"/proc/{pid}/status")
            except (OSError, KeyError):
                continue  # it has just ended
            private += _kib(memory, "RssAnon") + _kib(memory, "RssFile")
            shared = max(shared, _kib(memory, "RssShmem"))
        return Usage(cpu / _TICK, written, (private + shared) * 1024)

    async def until(self, ready: Callable[[], Awaitable[bool]], what: str, patience: float = 120) -> None:
        """Wait until it is; raises `RuntimeError` with the last of the logs if a process ends or time runs out."""
        deadline = time.monotonic() + patience
        while not await ready():
            ended = [process.args for process in self._started if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise RuntimeError(f"{what} did not get ready; {ended or 'it still runs'}\n{self._logs()}")
            await asyncio.sleep(0.05)

    def _logs(self) -> str:
        return "\n".join(
            f"{path.name}: {path.read_text(errors='replace')[-1500:]}" for path in self._folder.glob("*.log")
        )


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """`env` with the little that every program needs from ours."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ} | dict(env)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on now."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


async def listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def machine_busy() -> float:
    """Seconds of CPU that the whole machine has been busy."""
    user, nice, system, _, _, irq, soft, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + soft + steal) / _TICK


def _tree(roots: list[int]) -> set[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for pid, parent in _parents().items():
        children[parent].append(pid)
    found: set[int] = set()
    left = list(roots)
    while left:
        pid = left.pop()
        found.add(pid)
        left += children[pid]
    return found


def _parents() -> dict[int, int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
            except OSError:
                continue  # it has just ended
    return parents


def _stat(pid: int) -> list[str]:
    """The fields of `/proc/PID/stat` from the third on: the second, the name, may have spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _fields(path: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in Path(path).read_text().splitlines())


def _kib(fields: Mapping[str, str], name: str) -> int:
    return int(fields[name].split()[0])


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
