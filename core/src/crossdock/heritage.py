"""What a run leaves: what a replay of it starts from, and whether anything of it stands. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossdock.state import LegState, Phase, Run, undone_unseen, unsettled


@dataclass(frozen=True, slots=True)
class Heritage:
    """What a replay takes over for one leg: `phase` is stands, amiss, doubt or fresh."""

    leg: str
    phase: str
    generation: int
    receipt: dict[str, Any] | None = None
    input: Any = None
    before: dict[str, Any] | None = None
    do: str | None = None
    account: str | None = None

    def facts(self) -> dict[str, Any]:
        """What the replay's checkpoint of it tells."""
        told: dict[str, Any] = {"generation": self.generation}
        told |= {"receipt": self.receipt} if self.receipt is not None else {}
        told |= {"input": self.input, "before": self.before} if self.input is not None else {}
        return told | {"do": self.do, "account": self.account}


def heritage(run: Run) -> tuple[Heritage, ...]:
    """What a replay of an ended run starts from, so that nothing is made twice.

    What stands is taken over. What is in doubt keeps its key. What may have been undone unseen is amiss: it is undone
    again, which is a success if it was, and written anew. Everything else gets the next generation: a vendor that
    keeps keys answers an old one with the old reply, even for an object deleted since.
    """
    return tuple(_heritage(name, leg) for name, leg in run.legs.items())


def leaves(run: Run) -> bool:
    """Whether anything that this run wrote stands, or may stand."""
    return any(map(leaves_behind, run.legs.values()))


def leaves_behind(leg: LegState) -> bool:
    """Whether anything that this leg wrote stands, or may stand."""
    return _heritage("", leg).phase != "fresh"


def _heritage(name: str, leg: LegState) -> Heritage:
    if unsettled(leg):
        return Heritage(name, "doubt", leg.generation, None, leg.input, leg.before, leg.do, leg.account)
    if leg.receipt is None or leg.phase not in {Phase.APPLIED, Phase.AMISS, Phase.STANDS}:
        return Heritage(name, "fresh", leg.generation + 1)
    phase = "amiss" if leg.amiss or undone_unseen(leg) else "stands"
    return Heritage(name, phase, leg.generation, leg.receipt, leg.input, None, leg.do, leg.account)
