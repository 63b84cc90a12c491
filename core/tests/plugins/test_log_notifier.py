"""The notifier in the box: one structured line per alert."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

import pytest
from crossdock.log_notifier import LogConfig, LogConnection, LogNotifier
from crossdock_sdk import Alert, Context


@pytest.mark.parametrize(
    ("severity", "level"),
    [("error", logging.ERROR), ("warning", logging.WARNING), ("info", logging.INFO), ("odd", logging.ERROR)],
)
async def test_an_alert_is_one_json_line_at_its_severity(
    caplog: pytest.LogCaptureFixture, severity: str, level: int
) -> None:
    caplog.set_level(logging.DEBUG)
    at = datetime(2026, 1, 31, tzinfo=UTC)
    alert = Alert(id="a1", title="line\nbreak", severity=severity, at=at, error={"kind": "rejected"})
    await LogNotifier(LogConnection(LogConfig(), Context("log", logger=logging.getLogger("t")))).notify(alert)
    [record] = caplog.records
    assert record.levelno == level
    assert "\n" not in record.getMessage()
    line = json.loads(record.getMessage())
    assert (line["event"], line["title"], line["error"]) == ("alert", "line\nbreak", {"kind": "rejected"})
