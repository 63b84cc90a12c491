"""One application's own telemetry: one span tree per run across restarts, and its metrics over OTLP."""

from crossdock.telemetry.ids import PastSpan, RunTrace, step_span_id
from crossdock.telemetry.meters import Meters
from crossdock.telemetry.telemetry import Telemetry

__all__ = ("Meters", "PastSpan", "RunTrace", "Telemetry", "step_span_id")
