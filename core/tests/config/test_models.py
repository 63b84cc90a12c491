"""The routing file's models: durations, names, and the plan that a run keeps."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from crossdock.config.durations import format_duration, parse_duration
from crossdock.config.models import Flow, Leg, RetryPolicy
from crossdock_sdk import jsonio
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

FLOW: dict[str, Any] = {
    "name": "f",
    "when": "crm.deal.won",
    "legs": {
        "second": {"do": "books.invoice.create", "with": {"total": Decimal("1.50"), "big": 10**30, "n": None}},
        "first": {"do": "crm.deal.update", "enabled": False, "on_failure": "skip"},
    },
    "checks": [{"that": "{{ true }}", "say": "never"}],
    "retry": {"first": "1h30m", "factor": Decimal("1.5"), "max": "2d"},
    "tables": {"t": {"a": [1, {"b": Decimal("0.10")}]}},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2s", timedelta(seconds=2)),
        ("10m", timedelta(minutes=10)),
        ("1h30m", timedelta(minutes=90)),
        ("500ms", timedelta(milliseconds=500)),
        ("1d2h3m4s5ms", timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=5)),
        ("0s", timedelta()),
    ],
)
def test_a_duration_reads_as_people_write_it(text: str, value: timedelta) -> None:
    assert parse_duration(text) == value
    assert format_duration(value) == text


@pytest.mark.parametrize("text", ["", "2", "2 s", "s", "-2s", "1.5h", "30m1h", "2sec", 2, None, "1m500ms "])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is no duration; write it like 2s"):
        parse_duration(text)


@given(st.integers(0, 10**12).map(lambda ms: timedelta(milliseconds=ms)))
def test_a_duration_survives_being_written(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


def test_defaults_are_the_documented_ones() -> None:
    policy = RetryPolicy()
    assert (policy.attempts, policy.first, policy.factor, policy.max) == (
        3,
        timedelta(seconds=2),
        Decimal(4),
        timedelta(minutes=10),
    )
    flow = Flow.model_validate(FLOW | {"retry": {}})
    assert (flow.again, flow.on_failure, flow.zone, flow.key) == ("hold", "rollback", "UTC", None)


def test_the_first_pause_cannot_be_longer_than_the_longest() -> None:
    with pytest.raises(ValidationError, match="first is longer than max"):
        RetryPolicy.model_validate({"first": "1h"})


def test_do_and_when_split_at_the_first_dot() -> None:
    flow = Flow.model_validate(FLOW)
    assert (flow.source, flow.event) == ("crm", "deal.won")
    assert (flow.leg("second").connection, flow.leg("second").action) == ("books", "invoice.create")


def test_legs_keep_the_order_of_the_file_and_the_order_counts() -> None:
    flow = Flow.model_validate(FLOW)
    turned = Flow.model_validate(FLOW | {"legs": dict(reversed(FLOW["legs"].items()))})
    assert [leg.name for leg in flow.legs] == ["second", "first"]
    assert flow.plan_hash() != turned.plan_hash()


def test_a_plan_survives_json_exactly() -> None:
    flow = Flow.model_validate(FLOW)
    stored = jsonio.loads(jsonio.dumps(flow.to_plan()))
    again = Flow.from_plan(stored)
    assert again == flow
    assert again.plan_hash() == flow.plan_hash()
    assert repr(again.leg("second").with_["total"]) == "Decimal('1.50')"


def test_any_change_changes_the_hash() -> None:
    flow = Flow.model_validate(FLOW)
    changes: list[dict[str, Any]] = [
        {"zone": "Europe/Berlin"},
        {"again": "allow"},
        {"retry": {}},
        {"tables": {}},
        {"notify": ["x"]},
        {"ignore": ["deal.custom.x"]},
        {"key": "{{ deal.id }}"},
    ]
    hashes = {Flow.model_validate(FLOW | change).plan_hash() for change in changes}
    assert len(hashes | {flow.plan_hash()}) == len(changes) + 1


@pytest.mark.parametrize("name", ["write-back", "1st", "and", "None", "", "a b", "_x"])
def test_a_leg_must_have_a_name_that_expressions_can_read(name: str) -> None:
    with pytest.raises(ValidationError):
        Leg(name=name, do="a.b")


@pytest.mark.parametrize("zone", ["Europe/Berln", "../etc/passwd", "", "/etc/localtime"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="unknown time zone"):
        Flow.model_validate(FLOW | {"zone": zone})


def test_models_are_frozen_and_closed() -> None:
    flow = Flow.model_validate(FLOW)
    with pytest.raises(ValidationError, match="frozen"):
        flow.name = "other"  # type: ignore[misc]  # the mistake under test
    with pytest.raises(ValidationError, match="Extra inputs"):
        Flow.model_validate(FLOW | {"color": "red"})
