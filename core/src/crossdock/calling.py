"""The one way into a connector: cut off if it hangs, told as a span, and whatever it raises is a failed checkpoint."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from crossdock_sdk import ConnectorError, DiscrepancyError, RejectedError, jsonio
from crossdock_sdk.http.exchanges import listening

from crossdock.config.compiled import CompiledLeg
from crossdock.exchanges import shown
from crossdock.journal.base import Checkpoint
from crossdock.metrics import RuntimeMetrics
from crossdock.recorder import Job
from crossdock.state import FOR_GOOD, UNCOUNTED
from crossdock.telemetry import PastSpan, Telemetry

_KINDS = FOR_GOOD | UNCOUNTED | {"transient", "ambiguous", "unavailable"}
_WITH_INTENT = frozenset({"apply", "undo"})


@dataclass(slots=True)
class Caller:
    """Calls into connectors. `timeout` cuts off one that hangs; it is shorter than a claim's lease.

    `redact` is what the journal does to every text, so that it is known when that would change a record.
    """

    telemetry: Telemetry
    metrics: RuntimeMetrics
    now: Callable[[], datetime]
    random: random.Random
    timeout: timedelta = timedelta(seconds=120)
    redact: Callable[[str], str] = str
    scrub: Callable[[str], str] = str
    """The same for text that only people read, where what merely looks like a credential is masked too."""

    async def call(
        self,
        job: Job,
        kind: str,
        leg: CompiledLeg | None,
        foreign: str,
        ask: Callable[[], Awaitable[dict[str, Any]]],
        **attributes: str,
    ) -> Checkpoint:
        """Call into a connector; whatever it raises becomes a failed checkpoint.

        `foreign` is the kind of an error that is none of the SDK's: a connector's bug says nothing about
        whether a write took effect.
        """
        name = leg.name if leg else None
        connection = leg.leg.connection if leg else job.program.flow.source
        started, begun = time.perf_counter(), self.now()
        seq = job.run.steps if kind in _WITH_INTENT else job.run.steps + 1
        if kind == "before":
            # The intent that follows has this number.
            seq = -seq
        with self.telemetry.inside_step(job.trace, job.row.id, seq), listening() as heard:
            try:
                async with asyncio.timeout(self.timeout.total_seconds()):
                    data = await ask()
                # What cannot be recorded must fail here, where it is the connector's fault; and a run must not
                # know more than the journal gives back, or it would decide otherwise after a crash.
                data = jsonio.plain(data)
            except Exception as error:
                data = self.facts(error, foreign)
                phase = "failed"
            else:
                phase = "done"
        if heard:
            data["http"] = shown(heard, self.scrub, bodies=phase == "failed")
        wrong = data["error"]["message"] if phase == "failed" else None
        self.note_span(job, kind, leg, seq, begun, wrong, attributes)
        self.metrics.steps.observe(time.perf_counter() - started, kind, connection, phase)
        return Checkpoint(kind, name, phase, data, self.now())

    def facts(self, error: Exception, foreign: str) -> dict[str, Any]:
        """An error as a checkpoint keeps it; `foreign` is its kind if it is none of the SDK's."""
        if isinstance(error, ConnectorError):
            facts = _plain(error)
            if facts["kind"] not in _KINDS and not (facts["kind"] == "void" and foreign == "transient"):
                facts["kind"] = foreign
        elif isinstance(error, TimeoutError):
            facts = {
                "kind": foreign,
                "message": f"no answer from the connector within {self.timeout.total_seconds():g} s",
                "unanswered": True,
            }
        else:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            facts = {"kind": foreign, "message": f"the connector failed: {said}"}
        data: dict[str, Any] = {"error": facts | {"jitter": round(self.random.random(), 3)}}
        if isinstance(error, DiscrepancyError):
            data["receipt"] = jsonio.plain(error.receipt)
        return data

    def note_span(
        self,
        job: Job,
        kind: str,
        leg: CompiledLeg | None,
        seq: int,
        begun: datetime,
        error: str | None,
        more: Mapping[str, str],
    ) -> None:
        """Keep the span of a step until the run comes to a rest."""
        if not self.telemetry.recording:
            return
        named = {"crossdock.flow": job.row.flow, "crossdock.run": job.row.id, "crossdock.step": kind}
        if leg:
            named |= {"crossdock.leg": leg.name, "crossdock.action": leg.leg.do}
        named |= {f"crossdock.{name}": value for name, value in more.items()}
        title = f"{kind} {leg.name}" if leg else kind
        job.spans.append(PastSpan(title, begun, self.now(), seq, named, error))

    def hold_unmasked(self, data: Any, what: str) -> None:
        """Raise `RejectedError` for a secret in what is stored: masked, it would be written into other systems."""
        text = jsonio.dumps(data).decode()
        if self.redact(text) != text:
            raise RejectedError(f"{what} contains one of this installation's secrets; change one of the two")


def _plain(error: ConnectorError) -> dict[str, Any]:
    """The error's facts as the journal keeps them, whatever a connector has put into its fields."""
    try:
        facts: dict[str, Any] = jsonio.plain(error.facts())
    except (TypeError, ValueError):
        return {"kind": error.kind, "message": str(error.message)}
    return facts
