"""Secrets of the connections where they do harm: too short to be masked, or said in clear by a flow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from crossdock_sdk import Redactor, jsonio
from crossdock_sdk.redaction import SHORTEST

from crossdock.config.models import Flow
from crossdock.config.problems import Finding, Place


def too_short(secrets: Mapping[str, str]) -> tuple[str, ...]:
    """A warning for each secret that cannot be masked; the keys are places such as `connections.crm.api_token`."""
    return tuple(
        f"{place} has {len(value)} character{'' if len(value) == 1 else 's'}: too short to be masked in logs and"
        " alerts; use a longer one"
        for place, value in secrets.items()
        if 0 < len(value) < SHORTEST
    )


class Clear:
    """Finds secrets in flows: the journal would mask them there, and what a run keeps would not be what it is to do."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        places: dict[str, str] = {}
        for place, value in secrets.items():
            if len(value) >= SHORTEST:
                places.setdefault(value, place)
        self._secrets = [(place, _redactor(value)) for value, place in places.items()]

    def findings(self, name: str, body: Any, flow: Flow | None) -> Iterator[Finding]:
        """Each place of a flow, as the file has it, that holds a secret; `flow` is what it was read as."""
        for place, redactor in self._secrets:
            held = [(at, what) for at, what, text in _texts({name: body}, ("flows",)) if _masked(redactor, text)]
            for at, what in dict.fromkeys(held):
                yield Finding(at, f"{what}contains the secret of {place}; change one of them")
            if not held and flow is not None and _masked(redactor, jsonio.dumps(flow.to_plan()).decode()):
                yield Finding(("flows", name), f"the secret of {place} is a word of every flow's plan; change it")


def _texts(value: Any, at: Place) -> Iterator[tuple[Place, str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield at, "a key in it ", key
            yield from _texts(item, (*at, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*at, str(index)))
    elif isinstance(value, (str, int, Decimal)):
        yield at, "", str(value)


def _redactor(secret: str) -> Redactor:
    redactor = Redactor()
    redactor.add(secret)
    return redactor


def _masked(redactor: Redactor, text: str) -> bool:
    return redactor.text(text) != text
