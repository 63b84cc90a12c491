"""The identity of a run's spans, fixed before they exist, so that any process can add to the same tree."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from opentelemetry.trace import (
    INVALID_SPAN_ID,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    format_span_id,
    format_trace_id,
)
from opentelemetry.trace.propagation import set_span_in_context

_SYSTEM = random.SystemRandom()
_VERSION = "00"
_BEARS_ROOT = 2
_SPAN = 2**64 - 1


@dataclass(frozen=True, slots=True)
class RunTrace:
    """Where a run's spans hang: the trace, the webhook's (or poll's) root span, the run's own span."""

    trace_id: int
    root_span_id: int
    run_span_id: int
    sampled: bool = True
    bears_root: bool = True
    """Of the runs that one delivery started, this one tells the root span."""

    @classmethod
    def new(cls, rng: random.Random = _SYSTEM) -> RunTrace:
        """A fresh trace. `rng` is the source of randomness, asked once: the system's is a call into the kernel."""
        drawn = rng.getrandbits(256)
        return cls(drawn >> 128 or 1, drawn >> 64 & _SPAN or 1, drawn & _SPAN or 1)

    def sibling(self, rng: random.Random = _SYSTEM) -> RunTrace:
        """Another run that the same delivery started: same trace and root, its own run span."""
        return replace(self, run_span_id=_span_id(rng), bears_root=False)

    def encode(self) -> str:
        """One word of text for the journal: `00-<trace>-<root span>-<run span>-<flags>`."""
        ids = (
            format_trace_id(self.trace_id),
            format_span_id(self.root_span_id),
            format_span_id(self.run_span_id),
        )
        flags = (TraceFlags.SAMPLED if self.sampled else 0) | (_BEARS_ROOT if self.bears_root else 0)
        return "-".join((_VERSION, *ids, f"{flags:02x}"))

    @classmethod
    def decode(cls, text: str) -> RunTrace:
        """The reverse of `encode`. Raises `ValueError` for anything else."""
        parts = text.split("-")
        lengths = tuple(map(len, parts))
        if lengths != (2, 32, 16, 16, 2) or parts[0] != _VERSION or set(text) - set("0123456789abcdef-"):
            raise ValueError(f"not a run trace: {text!r} (expected 00-<32 hex>-<16 hex>-<16 hex>-<2 hex>)")
        trace, root, run = (int(p, 16) for p in parts[1:4])
        if not (trace and root and run):
            raise ValueError(f"not a run trace: {text!r} (an id is zero)")
        flags = int(parts[4], 16)
        return cls(trace, root, run, bool(flags & TraceFlags.SAMPLED), bool(flags & _BEARS_ROOT))

    @property
    def hex(self) -> str:
        """The trace id as tracing tools show it: 32 hex digits."""
        return format_trace_id(self.trace_id)

    def span_context(self, span_id: int, *, remote: bool = True) -> SpanContext:
        """The context of one span of this trace."""
        flags = TraceFlags.SAMPLED if self.sampled else TraceFlags.DEFAULT
        return SpanContext(self.trace_id, span_id, remote, TraceFlags(flags))

    def parent(self, span_id: int) -> Any:
        """An OpenTelemetry context in which new spans become children of `span_id`."""
        return set_span_in_context(NonRecordingSpan(self.span_context(span_id)))


@dataclass(frozen=True, slots=True)
class PastSpan:
    """A span that is over. `error` is its status text or None; `seq` is a step's number."""

    name: str
    start: datetime
    end: datetime
    seq: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


def step_span_id(run_id: str, seq: int) -> int:
    """The span id of a run's step `seq` (its intent's number in the journal, negated for the look before a write).

    The same in every process.
    """
    digest = hashlib.blake2b(f"{run_id}\n{seq}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1


def _span_id(rng: random.Random) -> int:
    while (span_id := rng.getrandbits(64)) == INVALID_SPAN_ID:
        continue
    return span_id
