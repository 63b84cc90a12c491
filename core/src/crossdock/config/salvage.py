"""As much of a flow as can be understood, so that one mistake in it does not hide the others."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from crossdock.config.explain import one
from crossdock.config.models import Flow
from crossdock.words import did_you_mean

_ROUNDS = 8
_UNREADABLE = "unreadable.event"
_UNSAID = "(nothing)"
_GONE = object()


@dataclass(slots=True)
class Salvage:
    """`flow` is None if nothing of it can be checked. `lost` are legs that are left out of it."""

    flow: Flow | None = None
    lost: frozenset[str] = frozenset()
    event_known: bool = True
    mistakes: list[tuple[tuple[str, ...], str]] = field(default_factory=list)


def salvage_flow(name: str, body: Any) -> Salvage:
    """Validate a flow as the file has it; what is wrong is reported and left out."""
    found = Salvage()
    if not isinstance(body, dict):
        found.mistakes.append(((), "a flow must be a mapping with when and legs"))
        return found
    data = copy.deepcopy(body) | {"name": name}
    if "name" in body:
        found.mistakes.append((("name",), "unknown key name; the key above it is the flow's name"))
    data["legs"] = _legs(body, found)
    for turn in range(_ROUNDS):
        try:
            found.flow = Flow.model_validate(data)
        except ValidationError as error:
            _prune(data, error, found, first=turn == 0)
        else:
            break
        if not data["legs"]:
            break
    return found


def _legs(body: dict[str, Any], found: Salvage) -> list[Any]:
    given = body.get("legs")
    if not isinstance(given, dict) or not given:
        place = ("legs",) if "legs" in body else ()
        found.mistakes.append((place, "a flow needs at least one leg: `legs: {name: {do: …, with: …}}`"))
        return []
    legs = []
    for name, leg in given.items():
        if not isinstance(leg, dict):
            found.mistakes.append((("legs", name), "a leg must be a mapping with do and with"))
            found.lost |= {name}
            continue
        for wrong in {"name", "with_"} & leg.keys():
            hint = did_you_mean(wrong, ["with"]) if wrong == "with_" else "; the key above it is the leg's name"
            found.mistakes.append((("legs", name, wrong), f"unknown key {wrong}{hint}"))
        legs.append({k: copy.deepcopy(v) for k, v in leg.items() if k not in ("name", "with_")} | {"name": name})
    return legs


def _prune(data: dict[str, Any], error: ValidationError, found: Salvage, *, first: bool) -> None:
    for item in error.errors(include_url=False, include_input=False):
        loc = item["loc"]
        if (first or item["type"] != "missing") and loc != ("legs",):
            found.mistakes.append((_path(data, loc), one(dict(item), Flow)))
        _leave_out(data, loc, found, whole=item["type"] == "missing")
    for leg in data["legs"]:
        if leg.get("gone") is _GONE:
            found.lost |= {leg["name"]}
    data["legs"] = [leg for leg in data["legs"] if leg.get("gone") is not _GONE]
    if isinstance(data.get("checks"), list):
        data["checks"] = [check for check in data["checks"] if check is not _GONE]
    for key in ("notify", "ignore"):
        if isinstance(data.get(key), list):
            data[key] = [name for name in data[key] if name is not _GONE]


def _path(data: dict[str, Any], loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """Pydantic's place as the file has it: legs go by name there."""
    if len(loc) > 1 and loc[0] == "legs" and isinstance(loc[1], int):
        rest = () if loc[2:] == ("name",) else loc[2:]
        return ("legs", str(data["legs"][loc[1]]["name"]), *map(str, rest))
    return tuple(map(str, loc))


def _leave_out(data: dict[str, Any], loc: tuple[int | str, ...], found: Salvage, *, whole: bool) -> None:
    if loc[:1] == ("when",):
        data["when"] = _UNREADABLE
        found.event_known = False
    elif loc == ("legs",):
        return
    elif loc[:1] == ("legs",):
        leg = data["legs"][loc[1]]
        if whole or len(loc) < 3 or loc[2] == "name" or loc[2] not in leg:
            leg["gone"] = _GONE
        else:
            del leg[loc[2]]
    elif whole and loc[:1] == ("checks",) and loc[-1] == "say":
        data["checks"][loc[1]]["say"] = _UNSAID
    elif len(loc) > 1 and isinstance(loc[1], int) and isinstance(data.get(str(loc[0])), list):
        data[str(loc[0])][loc[1]] = _GONE
    elif len(loc) > 1 and isinstance(data.get(str(loc[0])), dict):
        data[str(loc[0])].pop(loc[1], None)
    elif loc:
        data.pop(str(loc[0]), None)
