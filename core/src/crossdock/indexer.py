"""Keeps the words by which runs are found up with the runs: a little at a time, seconds behind at most."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from crossdock.journal.base import Journal, JournalError

_log = logging.getLogger("crossdock.indexer")

EVERY = 1.0
"""Seconds between looks while there is nothing to do; new words are worth waiting for together."""
BREATH = 0.05
"""Seconds between two pieces, in which the journal's threads are there for runs."""
YIELD = 5.0
"""Seconds after which another process that has done a piece is looked after again."""
TROUBLE = 10.0
"""Seconds until a journal that failed is tried again."""


class Indexer:
    """Indexes what changes in a journal, whichever process changed it. `sleep` takes seconds."""

    def __init__(self, journal: Journal, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._journal = journal
        self._sleep = sleep

    async def work(self) -> None:
        """Index until cancelled."""
        while True:
            await self._sleep(await self._pause())

    async def catch_up(self) -> None:
        """Index all that there is now. Raises `JournalError`."""
        while await self._journal.index.round() is not None:
            pass

    async def _pause(self) -> float:
        try:
            done = await self._journal.index.round()
        except JournalError as error:
            # The journal says itself, once, when it takes no writes; runs do not depend on this.
            _log.debug("indexing: %s", error)
            return TROUBLE
        except Exception:
            _log.exception("indexing met an error of its own and goes on")
            return TROUBLE
        if done is None:
            return EVERY
        return BREATH if done else YIELD
