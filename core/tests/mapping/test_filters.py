"""The filters in the box: each one's example, and the rules that are easy to get wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from crossdock.mapping import Filter, MappingError, compile_template, filter_box
from crossdock_sdk import Transform, jsonio

BOX = filter_box(zone="America/New_York", tables={"terms": {"net 30": "3", "10": "ten"}})
NAMES = (
    "money round date days in_zone upper lower title trim truncate default first last join split sum count map where"
    " sort lookup country phone"
)


def give(source: str, **scope: Any) -> Any:
    return compile_template(source, BOX, where="w").evaluate(scope)


def test_the_box_has_the_documented_filters_and_no_other() -> None:
    assert set(BOX) == set(NAMES.split())


@pytest.mark.parametrize("found", BOX.values(), ids=lambda f: f.name)
def test_the_example_of_each_filter_gives_what_it_says(found: Filter) -> None:
    assert found.name in found.example
    assert found.summary.endswith(".")
    assert jsonio.dumps(give(found.example)).decode() == found.gives


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("{{ 0.005 | money }}", Decimal("0.01")),
        ("{{ -0.005 | money }}", Decimal("-0.01")),
        ("{{ 1.5 | money('JPY') }}", Decimal("2")),
        ("{{ 1.0005 | money('KWD') }}", Decimal("1.001")),
        ("{{ 2.5 | round }}", Decimal(3)),
        ("{{ 2.5 | round(0, 'half_even') }}", Decimal(2)),
        ("{{ 1234 | round(-2) }}", Decimal(1200)),
        ("{{ 2.21 | round(1, 'up') }}", Decimal("2.3")),
        ("{{ at | date }}", date(2026, 1, 31)),
        ("{{ at | date(zone='Europe/Berlin') }}", date(2026, 2, 1)),
        ("{{ at | in_zone('Asia/Tokyo') | date }}", date(2026, 2, 1)),
        ("{{ at | in_zone | date('%H:%M') }}", "18:30"),
        ("{{ day | date('%d.%m.%Y %%') }}", "01.03.2026 %"),
        ("{{ day | days(-1) }}", date(2026, 2, 28)),
        ("{{ ' a b ' | trim | upper }}", "A B"),
        ("{{ 'ann-marie o’neil' | title }}", "Ann-Marie O’Neil"),
        ("{{ 'DON\\'T PANIC' | title }}", "Don't Panic"),
        ("{{ 'abcdef' | truncate(4, '') }}", "abcd"),
        ("{{ 'abc' | truncate(3) }}", "abc"),
        ("{{ [] | first | default('none') }}", "none"),
        ("{{ [] | last }}", None),
        ("{{ [] | sum }}", Decimal(0)),
        ("{{ [1, none, 'x'] | join('-') }}", "1-x"),
        ("{{ 'a;b' | split(';') }}", ["a", "b"]),
        ("{{ [{'n': 2}, {'n': 1}] | sort('n') | map('n') }}", [1, 2]),
        ("{{ [{'a': {'b': 1}}] | map('a.b') }}", [1]),
        ("{{ [{'k': '1'}, {'k': 1}] | where('k', 1) | count }}", 1),
        ("{{ [{'k': true}, {'k': none}] | where('k') | count }}", 1),
        ("{{ 10 | lookup('terms') }}", "ten"),
        ("{{ 'x' | lookup('terms', 'other') }}", "other"),
        ("{{ 'usa' | country }}", "US"),
        ("{{ 'GBR' | country }}", "GB"),
        ("{{ ' u.k. ' | country }}", "GB"),
        ("{{ 'Österreich' | country }}", "AT"),
        ("{{ '+49 (0)30 901820' | phone }}", "+4930901820"),
        ("{{ '0049 30 901820' | phone }}", "+4930901820"),
        ("{{ '(415) 555-2671' | phone('United States') }}", "+14155552671"),
        ("{{ '1 415 555 2671' | phone('US') }}", "+14155552671"),
        ("{{ '06 12345678' | phone('IT') }}", "+390612345678"),
        ("{{ '020 7946 0018' | phone('GB') }}", "+442079460018"),
    ],
)
def test_a_filter_gives(source: str, result: Any) -> None:
    given = give(source, at=datetime(2026, 1, 31, 23, 30, tzinfo=UTC), day=date(2026, 3, 1))
    assert given == result
    assert type(given) is type(result)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ 'a' | money }}", "money: a number is needed, not text"),
        ("{{ 1 | round('x') }}", "a number is needed"),
        ("{{ 1 | round(1.5) }}", "digits must be a whole number"),
        ("{{ 1 | round(1, 'sideways') }}", "how must be one of"),
        ("{{ 'soon' | date }}", "no ISO 8601 date"),
        ("{{ at | days(1) }}", "put `| date` before `| days`"),
        ("{{ day | in_zone }}", "a calendar date has no time"),
        ("{{ '2026-01-31T10:00:00' | date }}", "the instant carries no zone"),
        ("{{ at | in_zone('Europe/Berln') }}", "did you mean Europe/Berlin?"),
        ("{{ at | in_zone('../etc/passwd') }}", "unknown time zone"),
        ("{{ day | date('%H') }}", "%H is not known here"),
        ("{{ day | date('%') }}", "is not known here"),
        ("{{ 5 | upper }}", "a text is needed, not a number"),
        ("{{ 'abc' | truncate(0) }}", "shorter than"),
        ("{{ 'abc' | split('') }}", "the separator is empty"),
        ("{{ {'a': 1} | join }}", "a list is needed, not a record"),
        ("{{ 'ab' | first }}", "a list is needed, not text"),
        ("{{ [1, 'a'] | sort }}", "cannot be compared"),
        ("{{ [1, 'a'] | sum }}", "a number is needed, not text"),
        ("{{ [1] | map('a') }}", "an item is a number, so it has no a"),
        ("{{ 'net 31' | lookup('terms') }}", "table terms has no row net 31; did you mean net 30?"),
        ("{{ 'x' | lookup('term') }}", "unknown table term; did you mean terms?"),
        ("{{ 'Germny' | country }}", "unknown country; did you mean germany?"),
        ("{{ '030 901820' | phone }}", "name the country"),
        ("{{ 'call me' | phone('DE') }}", "a phone number may hold"),
        ("{{ '123' | phone('US') }}", "7 to 15 digits"),
    ],
)
def test_a_filter_refuses(source: str, says: str) -> None:
    with pytest.raises(MappingError) as caught:
        give(source, at=datetime(2026, 1, 31, 23, 30, tzinfo=UTC), day=date(2026, 3, 1))
    assert says in caught.value.message


class Odd(Transform):
    name = "odd"
    summary = "Does what a plugin should not."

    def __call__(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if value == "raise":
            raise ZeroDivisionError("plugin bug")
        return {"float": 1.5, "set": {1}, "long": "x" * 70_000}.get(value, value)


def test_a_plugins_filter_cannot_bring_in_what_is_not_allowed() -> None:
    box = filter_box(transforms={"odd": Odd(), "upper": Odd()})

    def through(value: str) -> Any:
        return compile_template("{{ a | odd }}", box, where="w").evaluate({"a": value})

    assert through("fine") == "fine"
    for value, says in (
        ("raise", "ZeroDivisionError: plugin bug"),
        ("float", "float"),
        ("set", "a set"),
        ("long", "65536"),
    ):
        with pytest.raises(MappingError, match=says):
            through(value)
    assert compile_template("{{ 'a' | upper }}", box, where="w").evaluate({}) == "A"
