"""What the commands tell of a flow that follows another."""

from __future__ import annotations

from pathlib import Path

import pytest
from crossdock.cli.check import _contents, _summary
from crossdock.config.load import Loaded, load
from crossdock.forecast import Forecast, forecast
from crossdock.plugins import Registry, load_plugins
from crossdock.timeline import sentence
from crossdock_sdk import Redactor
from scripted import Plugin, Vendor

ROUTING = """
version: 1
connections: {v: {connector: scripted, base_url: "http://127.0.0.1:9"}}
flows:
  make: {when: v.deal.won, legs: {made: {do: v.key.create, with: {text: "{{ deal.title }}"}}}}
  done:
    when: v.thing.done
    follow: make
    checks: [{that: "{{ origin.made.id == thing.id }}", say: another thing}]
    legs: {status: {do: v.put.update, with: {text: "{{ thing.state }}", ref: "{{ origin.made.number }}"}}}
"""


@pytest.fixture(scope="module")
def scripted() -> Registry:
    return load_plugins(extra=[Plugin(Vendor())], entry_points=())


@pytest.fixture(scope="module")
def routing(scripted: Registry) -> Loaded:
    return load(ROUTING, env={}, registry=scripted)


def planned(routing: Loaded, scripted: Registry, flow: str) -> Forecast:
    spec = scripted.event("scripted", routing.flows[flow].flow.event)
    assert spec is not None
    records = {"deal.won": {"deal": {"id": "1"}}, "thing.done": {"thing": {"id": "key.create-1"}}}[spec.type]
    return forecast(routing.flows[flow], spec, records, Redactor())


def test_a_plan_says_what_only_the_run_that_is_followed_can_tell(routing: Loaded, scripted: Registry) -> None:
    found = planned(routing, scripted, "done")
    assert (found.ok, found.follow) == (True, "make")
    assert dict(found.legs[0].fields()) == {"text": "done", "ref": "known after origin"}
    assert (found.checks[0].result, found.checks[0].note) == ("later", "known after origin")
    assert planned(routing, scripted, "make").follow is None


def test_a_check_names_the_flow_that_is_followed(routing: Loaded) -> None:
    assert "  done: v.thing.done, after make → status" in _summary(Path("x"), routing)
    flows = _contents(routing)["flows"]
    assert [flows[name]["follow"] for name in ("make", "done")] == [None, "make"]


@pytest.mark.parametrize(
    ("phase", "data", "says"),
    [
        ("done", {"run": "r1", "status": "dead"}, "follows run r1 of make, which made invoice 9 and ended dead"),
        ("awaited", {"run": "r1", "made": True}, "waits for run r1 of make, which made invoice 9"),
        ("awaited", {"run": "r1", "made": False}, "waits for run r1 of make, which may have made invoice 9"),
        (
            "failed",
            {"error": {"kind": "void", "message": "no run of make made invoice 9"}},
            "nothing to follow: no run of make made invoice 9",
        ),
    ],
)
def test_a_story_tells_what_is_followed(phase: str, data: dict[str, object], says: str) -> None:
    about = {"flow": "make", "object": "invoice", "subject": "9"}
    assert sentence({"kind": "origin", "leg": None, "phase": phase, "data": about | data}) == says


def test_a_story_tells_what_is_left_out_and_what_was_waited_for() -> None:
    plan = {"inputs": {"deal": {}}, "left_out": {"task": "task was not enabled in run r1 of make, which ended dead"}}
    assert sentence({"kind": "plan", "leg": None, "phase": "done", "data": plan}) == (
        "planned 1 writes; guard and checks hold;"
        " task is left out, for task was not enabled in run r1 of make, which ended dead"
    )
    over = {"kind": "awaited", "leg": None, "phase": "done", "data": {"run": "r1"}}
    assert sentence(over) == "run r1, which it waited for, has ended"
