"""Which runs wait for a person's yes: what may be written, and what is found wrong before anything runs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from crossdock.config.load import ConfigProblems, load
from crossdock.plugins import Registry


def flow_with(good: str, more: str) -> str:
    assert "    notify: [alerts]" in good
    return good.replace("    notify: [alerts]", f"    notify: [alerts]\n    {more}", 1)


def test_always_and_the_first_runs(good: str, env: dict[str, str], registry: Registry) -> None:
    text = flow_with(good, "approve: always\n    supervise: {first: 20, timeout: 24h, on_timeout: remind}")
    flow = load(text, env=env, registry=registry).flows["deal-to-invoice"].flow
    assert flow.approve is not None
    assert flow.supervise is not None
    assert (flow.approve.when, flow.approve.timeout) == ("always", None)
    assert (flow.supervise.first, flow.supervise.timeout) == (20, timedelta(hours=24))
    assert flow.from_plan(flow.to_plan()) == flow


def test_an_expression_over_what_would_be_written(good: str, env: dict[str, str], registry: Registry) -> None:
    text = flow_with(good, "approve: {when: \"{{ invoice.total > 1000 or deal.currency != 'USD' }}\"}")
    compiled = load(text, env=env, registry=registry).flows["deal-to-invoice"]
    assert compiled.approve is not None
    assert ("deal", "currency") in compiled.reads


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('approve: {when: "{{ invoice.id != none }}"}', "invoice.id is known only when invoice is written"),
        ('approve: {when: "{{ deal.valeu > 1 }}"}', "unknown field deal.valeu; did you mean deal.value?"),
        ('approve: {when: "sometimes"}', "write always, or one expression that is true or false"),
        ('approve: {when: "{{ deal.value > }}"}', "approve.when"),
        ("supervise: {first: 0}", "supervise.first"),
        ("supervise: {}", "supervise.first"),
        ("supervise: {first: 3, on_timeout: approve}", "supervise.on_timeout"),
        ("approve: {when: always, timeout: soon}", "approve.timeout"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    good: str, env: dict[str, str], registry: Registry, more: str, said: str
) -> None:
    with pytest.raises(ConfigProblems) as caught:
        load(flow_with(good, more), env=env, registry=registry)
    assert any(said in str(problem) for problem in caught.value.problems), caught.value.problems
