"""What a person says yes to: every write of a run, by what, into which account, with which input. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from crossdock_sdk import jsonio

from crossdock.config.compiled import CompiledFlow, CompiledLeg
from crossdock.config.models import Approve, Supervise
from crossdock.planning import Planned
from crossdock.state import Run, stays


def to_write(flow: CompiledFlow, run: Run, left_out: Mapping[str, str]) -> list[CompiledLeg]:
    """The legs that a planned run has yet to write."""
    return [leg for leg in flow.enabled if leg.name not in left_out and not stays(run.leg(leg.name))]


def plan_of(flow: CompiledFlow, planned: Planned, accounts: Mapping[str, str]) -> str:
    """A hash that is equal for equal writes: in a replay, too, and whatever of it stands already."""
    legs = [[leg.name, leg.leg.do, accounts.get(leg.leg.connection)] for leg in flow.enabled]
    body = {"legs": legs, "inputs": planned.fingerprint}
    return hashlib.sha256(jsonio.canonical(body)).hexdigest()


def asked_for(run: Run) -> str:
    """The hash of what waits for a person's yes; empty where nothing does."""
    return str(run.approval["plan"]) if run.approval else ""


def wanted(
    flow: CompiledFlow, run: Run, planned: Planned, accounts: Mapping[str, str], approved: int
) -> dict[str, Any] | None:
    """Why a person's yes is needed before the run writes, as its checkpoint keeps it; None if it is not.

    `approved` is how many runs of the flow have been approved so far.
    """
    if planned.changed or not to_write(flow, run, planned.left_out):
        return None
    policy: Approve | Supervise | None = flow.flow.approve if planned.approve else None
    reason, supervise = planned.approve, flow.flow.supervise
    if reason is None and supervise is not None and approved < supervise.first:
        policy, reason = supervise, f"the first {supervise.first} of this flow do, and {approved} have been approved"
    if policy is None or reason is None:
        return None
    asked: dict[str, Any] = {"plan": plan_of(flow, planned, accounts), "reason": reason, "accounts": dict(accounts)}
    if policy.timeout is not None:
        asked |= {"timeout": policy.timeout.total_seconds(), "on_timeout": policy.on_timeout}
    return asked


def writes(flow: CompiledFlow, run: Run) -> list[dict[str, Any]]:
    """What a planned run would write, leg by leg, with what is not known yet in words."""
    return [
        {
            "leg": leg.name,
            "do": leg.leg.do,
            "connection": leg.leg.connection,
            "account": run.accounts.get(leg.leg.connection),
            "input": run.planned_inputs.get(leg.name),
        }
        for leg in to_write(flow, run, run.left_out)
    ]
