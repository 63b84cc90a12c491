"""Checks and what they find."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Literal

from crossdock_sdk import ConnectorError

from crossdock.journal.base import JournalError

_log = logging.getLogger("crossdock.doctor")

State = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `check` is what was looked at, `found` what is the case, `fix` what to do if it is not well."""

    check: str
    state: State
    found: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A thing to look at. `calls_out`: it asks something beyond this machine's files."""

    name: str
    perform: Callable[[], Awaitable[Sequence[Finding]]]
    _: KW_ONLY
    calls_out: bool = False


async def perform(checks: Sequence[Check], seconds: float, redact: Callable[[str], str]) -> list[Finding]:
    """Perform all of them side by side, each for at most so long; what fails or hangs is a finding of its own."""
    found = await asyncio.gather(*(_performed(check, seconds) for check in checks))
    return [replace(each, found=one_line(redact(each.found))) for findings in found for each in findings]


async def _performed(check: Check, seconds: float) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(seconds):
            return await check.perform()
    except TimeoutError:
        return [Finding(check.name, "wrong", f"no end within {seconds:g} s", "see what hangs; --timeout gives it more")]
    except (ConnectorError, JournalError, OSError) as error:
        return [Finding(check.name, "wrong", str(error), "see what it says")]
    except Exception as error:
        _log.debug("the check %s failed", check.name, exc_info=True)
        return [Finding(check.name, "wrong", f"the check itself failed: {type(error).__name__}: {error}", "report it")]


def one_line(text: str) -> str:
    return " ".join(text.split())


def counted(number: int, noun: str) -> str:
    """Such as `1 run`, `3 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def span(seconds: float) -> str:
    """A duration for a person, such as `3 min`."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
