"""Filters over dates and instants. `zone` is the flow's business time zone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from crossdock.mapping.errors import Fault
from crossdock.mapping.filters.spec import Filter, whole
from crossdock.mapping.values import kind
from crossdock.words import did_you_mean

_CODES = {"%Y": "year", "%m": "month", "%d": "day", "%H": "hour", "%M": "minute", "%S": "second"}


def to_date(value: Any, layout: Any = None, *, zone: str) -> date | str:
    moment = _moment(value)
    if isinstance(moment, datetime) and layout is None:
        return _local(moment, zone).date()
    if layout is None:
        return moment
    shown = _local(moment, zone) if isinstance(moment, datetime) else moment
    return _written(shown, layout)


def add_days(value: Any, count: Any) -> date:
    moment = _moment(value)
    if isinstance(moment, datetime):
        raise Fault("an instant is not a calendar date; put `| date` before `| days`")
    try:
        return moment + timedelta(days=whole(count, "the number of days"))
    except OverflowError:
        raise Fault("the date would be outside the calendar") from None


def in_zone(value: Any, name: Any = None, *, zone: str) -> datetime:
    moment = _moment(value)
    if not isinstance(moment, datetime):
        raise Fault("a calendar date has no time, so it is in no zone")
    if moment.tzinfo is None:
        raise Fault("the instant carries no zone")
    return _shift(moment, _zone(zone if name is None else name))


def _moment(value: Any) -> date:
    if isinstance(value, date):
        return value
    if not isinstance(value, str):
        raise Fault(f"a date is needed, not {kind(value)}")
    try:
        return date.fromisoformat(value) if len(value) <= 10 else datetime.fromisoformat(value)
    except ValueError:
        raise Fault("the text is no ISO 8601 date such as 2026-01-31") from None


def _local(moment: datetime, zone: str) -> datetime:
    """In the zone that `in_zone` chose, else in the flow's."""
    if moment.tzinfo is None:
        raise Fault("the instant carries no zone")
    return moment if isinstance(moment.tzinfo, ZoneInfo) else _shift(moment, _zone(zone))


def _shift(moment: datetime, zone: ZoneInfo) -> datetime:
    try:
        return moment.astimezone(zone)
    except OverflowError:
        raise Fault("the instant would be outside the calendar") from None


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        from zoneinfo import available_timezones

        hint = did_you_mean(str(name), available_timezones())
        raise Fault(f"unknown time zone {name}{hint}") from None


def _written(moment: date, layout: Any) -> str:
    if not isinstance(layout, str) or len(layout) > 100:
        raise Fault("the layout must be a text such as %d.%m.%Y")
    text, rest = "", layout
    while rest:
        before, mark, after = rest.partition("%")
        code, rest = mark + after[:1], after[1:]
        text += before + (_part(moment, code) if mark else "")
    return text


def _part(moment: date, code: str) -> str:
    if code == "%%":
        return "%"
    part = getattr(moment, _CODES.get(code, ""), None) if code in _CODES else None
    if part is None:
        raise Fault(f"{code} is not known here; use {', '.join(_CODES)}, with time only for instants")
    return f"{part:04d}" if code == "%Y" else f"{part:02d}"


def time_filters(zone: str) -> tuple[Filter, ...]:
    return (
        Filter(
            "date",
            partial(to_date, zone=zone),
            "The calendar date of an instant in the flow's zone (or the one `in_zone` chose); with a layout, as text.",
            '{{ "2026-01-31T23:30:00+00:00" | in_zone("Europe/Berlin") | date }}',
            '"2026-02-01"',
        ),
        Filter(
            "days",
            add_days,
            "A date that many days later (earlier, if negative).",
            '{{ "2026-01-31" | date | days(30) }}',
            '"2026-03-02"',
        ),
        Filter(
            "in_zone",
            partial(in_zone, zone=zone),
            "The same instant on the clocks of a zone; without a name, the flow's.",
            '{{ "2026-07-01T10:00:00+00:00" | in_zone("Europe/Berlin") | date("%H:%M") }}',
            '"12:00"',
            argument=_zone,
        ),
    )
