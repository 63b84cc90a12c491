"""`crossdock users` and `crossdock tokens`."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _typed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "crossdock.db").touch()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\nanother sentence of hers\n"))


def added(cross: Callable[..., Any], name: str, *more: str) -> Any:
    return cross("users", "add", name, "--password-stdin", *more)


def test_people_are_let_in_changed_and_kept_out(cross: Callable[..., Any]) -> None:
    assert added(cross, "ann").out == "ann may sign in as operator\n"
    assert cross("users", "role", "ann", "admin").out == "ann is admin now\n"
    assert cross("users", "passwd", "ann", "--password-stdin").out == "ann has another password\n"
    assert cross("users", "disable", "ann").out == "ann is let in no more\n"
    [ann] = cross("users", "list", "--json").json["items"]
    assert (ann["name"], ann["role"], ann["disabled_at"] is None) == ("ann", "admin", False)
    assert "disabled" in cross("users", "list").out
    assert cross("users", "enable", "ann", "--json").json["disabled_at"] is None


def test_a_token_is_shown_once_with_what_it_opens_and_can_be_taken_back(cross: Callable[..., Any]) -> None:
    made = cross("tokens", "create", "prometheus", "--scope", "metrics", "--expires", "2031-01-31")
    assert made.out.startswith("cdk_")
    both = cross(
        "tokens", "create", "robot", "--role", "operator", "--scope", "runs", "--scope", "flows", "--json"
    ).json
    assert (both["scopes"], both["role"], both["token"][:4]) == (["flows", "runs"], "operator", "cdk_")
    assert cross("tokens", "create", "all", "--json").json["scopes"] is None
    listed = cross("tokens", "list", "--json").json["items"]
    assert {one["name"]: one["scopes"] for one in listed} == {
        "prometheus": ["metrics"],
        "robot": ["flows", "runs"],
        "all": None,
    }
    table = cross("tokens", "list").out
    assert "flows, runs" in table
    assert made.out.strip() not in table
    assert cross("tokens", "revoke", both["id"]).code == 0
    assert "revoked" in cross("tokens", "list").out


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("users", "add", "ann b", "--password-stdin"), "ann b is no name: letters, digits and . _ @ + -, 64 at most"),
        (("tokens", "create", "a/b"), "a/b is no name: letters, digits and . _ @ + -, 64 at most"),
        (("users", "role", "bob", "admin"), "nobody is called bob"),
        (("users", "disable", "bob"), "nobody is called bob"),
        (("tokens", "revoke", "3f9c2a11d04b"), "no token that is good has the id 3f9c2a11d04b"),
        (("tokens", "create", "robot", "--expires", "soon"), "--expires soon: write a day like 2027-01-31"),
        (("tokens", "create", "robot", "--scope", "metric"), "'metric' is not one of 'runs', 'flows', 'connections'"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(cross: Callable[..., Any], command: tuple[str, ...], told: str) -> None:
    ran = cross(*command)
    assert ran.code != 0
    assert told in ran.err
    assert ran.err.count("\n") == 1


def test_a_name_is_given_once_and_a_password_is_not_short(
    cross: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    added(cross, "ann")
    assert "there is somebody called ann already" in added(cross, "ann").err
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert "12 characters" in added(cross, "bob").err
