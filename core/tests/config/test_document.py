"""Our YAML: exact types, known lines, and nothing that bites."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest
from crossdock.config.document import MAX_NODES, read_yaml


def data(text: str) -> Any:
    document = read_yaml(text)
    assert document.mistakes == []
    return document.data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10.10", Decimal("10.10")),
        ("0.1", Decimal("0.1")),
        ("-3.50", Decimal("-3.50")),
        ("12", 12),
        ("0", 0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("NO", "NO"),
        ("on", "on"),
        ("yes", "yes"),
        ("0123", "0123"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("1e5", "1e5"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("2026-01-31", "2026-01-31"),
        ("'10.10'", "10.10"),
        ("9" * 60, "9" * 60),
    ],
)
def test_a_scalar_has_the_type_that_a_person_expects(text: str, value: Any) -> None:
    given = data(f"a: {text}\n")["a"]
    assert given == value
    assert type(given) is type(value)


def test_keys_are_text_as_written() -> None:
    assert data("{1: a, true: b, NO: c, 1.50: d}") == {"1": "a", "true": "b", "NO": "c", "1.50": "d"}


def test_every_value_knows_its_line() -> None:
    document = read_yaml("a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n")
    assert document.mark(("a", "b")) == (2, 3)
    assert document.mark(("a", "c", "1", "d")) == (5, 8)
    assert document.mark(("a", "c", "1", "nothing", "here")) == (5, 7)
    assert document.mark(("nowhere",)) == (1, 1)


def test_anchors_and_merges_work() -> None:
    text = "base: &b {x: 1, y: 2}\none: *b\ntwo: {<<: *b, y: 3}\nthree: {<<: [{y: 5}, *b], z: 4}\n"
    assert data(text) == {
        "base": {"x": 1, "y": 2},
        "one": {"x": 1, "y": 2},
        "two": {"x": 1, "y": 3},
        "three": {"x": 1, "y": 5, "z": 4},
    }


def test_a_duplicate_key_is_a_mistake_with_both_lines() -> None:
    document = read_yaml("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n")
    assert [(mark[0], path, message) for mark, path, message in document.mistakes] == [
        (4, ("b", "c"), "the key c is here twice; first in line 3"),
        (5, ("a",), "the key a is here twice; first in line 1"),
    ]


def test_billion_laughs_is_stopped_early() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    began = time.perf_counter()
    document = read_yaml("\n".join(lines))
    assert time.perf_counter() - began < 5
    assert f"more than {MAX_NODES} values" in document.mistakes[0][2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &a [*a]", "an anchor contains itself"),
        ("a: &a {b: *a}", "an anchor contains itself"),
        ("a: &a {<<: *a}", "an anchor contains itself"),
        ("a: !!python/object/apply:os.system [ls]", "the tag !!python/object/apply:os.system is not allowed"),
        ("a: !include x", "the tag !include is not allowed"),
        ("a: !!binary aGk=", "the tag !!binary is not allowed"),
        ("a: [1", "not YAML"),
        ("a: *nobody", "not YAML"),
        ("a: 1\n---\nb: 2", "not YAML"),
        ("\ta: 1", "not YAML"),
        ("a: \x00", "not YAML"),
        ("{[1]: 2}", "a key must be text"),
        ("a: {<<: 5}", "<< needs a mapping"),
        ("[" * 5000, "nested too deeply"),
        ("a: " + "[" * 300 + "]" * 300, "nested"),
        ("[" * 20_000 + "]" * 20_000, "nested too deeply"),
        ("a: " + "x" * 1_000_001, "longer than"),
    ],
)
def test_what_bites_is_refused_with_a_reason(text: str, says: str) -> None:
    document = read_yaml(text)
    assert any(says in message for _, _, message in document.mistakes), document.mistakes
