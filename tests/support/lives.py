"""Runs as the recorder writes them, for tests that write to a journal themselves and hold it against the promises."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from crossdock.config.models import Flow
from crossdock.journal.base import Checkpoint


def plan(*legs: str, notify: Sequence[str] = ()) -> dict[str, Any]:
    """The stored plan of a flow `f` for won deals of `crm`, with these legs in `books`."""
    bodies = {leg: {"do": f"books.{leg}.create", "with": {}} for leg in legs}
    body = {"name": "f", "when": "crm.deal.won", "legs": bodies, "notify": list(notify)}
    return Flow.model_validate(body).to_plan()


def written(leg: str, receipt: dict[str, Any], at: datetime) -> tuple[Checkpoint, Checkpoint]:
    """A leg is about to be written, and has been."""
    intent = {"key": f"key of {leg}", "input": {}, "redo": False, "do": f"books.{leg}.create"}
    return Checkpoint("apply", leg, "intent", intent, at), Checkpoint("apply", leg, "done", {"receipt": receipt}, at)


def ended(status: str, at: datetime, *, alert: bool = False) -> Checkpoint:
    return Checkpoint("end", None, status, {"alert": alert}, at)
