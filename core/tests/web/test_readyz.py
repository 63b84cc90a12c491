"""When a server says that it makes progress."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from crossdock.web import health
from fastapi import FastAPI

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


async def asked(
    due: timedelta | None, moved: timedelta, trouble: str | None = None, refused: str | None = None
) -> httpx.Response:
    async def oldest_due(_: datetime) -> datetime | None:
        return None if due is None else NOW - due

    runtime: Any = SimpleNamespace(
        started=True,
        problems=(),
        now=lambda: NOW,
        journal=SimpleNamespace(oldest_due=oldest_due, trouble=refused),
        runner=SimpleNamespace(moved_at=NOW - moved, trouble=trouble),
    )
    app = FastAPI()
    app.state.crossdock = runtime
    app.include_router(health.router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
        return await client.get("/readyz")


@pytest.mark.parametrize(
    ("due", "moved", "trouble", "status"),
    [
        (None, timedelta(days=1), None, 200),
        (timedelta(seconds=90), timedelta(days=1), None, 200),
        (timedelta(minutes=5), timedelta(seconds=3), None, 200),
        (timedelta(minutes=5), timedelta(minutes=5), None, 503),
        (None, timedelta(0), "disk full", 503),
    ],
)
async def test_ready_means_that_the_queue_is_short_or_moves_and_the_journal_writes(
    due: timedelta | None, moved: timedelta, trouble: str | None, status: int
) -> None:
    reply = await asked(due, moved, trouble)
    assert reply.status_code == status
    assert reply.json()["oldest_due_seconds"] == (due or timedelta()).total_seconds()


async def test_a_journal_that_takes_no_webhook_is_not_ready_though_no_run_is_in_hand() -> None:
    reply = await asked(None, timedelta(0), refused="the disk is full")
    assert (reply.status_code, reply.json()["journal"]) == (503, "the disk is full")
