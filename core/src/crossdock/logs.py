"""Structured logs: one JSON object a line, or a line for a terminal, with the run's names and trace on it."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

from crossdock_sdk import jsonio
from crossdock_sdk.redaction import Redactor
from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

from crossdock.redaction import STANDARD_FIELDS, install

_bound: ContextVar[dict[str, Any] | None] = ContextVar("crossdock_log_fields", default=None)
_UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.access")
_CHATTY = ("httpx", "httpcore", "aiohttp.access", "urllib3", "asyncio", "aiosqlite")
_COLOURS = {"DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_CONTROLS = {c: repr(chr(c))[1:-1] for c in (*range(32), 127) if c != 9}


@contextmanager
def bind(**fields: Any) -> Iterator[None]:
    """Put fields such as `run`, `leg`, `flow`, `connection` on every record logged inside.

    Tasks started inside have them too. A field that is None is left out.
    """
    token = _bound.set({**(_bound.get() or {}), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def bound() -> dict[str, Any]:
    """The fields that `bind` has put on records here."""
    return dict(_bound.get() or {})


class ContextFilter(logging.Filter):
    """Puts the bound fields and the ids of the current span on a record that has none of its own."""

    def filter(self, record: logging.LogRecord) -> bool:
        span = get_current_span().get_span_context()
        ids = {}
        if span.is_valid:
            ids = {"trace_id": format_trace_id(span.trace_id), "span_id": format_span_id(span.span_id)}
        for name, value in {**ids, **(_bound.get() or {})}.items():
            if value is not None and name not in record.__dict__:
                record.__dict__[name] = value
        return True


class JsonFormatter(logging.Formatter):
    """One line of JSON: `ts` (UTC), `level`, `logger`, `msg`, the fields, and `exc` with a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "ts": _instant(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        line = fields_of(record) | line
        if trouble := _trouble(self, record):
            line["exc"] = trouble
        try:
            return jsonio.dumps(line).decode()
        except (TypeError, ValueError, RecursionError):
            return jsonio.dumps({k: v if isinstance(v, str) else repr(v) for k, v in line.items()}).decode()


class LineFormatter(logging.Formatter):
    """`12:03:01 WARNING runner  text  run=…`: for a person at a terminal; control characters are escaped."""

    def __init__(self, *, colour: bool = False) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname:<7}"
        if self._colour and record.levelname in _COLOURS:
            level = f"\x1b[{_COLOURS[record.levelname]}m{level}\x1b[0m"
        fields = " ".join(f"{k}={v}" for k, v in fields_of(record).items() if k != "span_id")
        text = f"{record.name.removeprefix('crossdock.')}  {record.getMessage()}"
        text = (f"{text}  {fields}" if fields else text).translate(_CONTROLS)
        trouble = _trouble(self, record)
        return f"{_instant(record):%H:%M:%S} {level} {text}" + (f"\n{trouble}" if trouble else "")


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What a record carries beyond logging's own: bound fields, trace ids, and `extra`."""
    return {k: v for k, v in record.__dict__.items() if k not in STANDARD_FIELDS and k != "color_message"}


def configure(level: str | int, json: bool, redactor: Redactor, *, stream: TextIO | None = None) -> Callable[[], None]:
    """Send this process's logs, uvicorn's too, to `stream` (default: standard error), redacted.

    Run uvicorn with `log_config=None`, or it puts its own handlers back. Exceptions that nothing caught are
    logged the same way. For the process's entry point only. Returns a function that restores what was before.
    """
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    colour = out.isatty() and not os.environ.get("NO_COLOR")
    handler.setFormatter(JsonFormatter() if json else LineFormatter(colour=colour))
    handler.addFilter(ContextFilter())
    install(redactor, handler)
    undo = [_take_over(logging.getLogger(), [handler], level, propagate=True)]
    undo += [_take_over(logging.getLogger(n), [], logging.NOTSET, propagate=True) for n in _UVICORN]
    quiet = logging.NOTSET if logging.getLogger().level <= logging.DEBUG else logging.WARNING
    undo += [_take_over(logging.getLogger(n), None, quiet, propagate=True) for n in _CHATTY]
    undo.append(_catch_uncaught())

    def restore() -> None:
        for step in reversed(undo):
            step()

    return restore


def _take_over(
    logger: logging.Logger, handlers: list[logging.Handler] | None, level: str | int, *, propagate: bool
) -> Callable[[], None]:
    before = (logger.handlers[:], logger.level, logger.propagate)
    if handlers is not None:
        logger.handlers[:] = handlers
    logger.setLevel(level.upper() if isinstance(level, str) else level)
    logger.propagate = propagate

    def restore() -> None:
        logger.handlers[:] = before[0]
        logger.setLevel(before[1])
        logger.propagate = before[2]

    return restore


def _catch_uncaught() -> Callable[[], None]:
    before = (sys.excepthook, threading.excepthook)

    def log(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, traceback)
            return
        caught = (kind, error, traceback)
        logging.getLogger("crossdock").critical("uncaught %s", kind.__name__, exc_info=caught)

    def log_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
            log(args.exc_type, args.exc_value, args.exc_traceback)

    sys.excepthook, threading.excepthook = log, log_thread

    def restore() -> None:
        sys.excepthook, threading.excepthook = before

    return restore


def _instant(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _trouble(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [record.exc_text or "", record.stack_info or ""]
    if not record.exc_text and record.exc_info and record.exc_info[0] is not None:
        parts[0] = formatter.formatException(record.exc_info)
    return "\n".join(p for p in parts if p)
