"""Which runs a command line wants: checked before a desk is opened, so that a slip is told without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from crossdock.cli.errors import misused

_NO = frozenset({"", "0", "false", "no"})


def of_options(words: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the API's query string names them, without those that were not given. Raises a wrong usage."""
    return _checked({name: value for name, value in words.items() if value}, "--")


def of_filters(filters: Sequence[str]) -> dict[str, Any]:
    """`--filter NAME=VALUE`, as the API's bulk jobs take it. Raises a wrong usage."""
    from crossdock.asked import NAMES

    words: dict[str, Any] = {"status": []}
    for given in filters:
        name, equals, value = given.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in NAMES:
            raise misused(f"--filter {given}: write NAME=VALUE, with one of {', '.join(NAMES)}")
        if name == "status":
            words["status"].append(value)
        else:
            words[name] = value.lower() not in _NO if name == "needs_person" else value
    return _checked(words, "--filter ")


def _checked(words: dict[str, Any], option: str) -> dict[str, Any]:
    from crossdock.asked import runs_asked

    try:
        runs_asked(words, datetime.now(UTC))
    except ValueError as error:
        raise misused(f"{option}{error}") from None
    return words
