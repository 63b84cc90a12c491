"""What must hold between the journal and the vendors. Each function tells what is broken, one line each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

from crossdock_sdk.testing import Simulator, Standing

from crossdock.state import LegState, Phase, leg_key, unsettled
from crossdock.testing.story import Place, Story

_STANDS = frozenset({Phase.APPLIED, Phase.AMISS, Phase.KEPT, Phase.STANDS})


class _Claim(NamedTuple):
    """What one leg says of one object."""

    story: Story
    leg: str
    state: LegState
    place: Place

    def __str__(self) -> str:
        return f"run {self.story.row.id}, leg {self.leg}, {self.place.connection}.{self.place.action} {self.place.id}"

    @property
    def made(self) -> bool:
        return bool((self.state.receipt or {}).get("created", True))


def against_vendors(
    stories: Sequence[Story], simulators: Mapping[str, Simulator], before: Set[Place], gone: Set[Place]
) -> Iterator[str]:
    """What a run says stands does stand, as it was written; what it took back is gone; nothing else is there.

    `before` stood there before it all, and `gone` is what somebody else took away.
    """
    there = {
        Place(connection, action, one.id): one
        for connection, simulator in simulators.items()
        for action, objects in simulator.standing().items()
        for one in objects
    }
    looked_at = {(c, action) for c, simulator in simulators.items() for action in simulator.standing()}
    claims = [claim for claim in _claims(stories) if claim.place[:2] in looked_at]
    owners: dict[Place, list[_Claim]] = defaultdict(list)
    for claim in claims:
        if claim.state.phase in _STANDS:
            owners[claim.place].append(claim)
    for place, standing in owners.items():
        one = there.get(place)
        if one is None and place in gone:
            continue
        # What several have written to is as the last of them left it.
        for claim in standing if one is None or one.made else standing[-1:]:
            yield from _stands(claim, one)
    for claim in claims:
        if claim.state.phase is Phase.UNDONE and claim.made and not owners[claim.place]:
            one = there.get(claim.place)
            if one is not None and one.made:
                yield f"{claim}: it says it is undone, and it stands"
    written_to = {place for place, one in there.items() if not one.made}
    yield from _shared({place: standing for place, standing in owners.items() if place not in written_to})
    unowned = {p: one for p, one in there.items() if one.made and p not in before and p not in owners}
    yield from _orphans(stories, unowned)


def _claims(stories: Sequence[Story]) -> Iterator[_Claim]:
    """Of a chain of replays the newest run speaks, for it has taken over what the others left."""
    for story in stories:
        if story.replayed:
            continue
        for name, state in story.run.legs.items():
            place = story.place(state)
            if place is not None:
                yield _Claim(story, name, state, place)


def _stands(claim: _Claim, one: Standing | None) -> Iterator[str]:
    if one is None:
        yield f"{claim}: it says it is there, and it is not"
        return
    if claim.state.phase is not Phase.APPLIED:
        return
    # What was made is as it was answered: an input may have been trimmed. What was written to is as it was asked for.
    said = claim.state.receipt if one.made else claim.state.input
    for name, wanted, found in _differences(said or {}, one.facts):
        yield f"{claim}: the run says {name} {wanted!r}, and the vendor has {found!r}"


def _differences(said: Mapping[str, Any], facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    for name in said.keys() & facts.keys():
        wanted, found = said[name], facts[name]
        if isinstance(wanted, Mapping) and isinstance(found, Mapping):
            yield from _differences(wanted, found, f"{prefix}{name}.")
        elif wanted is not None and wanted != found and str(wanted) != str(found):
            yield f"{prefix}{name}", wanted, found


def _shared(owners: Mapping[Place, Sequence[_Claim]]) -> Iterator[str]:
    for claims in owners.values():
        makers = [claim for claim in claims if claim.made and claim.state.phase is not Phase.KEPT]
        if len({claim.story.row.root for claim in makers}) > 1:
            yield f"{makers[0]}: {len(makers)} runs say that they made it"


def _orphans(stories: Sequence[Story], unowned: Mapping[Place, Standing]) -> Iterator[str]:
    """Objects that nobody accounts for; only a run that is in doubt, and says so, may have made one unknowingly.

    A doubt excuses one object, and only what its intent could have made.
    """
    doubts = list(_doubts(stories))
    excused: dict[int, Place] = {}
    fits = {p: [n for n, doubt in enumerate(doubts) if doubt.may_have_made(p, one)] for p, one in unowned.items()}
    for place in sorted(unowned):
        if not _excuse(place, fits, excused, set()):
            yield f"{place.connection}.{place.action} {place.id} stands at the vendor, and no run accounts for it"


def _excuse(place: Place, fits: Mapping[Place, Sequence[int]], excused: dict[int, Place], tried: set[int]) -> bool:
    """Find a doubt for the object, moving others to another of theirs where that makes room."""
    for doubt in fits[place]:
        if doubt in tried:
            continue
        tried.add(doubt)
        if doubt not in excused or _excuse(excused[doubt], fits, excused, tried):
            excused[doubt] = place
            return True
    return False


class _Doubt(NamedTuple):
    """A write of which nobody knows whether it took effect."""

    connection: str
    action: str
    key: str
    input: Mapping[str, Any]

    def may_have_made(self, place: Place, one: Standing) -> bool:
        if (self.connection, self.action) != place[:2]:
            return False
        if one.key is not None:
            return one.key == self.key
        return not any(_alike(wanted) != _alike(found) for _, wanted, found in _differences(self.input, one.facts))


def _doubts(stories: Sequence[Story]) -> Iterator[_Doubt]:
    for story in stories:
        for name, state in story.run.legs.items():
            if unsettled(state) and not story.replayed and state.do is not None:
                connection, _, action = state.do.partition(".")
                key = leg_key(story.row.root, name, state.generation)
                yield _Doubt(connection, action, key, state.input or {})


def _alike(value: Any) -> str:
    """A value without what vendors change about names."""
    return " ".join(str(value).split()).casefold()
