"""What a flow that follows another may use of the run that it follows, and what it does without; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crossdock.config.models import ORIGIN, Flow
from crossdock.mapping import Path
from crossdock.state import LegState, Phase, Run

_STANDS = frozenset({Phase.APPLIED, Phase.AMISS, Phase.STANDS})


@dataclass(frozen=True, slots=True)
class Lack:
    """A leg of the origin that has no receipt. `optional`: the followed flow may do without it."""

    leg: str
    why: str
    optional: bool


def stands(leg: LegState) -> bool:
    """Whether what a leg wrote is there, so that its receipt can be followed."""
    return leg.receipt is not None and leg.phase in _STANDS


def origin_facts(run: Run, flow: Flow, reads: Iterable[Path]) -> dict[str, Any]:
    """What a checkpoint keeps of an origin that has ended: its receipts by leg, and what it is without.

    `reads` is what the following flow reads; `accounts` are those in which the legs that it reads were written.
    """
    told = {name: leg for name, leg in run.legs.items() if stands(leg)}
    read = {path[1] for path in reads if path[0] == ORIGIN and len(path) > 1}
    return {
        "legs": {name: {"do": leg.do, "receipt": _shown(leg.receipt or {})} for name, leg in told.items()},
        "without": {leg.name: _why(flow, leg.name, run) for leg in flow.legs if leg.name not in told},
        "accounts": {
            str(leg.do).partition(".")[0]: leg.account for name, leg in told.items() if name in read and leg.account
        },
    }


def _why(flow: Flow, name: str, run: Run) -> dict[str, Any]:
    leg = flow.leg(name)
    if not leg.enabled:
        return {"why": "was not enabled", "optional": True}
    if (leg.on_failure or flow.on_failure) == "skip" or name in run.left_out:
        return {"why": "was left out", "optional": True}
    return {"why": "has no receipt", "optional": False}


def _shown(receipt: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in receipt.items() if name != "undo"}


def lack(reads: Iterable[Path], origin: Mapping[str, Any] | None) -> Lack | None:
    """What these reads need of the origin and it does not have; one that it should have goes first."""
    if origin is None:
        return None
    names = {path[1] for path in reads if path[0] == ORIGIN and len(path) > 1}
    found = [_lack(name, origin) for name in sorted(names - origin["legs"].keys())]
    return min(found, key=lambda one: one.optional, default=None)


def _lack(leg: str, origin: Mapping[str, Any]) -> Lack:
    where = f"in run {origin['run']} of {origin['flow']}, which ended {origin['status']}"
    known = origin["without"].get(leg)
    if known is None:
        return Lack(leg, f"there was no leg {leg} {where}", optional=False)
    return Lack(leg, f"{leg} {known['why']} {where}", optional=known["optional"])
