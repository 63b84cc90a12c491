"""A flow made ready to run: compiled expressions, the rules' view of it, and the event that starts it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crossdock_sdk import EventSpec, Receipt
from pydantic import ValidationError

from crossdock.config.compiled import CompiledFlow, CompiledLeg, compile_flow
from crossdock.config.models import Flow
from crossdock.journal.base import Journal
from crossdock.mapping import MappingError
from crossdock.planning import ReceiptKinds, no_receipts
from crossdock.plugins import Registry
from crossdock.saga import LegPlan, Plan

_KEPT = 256


class ProgramError(Exception):
    """A run cannot go on with what is installed and configured now. It waits; nothing of it is settled by that."""


@dataclass(frozen=True, slots=True)
class Program:
    """One plan, ready to run."""

    compiled: CompiledFlow
    plan: Plan
    spec: EventSpec
    receipts: ReceiptKinds = no_receipts
    """The model of what an action answers, for the receipts of the run that the flow follows."""

    @property
    def flow(self) -> Flow:
        return self.compiled.flow

    def leg(self, name: str) -> CompiledLeg:
        return self.compiled.legs[name]


def make_program(flow: Flow, registry: Registry, connectors: Mapping[str, str]) -> Program:
    """Compile a flow against the installed connectors. Raises `ProgramError`."""
    spec = registry.event(connectors.get(flow.source, ""), flow.event)
    if spec is None:
        raise ProgramError(f"flow {flow.name}: {_missing(flow.source, flow.event, connectors)}")
    compiled = compile_flow(flow, registry, connectors)
    legs = []
    places = {leg.name: leg.leg.connection for leg in compiled.enabled}
    for leg in compiled.enabled:
        if leg.action_class is None:
            why = _missing(leg.leg.connection, leg.leg.action, connectors)
            raise ProgramError(f"flow {flow.name}: leg {leg.name}: {why}")
        action, on_failure = leg.action_class, leg.leg.on_failure or flow.on_failure
        # Within one system an object needs what it refers to; another system only quotes it.
        reads = frozenset(path[0] for path in leg.template.reads if places.get(path[0]) == leg.leg.connection)
        legs.append(LegPlan(leg.name, action.redo, on_failure, action.recovers(), action.verifies(), reads))
    plan = Plan(tuple(legs), flow.retry, flow.again, follows=flow.follow is not None)

    def receipts(do: str) -> type[Receipt] | None:
        connection, _, action = do.partition(".")
        found = registry.action(connectors.get(connection, ""), action)
        return found.receipt if found else None

    return Program(compiled, plan, spec, receipts)


def _missing(connection: str, what: str, connectors: Mapping[str, str]) -> str:
    if connection not in connectors:
        return f"connection {connection} is not in the configuration, or its plugin did not load"
    return f"the installed connector {connectors[connection]} does not bring {what}"


class Programs:
    """The programs of stored plans, compiled once each."""

    def __init__(self, journal: Journal, registry: Registry, connectors: Callable[[], Mapping[str, str]]) -> None:
        self._journal = journal
        self._registry = registry
        self._connectors = connectors
        self._ready: OrderedDict[str, Program] = OrderedDict()

    async def get(self, plan_hash: str) -> Program:
        """The program of a stored plan. Raises `ProgramError`."""
        if plan_hash not in self._ready:
            body: dict[str, Any] = await self._journal.plan(plan_hash)
            try:
                program = make_program(Flow.from_plan(body), self._registry, self._connectors())
            except (ValidationError, MappingError) as error:
                told = "the stored plan is of another version of Crossdock or its connectors"
                raise ProgramError(f"{told}; cancel the run, or replay it when it has ended: {error}") from None
            self._ready[plan_hash] = program
            while len(self._ready) > _KEPT:
                self._ready.popitem(last=False)
        self._ready.move_to_end(plan_hash)
        return self._ready[plan_hash]

    async def notifiers(self, plan_hash: str) -> tuple[str, ...]:
        """Who is told of the plan's runs, whether or not it can run now."""
        # Read as it stands: a plan that this version cannot load must not keep people from being told so.
        named = (await self._journal.plan(plan_hash)).get("notify") or ()
        return tuple(str(name) for name in named)

    def forget(self) -> None:
        """Compile anew: connections or plugins have changed."""
        self._ready.clear()
