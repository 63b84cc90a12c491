"""What is wrong with a flow that follows another, as far as it can be told without calling anyone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crossdock_sdk import Action, EventSpec

from crossdock.config.models import ORIGIN, Flow, Leg
from crossdock.config.names import Names
from crossdock.config.problems import Finding, finding
from crossdock.mapping import Path
from crossdock.mapping.paths import PRESENCE
from crossdock.mapping.shapes import Shape, fields_of, wrong_steps
from crossdock.plugins import Registry
from crossdock.words import did_you_mean, nearest

_PLACE = ("follow",)


@dataclass(frozen=True, slots=True)
class Following:
    """One flow beside all flows of the file; None stands for a flow of which nothing can be understood."""

    flow: Flow
    flows: Mapping[str, Flow | None]
    spec: EventSpec | None
    registry: Registry
    names: Names

    @property
    def followed(self) -> Flow | None:
        """The flow that is followed, or the one that was meant."""
        name = self.flow.follow or ""
        right = name if name in self.flows else nearest(name, self._others)
        return self.flows.get(right) if right else None

    @property
    def _others(self) -> list[str]:
        return [name for name in self.flows if name != self.flow.name]

    def findings(self) -> Iterator[Finding]:
        """What is wrong with `follow` itself."""
        name = self.flow.follow
        if name is None:
            return
        if name == self.flow.name:
            yield finding(_PLACE, "a flow cannot follow itself; name the flow that makes what the event is about")
            return
        if name not in self.flows:
            hint = did_you_mean(name, self._others) or f"; there are {', '.join(self._others) or 'no others'}"
            yield finding(_PLACE, f"unknown flow {name}{hint}")
        elif self._in_a_ring():
            yield finding(_PLACE, f"{name} follows this flow in turn; one of them must begin")
        if self.spec is not None and self.followed is not None:
            yield from self._about(self.spec, self.followed)

    def _in_a_ring(self) -> bool:
        seen, at = set[str](), self.flow.follow
        while at is not None and at not in seen and at != self.flow.name:
            seen.add(at)
            flow = self.flows.get(at)
            at = flow.follow if flow else None
        return at == self.flow.name

    def _about(self, spec: EventSpec, followed: Flow) -> Iterator[Finding]:
        """Whether some leg makes what the event is about."""
        source = self.flow.source
        if not spec.object:
            yield finding(
                _PLACE, f"{self.flow.when} is about nothing that a leg makes; follow with an event about an object"
            )
            return
        actions = [(leg, self._action(leg)) for leg in followed.legs]
        if any(action is None for _, action in actions):
            # What is wrong with that leg is said there.
            return
        here = [(leg, action) for leg, action in actions if leg.connection == source]
        making = [leg for leg, action in here if action and action.object == spec.object]
        if not making:
            about = f"what {self.flow.when} is about: {spec.object} in {source}"
            yield finding(_PLACE, f"{followed.name} has no leg that makes {about}")
        elif not any(leg.enabled for leg in making):
            yield finding(
                _PLACE, f"the leg {making[0].name} of {followed.name}, which makes the {spec.object}, is not enabled"
            )

    def read(self, read: Path, path: tuple[str, ...]) -> Iterator[Finding]:
        """What is wrong with one read of `origin`."""
        if self.flow.follow is None:
            yield finding(path, f"{ORIGIN} is the run that a flow follows; write `follow: <flow>` above `legs`")
            return
        followed = self.followed
        if followed is None:
            return
        if len(read) < 2 or read[1] == PRESENCE:
            such = f"{ORIGIN}.{followed.legs[0].name}.id"
            yield finding(path, f"{ORIGIN} has receipts by leg; read a field of one, such as {such}")
            return
        names = [leg.name for leg in followed.legs]
        right = read[1] if read[1] in names else nearest(read[1], names)
        if read[1] not in names:
            hint = f"; did you mean {ORIGIN}.{right}?" if right else f"; it has {', '.join(names)}"
            yield finding(path, f"{followed.name} has no leg {read[1]}{hint}")
        if right is not None:
            at = f"{ORIGIN}.{right}"
            fields = self._receipt(followed.leg(right))
            if fields is not None:
                yield from (finding(path, wrong) for wrong in wrong_steps({at: fields}, (at, *read[2:])))

    def _receipt(self, leg: Leg) -> dict[str, Shape] | None:
        action = self._action(leg)
        if action is None:
            return None
        fields = fields_of(action.receipt)
        fields.pop("undo", None)
        return fields

    def _action(self, leg: Leg) -> type[Action[Any]] | None:
        right = self.names.action(leg.do).right or leg.do
        connection, _, action = right.partition(".")
        return self.registry.action(self.names.known.get(connection, ""), action)
