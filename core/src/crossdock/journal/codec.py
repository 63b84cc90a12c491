"""Rows between Python and the database: instants as integers, JSON as redacted text."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from crossdock_sdk import jsonio

from crossdock.journal.errors import JournalError
from crossdock.journal.rows import ConnectionState, RunBrief, RunRow, StoredEvent, StoredStep

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_RUN_FIELDS = RunRow.__struct_fields__
_RUN_INSTANTS = ("created_at", "updated_at", "ended_at", "due_at", "lease_until", "emptied_at")


def micros(instant: datetime) -> int:
    """Microseconds since 1970 UTC. Raises `ValueError` for an instant without a zone."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone")
    return (instant - _EPOCH) // _MICROSECOND


def micros_or_none(instant: datetime | None) -> int | None:
    return None if instant is None else micros(instant)


def instant(value: int) -> datetime:
    """The UTC instant that is `value` microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=value)


def instant_or_none(value: int | None) -> datetime | None:
    return None if value is None else instant(value)


class JsonText:
    """Writes JSON text in which nothing registered as secret stands."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact

    def __call__(self, value: Any) -> str:
        """The redacted text of plain data. Raises `JournalError` if it has no JSON form."""
        try:
            text = jsonio.dumps(value).decode()
        except (TypeError, ValueError) as error:
            raise JournalError(f"cannot store data that has no JSON form: {error}") from error
        return text if self._redact(text) == text else self._value_by_value(text)

    def _value_by_value(self, text: str) -> str:
        # A mask in place of a number, or across two values, would leave text that is no JSON.
        masked = self._redact(jsonio.dumps(self._mask(jsonio.loads(text))).decode())
        try:
            jsonio.loads(masked)
        except ValueError:
            raise JournalError("cannot store data that holds a secret which masking would garble") from None
        return masked

    def _mask(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redact(value)
        if isinstance(value, dict):
            return {self._redact(k): self._mask(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self._mask(v) for v in value]
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            shown = self._redact(str(value))
            return value if shown == str(value) else shown
        return value


def run_row(row: sqlite3.Row) -> RunRow:
    known: dict[str, Any] = dict(zip(_RUN_FIELDS, map(row.__getitem__, _RUN_FIELDS), strict=True))
    for name in _RUN_INSTANTS:
        if known[name] is not None:
            known[name] = instant(known[name])
    known["stopped_connection"] = known["stopped_connection"] or None
    known["dismissed"] = bool(known["dismissed"])
    known["needs_person"] = bool(known["needs_person"])
    known["error"] = None if known["error"] is None else _error(known["error"])
    return RunRow(**known)


def run_brief(row: sqlite3.Row) -> RunBrief:
    return RunBrief(row["id"], row["status"], bool(row["needs_person"]), instant_or_none(row["emptied_at"]))


def _error(text: str) -> dict[str, Any]:
    try:
        error: dict[str, Any] = jsonio.loads(text)
    except ValueError:
        # A row that nobody can read must not keep the others from being listed and claimed.
        return {"kind": "damaged", "message": f"the stored error cannot be read: {text[:200]}"}
    return error


def stored_event(row: Mapping[str, Any]) -> StoredEvent:
    return StoredEvent(
        seq=row["seq"],
        connection=row["connection"],
        id=row["id"],
        type=row["type"],
        subject=row["subject"],
        data=jsonio.loads(row["data"]),
        received_at=instant(row["received_at"]),
        occurred_at=instant_or_none(row["occurred_at"]),
        trace=row["trace"],
        via=row["via"],
    )


def stored_step(row: sqlite3.Row) -> StoredStep:
    return StoredStep(
        run_id=row["run_id"],
        seq=row["seq"],
        kind=row["kind"],
        leg=row["leg"],
        phase=row["phase"],
        data=jsonio.loads(row["data"]),
        at=instant(row["at"]),
    )


def connection_state(row: Mapping[str, Any]) -> ConnectionState:
    return ConnectionState(
        name=row["name"],
        status=row["status"],
        reason=row["reason"],
        since=instant(row["since"]),
        probe_at=instant_or_none(row["probe_at"]),
        probes=row["probes"],
        scout=row["scout"],
    )
