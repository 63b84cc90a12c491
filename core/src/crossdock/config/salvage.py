"""As much of a flow as can be understood, so that one mistake in it does not hide the others."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from crossdock.config.explain import one
from crossdock.config.keys import meant_key, unknown_key
from crossdock.config.models import Check, Flow, Leg, RetryPolicy
from crossdock.config.names import Names
from crossdock.config.problems import Place
from crossdock.words import did_you_mean, nearest

_ROUNDS = 8
_UNREADABLE = "unreadable.name"
_UNSAID = "(nothing)"
_NO_LEGS = "a flow needs at least one leg: `legs: {name: {do: …, with: …}}`"
_STAND_IN = "standIn"
_GONE = object()


@dataclass(slots=True)
class Salvage:
    """`flow` is None if nothing of it can be checked.

    `lost` are legs of which it is not known what they do, `partial` those whose inputs are not all known. `renamed`
    has, for a place in the flow as it is meant, what the file says for the last step.
    """

    flow: Flow | None = None
    lost: frozenset[str] = frozenset()
    partial: frozenset[str] = frozenset()
    event_known: bool = True
    legs_known: bool = True
    mistakes: list[tuple[Place, str]] = field(default_factory=list)
    renamed: dict[Place, str] = field(default_factory=dict)

    def written(self, place: Place) -> Place:
        """A place in the flow as the file has it."""
        return tuple(self.renamed.get(place[: index + 1], step) for index, step in enumerate(place))


def salvage_flow(name: str, body: Any, names: Names) -> Salvage:
    """Validate a flow as the file has it; what is wrong is reported, and mended or left out."""
    found = Salvage()
    if not isinstance(body, dict):
        found.mistakes.append(((), "a flow must be a mapping with when and legs"))
        return found
    data = _right_keys(copy.deepcopy(body), Flow, (), found)
    if isinstance(data.get("retry"), dict):
        data["retry"] = _right_keys(data["retry"], RetryPolicy, ("retry",), found)
    if isinstance(data.get("checks"), list):
        checks = enumerate(data["checks"])
        data["checks"] = [_right_keys(check, Check, ("checks", str(index)), found) for index, check in checks]
    data |= {"name": name, "legs": _legs(data, found)}
    for turn in range(_ROUNDS):
        try:
            flow = Flow.model_validate(data)
        except ValidationError as error:
            _prune(data, error, found, names, first=turn == 0)
        else:
            found.flow = flow.model_copy(update={"legs": tuple(leg for leg in flow.legs if leg.name != _STAND_IN)})
            break
    return found


def _right_keys(body: Any, model: type[BaseModel], place: Place, found: Salvage) -> Any:
    """A mapping with the keys that were meant; keys that mean nothing are left out."""
    if not isinstance(body, dict):
        return body
    names = [info.alias or name for name, info in model.model_fields.items() if name != "name"]
    right: dict[str, Any] = {key: value for key, value in body.items() if key in names}
    for key, value in body.items():
        if key in names:
            continue
        of = {Flow: "flow", Leg: "leg"}.get(model)
        hint = f"unknown key name; the key above it is the {of}'s name" if of and key == "name" else None
        found.mistakes.append(((*place, key), hint or unknown_key(key, names)))
        meant = None if hint else meant_key(key, names)
        if meant and meant not in right:
            right[meant] = value
            found.renamed[*place, meant] = key
    return right


def _legs(body: dict[str, Any], found: Salvage) -> list[Any]:
    given = body.get("legs")
    legs = []
    if not isinstance(given, dict) or not given:
        found.mistakes.append((("legs",) if "legs" in body else (), _NO_LEGS))
        found.legs_known = False
        given = {}
    for index, (name, leg) in enumerate(given.items()):
        if isinstance(leg, dict):
            known = _leg_name(name, index, found)
            legs.append(_right_keys(leg, Leg, ("legs", known), found) | {"name": known})
        else:
            found.mistakes.append((("legs", name), "a leg must be a mapping with do and with"))
            found.lost |= {name}
    # The rest of a flow without legs is judged as well, but no flow may be without.
    return legs or [{"name": _STAND_IN, "do": _UNREADABLE}]


def _leg_name(name: str, index: int, found: Salvage) -> str:
    try:
        return Leg(name=name, do=_UNREADABLE).name
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        found.mistakes.append((("legs", name), one(dict(first), Leg)))
    known = f"{_STAND_IN}{index}"
    found.renamed["legs", known] = name
    found.lost |= {name}
    return known


def _prune(data: dict[str, Any], error: ValidationError, found: Salvage, names: Names, *, first: bool) -> None:
    for item in error.errors(include_url=False):
        loc, missing, hint = item["loc"], item["type"] == "missing", ""
        if loc == ("legs",):
            # Pydantic counts only those that are right.
            continue
        if loc[-1:] in (("when",), ("do",)):
            hint = _guess(data, loc, found, names)
        elif loc:
            _leave_out(data, loc, found)
        if first or not missing:
            found.mistakes.append((_path(data, loc), one(dict(item), Flow) + hint))
    if isinstance(data.get("checks"), list):
        data["checks"] = [check for check in data["checks"] if check is not _GONE]
    for key in ("notify", "ignore"):
        if isinstance(data.get(key), list):
            data[key] = [name for name in data[key] if name is not _GONE]


def _path(data: dict[str, Any], loc: Sequence[int | str]) -> Place:
    """Pydantic's place with legs by name."""
    if len(loc) > 1 and loc[0] == "legs" and isinstance(loc[1], int):
        return ("legs", str(data["legs"][loc[1]]["name"]), *map(str, loc[2:]))
    return tuple(map(str, loc))


def _guess(data: dict[str, Any], loc: Sequence[int | str], found: Salvage, names: Names) -> str:
    """Put the nearest right name in place of one that cannot be read; the hint for the message."""
    at: Any = data
    for step in loc[:-1]:
        at = at[step]
    said, choices = at.get(loc[-1]), names.events if loc[-1] == "when" else names.actions
    right = nearest(said, choices) if isinstance(said, str) else None
    at[loc[-1]] = right or _UNREADABLE
    if loc[-1] == "do":
        kept = {at["name"]}
        found.lost, found.partial = found.lost if right else found.lost | kept, found.partial | kept
    else:
        found.event_known = right is not None
    return did_you_mean(said, choices) if right else ""


def _leave_out(data: dict[str, Any], loc: Sequence[int | str], found: Salvage) -> None:
    if loc[0] == "legs":
        leg = data["legs"][loc[1]]
        leg.pop(loc[2], None)
        found.partial |= {leg["name"]} if loc[2] == "with" else set()
    elif loc[0] == "checks" and loc[2:] == ("say",):
        check = data["checks"][loc[1]]
        data["checks"][loc[1]] = check if check is _GONE else check | {"say": _UNSAID}
    elif len(loc) > 1 and isinstance(loc[1], int) and isinstance(data.get(str(loc[0])), list):
        data[str(loc[0])][loc[1]] = _GONE
    elif loc[0] == "tables" and len(loc) > 1 and isinstance(data["tables"], dict):
        data["tables"][loc[1]] = {}
    elif len(loc) > 1 and isinstance(data.get(str(loc[0])), dict):
        data[str(loc[0])].pop(loc[1], None)
    else:
        data.pop(str(loc[0]), None)
