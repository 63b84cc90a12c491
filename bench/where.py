"""Where the CPU of a process goes, by room: what the event loop's thread is at, once in each millisecond of CPU."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ROOMS = (
    ("/crossdock_sdk/http/", "HTTP client"),
    ("/crossdock_sdk/models", "records and JSON"),
    ("/crossdock_sdk/jsonio", "records and JSON"),
    ("/crossdock/telemetry/", "tracing"),
    ("/crossdock/journal/", "journal, on the loop's side"),
    ("/crossdock/mapping/", "planning and mapping"),
    ("/crossdock/planning", "planning and mapping"),
    ("/crossdock/config/", "planning and mapping"),
    ("/crossdock/saga", "rules"),
    ("/crossdock/state", "rules"),
    ("/crossdock/", "performing and recording"),
    ("/bench/lane", "the connector"),
)
OTHER_THREADS = "other threads: SQLite, spans on their way out"
LOOP = "event loop, sockets and HTTP parsing"
_TICK = 0.001


class Where:
    """Counts samples by room."""

    def __init__(self) -> None:
        self.samples: Counter[str] = Counter()
        self._loop = self._all = 0.0

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Sample inside; only in the main thread, and one at a time."""
        before = signal.signal(signal.SIGPROF, self._sample)
        loop, all_ = time.thread_time(), time.process_time()
        signal.setitimer(signal.ITIMER_PROF, _TICK, _TICK)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
            self._loop += time.thread_time() - loop
            self._all += time.process_time() - all_

    def shares(self) -> dict[str, float]:
        """Percent of the CPU by room, the largest first."""
        mine = 100 * self._loop / self._all
        total = sum(self.samples.values())
        rooms = Counter({room: round(mine * count / total, 1) for room, count in self.samples.items()})
        rooms[OTHER_THREADS] = round(100 - mine, 1)
        return dict(rooms.most_common())

    def _sample(self, _: int, frame: FrameType | None) -> None:
        self.samples[_room(frame)] += 1


def _room(frame: FrameType | None) -> str:
    while frame is not None:
        for part, room in ROOMS:
            if part in frame.f_code.co_filename:
                return room
        frame = frame.f_back
    return LOOP
