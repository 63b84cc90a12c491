"""Places between two things that belong together, where a test may let the process die. Otherwise they do nothing.

A place has a row in `POINTS`, which says what has happened there and what has not. `reach` is called in passing;
`arm` gives it something to do, and is for tests alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

POINTS = {
    "intake.verified": "a delivery is read and believed; nothing of it is stored",
    "intake.stored": "its event and runs are committed; the vendor has no answer",
    "poll.read": "a page of a poll is read; nothing of it is stored",
    "poll.stored": "its events, their runs and the cursor after it are committed",
    "journal.written": "units are written; their transaction is not committed",
    "journal.committed": "a transaction is committed; nobody knows of it",
    "run.claimed": "a run is claimed; nothing is decided",
    "run.taken_over": "it is noted that another performer vanished; nothing is decided",
    "run.rested": "a run waits, stops or has ended; its spans are not told",
    "step.decided": "what is next is decided; nothing is done",
    "step.performed": "a step is performed; its outcome is in memory",
    "step.recorded": "its outcome is taken in; what follows is not begun",
    "lock.reserved": "a lock is taken for a leg; nothing of it is written",
    "leg.intended": "an intent is committed; nothing is asked of the vendor",
    "http.sending": "a request is made; nothing of it has left",
    "http.replied": "the vendor has acted and answered; the answer is in memory",
    "token.granted": "a token is granted; it is not stored",
    "token.stored": "a token is stored; it is not used",
    "alert.taken": "an alert is taken up; its notifier has not been asked",
    "alert.delivered": "a notifier has an alert; that is not noted",
}
"""Name → what has happened, and what has not."""

Hook: TypeAlias = Callable[[str, str], None]
"""Called with a point's name and what it is about, such as the kind of step; may raise, or end the process."""

_hook: Hook | None = None


def reach(name: str, about: str = "") -> None:
    """Pass a point. It does nothing unless a test has armed it."""
    if _hook is not None:
        _hook(name, about)


def arm(hook: Hook | None) -> None:
    """Have `hook` called at every point that this process reaches; None: no more."""
    global _hook
    _hook = hook
