"""`follow`: what is wrong with it, and with what is read of the origin, is found before anything runs."""

from __future__ import annotations

import pytest
from crossdock.config.load import ConfigProblems, Loaded, load
from crossdock.config.models import Flow
from crossdock.mapping.document import rows
from crossdock.plugins import Registry, load_plugins
from scripted import Plugin, Vendor

GOOD = """\
version: 1
connections:
  v:     {connector: scripted, base_url: "http://127.0.0.1:9"}
  other: {connector: scripted, base_url: "http://127.0.0.1:9"}
flows:
  make:
    when: v.deal.won
    legs:
      made: {do: v.key.create, with: {text: "{{ deal.title }}"}}
      task: {do: other.key.create, enabled: false, with: {text: a task}}
  done:
    when: v.thing.done
    follow: make
    legs:
      status: {do: v.put.update, with: {text: "{{ origin.made.number }} {{ thing.state }}", ref: "{{ thing.id }}"}}
      close: {do: other.put.update, with: {text: "{{ origin.task.id }}"}}
"""


@pytest.fixture(scope="module")
def scripted() -> Registry:
    return load_plugins(extra=[Plugin(Vendor())], entry_points=())


def loaded(text: str, registry: Registry) -> Loaded:
    return load(text, env={}, registry=registry)


def problems(text: str, registry: Registry) -> list[str]:
    with pytest.raises(ConfigProblems) as caught:
        loaded(text, registry)
    return [str(problem).removeprefix("crossdock.yaml:") for problem in caught.value.problems]


def test_a_flow_that_follows_another(scripted: Registry) -> None:
    flows = loaded(GOOD, scripted).flows
    flow = flows["done"].flow
    assert flow.follow == "make"
    assert Flow.from_plan(flow.to_plan()) == flow
    assert flow.model_copy(update={"follow": "other"}).plan_hash() != flow.plan_hash()
    assert {row.target: row.reads for row in rows(flows["done"])} == {
        "status.text": ("origin.made.number", "thing.state"),
        "status.ref": ("thing.id",),
        "close.text": ("origin.task.id",),
    }


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("follow: make", "follow: mak", "13: flows.done.follow: unknown flow mak; did you mean make?"),
        ("follow: make", "follow: invoices", "13: flows.done.follow: unknown flow invoices; there are make"),
        (
            "follow: make",
            "follow: done",
            "13: flows.done.follow: a flow cannot follow itself; name the flow that makes what the event is about",
        ),
        (
            "when: v.thing.done",
            "when: other.thing.done",
            "13: flows.done.follow: the leg task of make, which makes the thing, is not enabled",
        ),
        (
            "do: v.key.create",
            "do: other.key.create",
            "13: flows.done.follow: make has no leg that makes what v.thing.done is about: thing in v",
        ),
        (
            "text: a task",
            'text: "{{ origin.made.id }}"',
            "10: flows.make.legs.task.with.text: origin is the run that a flow follows; write `follow: <flow>`",
        ),
        (
            "origin.task.id",
            "origin.tsk.id",
            "16: flows.done.legs.close.with.text: make has no leg tsk; did you mean origin.task?",
        ),
        (
            "origin.task.id",
            "origin.invoice.id",
            "16: flows.done.legs.close.with.text: make has no leg invoice; it has made, task",
        ),
        (
            "origin.task.id",
            "origin.task.numbr",
            "16: flows.done.legs.close.with.text: unknown field origin.task.numbr; did you mean origin.task.number?",
        ),
        (
            "origin.task.id",
            "origin.task.undo",
            "16: flows.done.legs.close.with.text: unknown field origin.task.undo",
        ),
        (
            "origin.task.id",
            "origin",
            "16: flows.done.legs.close.with.text: origin has receipts by leg; read a field of one",
        ),
        (
            "origin.task.id",
            "orign.task.id",
            "16: flows.done.legs.close.with.text: unknown name orign; did you mean origin?",
        ),
        (
            "follow: make",
            'follow: make\n    key: "{{ origin.made.id }}"',
            "14: flows.done.key: origin.made.id is not known when the event arrives; a key may read thing.id",
        ),
        (
            "status: {do",
            "origin: {do",
            "15: flows.done.legs.origin: origin is what a flow follows; choose another name",
        ),
        (
            'text: "{{ origin.task.id }}"',
            'text: {each: "{{ thing.state }}", as: origin, with: x}',
            "16: flows.done.legs.close.with.text.as: origin is what a flow follows; choose another name",
        ),
    ],
)
def test_a_mistake_is_said_with_its_line_and_the_right_name(scripted: Registry, old: str, new: str, found: str) -> None:
    assert GOOD.count(old) == 1
    said = problems(GOOD.replace(old, new), scripted)
    assert any(one.startswith(found) for one in said), said


def test_a_wrong_name_of_the_flow_hides_nothing_else(scripted: Registry) -> None:
    said = problems(GOOD.replace("follow: make", "follow: mak").replace("origin.task.id", "origin.tsk.id"), scripted)
    assert [one.partition(":")[0] for one in said] == ["13", "16"]


def test_an_event_about_nothing_that_is_made_cannot_follow(scripted: Registry) -> None:
    text = GOOD.replace("when: v.thing.done", "when: v.deal.won").replace("thing.state", "deal.id")
    text = text.replace("thing.id", "deal.id")
    told = "v.deal.won is about nothing that a leg makes; follow with an event about an object"
    assert problems(text, scripted) == [f"13: flows.done.follow: {told}"]


def test_flows_that_follow_each_other_have_no_beginning(scripted: Registry) -> None:
    text = GOOD.replace("    when: v.deal.won\n", "    when: v.thing.undone\n    follow: done\n")
    said = problems(text.replace("deal.title", "thing.state"), scripted)
    assert said == [
        "8: flows.make.follow: done follows this flow in turn; one of them must begin",
        "14: flows.done.follow: make follows this flow in turn; one of them must begin",
    ]


def test_the_origin_is_read_only_where_the_followed_flow_can_be_understood(scripted: Registry) -> None:
    said = problems(GOOD.replace("do: v.key.create", "do: v.kez.create"), scripted)
    assert said == ["9: flows.make.legs.made.do: unknown action v.kez.create; did you mean v.key.create?"]
