"""Tracing: one application's own OpenTelemetry provider, and one span tree per run across restarts."""

from crossdock.telemetry.ids import PastSpan, RunTrace, step_span_id
from crossdock.telemetry.telemetry import Telemetry

__all__ = ("PastSpan", "RunTrace", "Telemetry", "step_span_id")
