"""Names for runs and for processes."""

from __future__ import annotations

import os
import random
import socket
from datetime import datetime
from pathlib import Path

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]


def run_id(now: datetime, rng: random.Random) -> str:
    """26 characters that sort by time (ULID, lower case): 48 bits of milliseconds, 80 of randomness."""
    number = (int(now.timestamp() * 1000) << 80) | rng.getrandbits(80)
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def owner_id() -> str:
    """Names this process so that another one on the same machine can tell whether it still runs."""
    pid = os.getpid()
    return f"{socket.gethostname()}/{_pid_namespace()}/{pid}/{_started(pid)}"


def owner_alive(owner: str) -> bool:
    """False only if the owner's process is known to be gone; a process elsewhere is taken to be alive."""
    parts = owner.split("/")
    if len(parts) != 4 or parts[:2] != [socket.gethostname(), _pid_namespace()]:
        return True
    return _started(int(parts[2])) == parts[3]


def _pid_namespace() -> str:
    """Two containers may share a file and a host name, but not each other's process numbers."""
    try:
        return f"{Path('/proc/self/ns/pid').readlink()}".strip("pid:[]")
    except OSError:
        return "0"


def _started(pid: int) -> str:
    """When the process started, in clock ticks since boot: a number used again has another start."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return _by_signal(pid)
    fields = stat.rpartition(")")[2].split()
    return "gone" if fields[0] == "Z" else fields[19]


def _by_signal(pid: int) -> str:
    if Path("/proc/self/stat").exists():
        return "gone"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        return "unknown"
    return "unknown"
