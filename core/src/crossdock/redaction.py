"""The last gate before text leaves the process in a log or a span.

The SDK's `Redactor` knows registered secrets. A `Scrubber` adds what looks like a credential though nobody
registered it: a bearer token in a vendor's reply, an authorization code in an access log, a password in a
URL. It guesses, so it is for text that people read, never for records that are processed further.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from crossdock_sdk.redaction import MASK, Redactor

_NAMES = (
    r"(?:api[_-]?(?:key|token)|(?:access|refresh|id|auth|verifier|bot|app|session|admin)[_-]?token"
    r"|client[_-]?secret|secret(?:[_-]?key)?|private[_-]?key|token|password|passwd|authorization|cookie|signature)"
)
_SECRET_KEY = re.compile(rf"(?:^|[._-])(?:x-)?(?:set-)?{_NAMES}$", re.IGNORECASE)
_LOOKALIKES = (
    (re.compile(r"\b(bearer\s+)[\w.~+/=-]{8,}", re.IGNORECASE), rf"\g<1>{MASK}"),
    (
        re.compile(r"(\bauthorization['\"]?\s*[:=](?!\s*['\"]?\[)\s*['\"]?)[^'\"\r\n,}]+", re.IGNORECASE),
        rf"\g<1>{MASK}",
    ),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@:]*:[^\s/@]+@", re.IGNORECASE), rf"\g<1>{MASK}@"),
    (re.compile(rf"([?&;](?:code|state|sig|key|{_NAMES})=)[^&;\s\"'#<>]+", re.IGNORECASE), rf"\g<1>{MASK}"),
)
_MAY_LOOK_ALIKE = re.compile(r"bearer|authorization|://|=", re.IGNORECASE)
STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What `logging` itself puts on a record; everything else came by `extra` or a filter."""
_HARMLESS = (int, float, Decimal, date, type(None))
_TRACEBACKS = logging.Formatter()


class Scrubber:
    """Masks registered secrets, credential look-alikes, and values whose key says that they are secret."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def text(self, text: str) -> str:
        """`text` as it may be shown."""
        text = self._redactor.text(text)
        if _MAY_LOOK_ALIKE.search(text):
            for pattern, masked in _LOOKALIKES:
                text = pattern.sub(masked, text)
        return text

    def value(self, value: Any, key: str = "") -> Any:
        """Plain data as it may be shown; any other object as its text. A tuple stays one, a set is a list."""
        if isinstance(value, _HARMLESS):
            return value
        if key and value and _SECRET_KEY.search(key):
            return MASK
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (bytes, bytearray)):
            return self.text(value.decode("latin-1")).encode("latin-1")
        if isinstance(value, Mapping):
            return {self.value(k): self.value(v, k if isinstance(k, str) else "") for k, v in value.items()}
        if isinstance(value, (tuple, list, set, frozenset)):
            plain = [self.value(v) for v in value]
            return tuple(plain) if isinstance(value, tuple) else plain
        # An encoder may show fields that the object's own text hides.
        return self.text(str(value))

    def record(self, record: logging.LogRecord) -> None:
        """Mask a log record in place: message, arguments, exception, stack and extra fields."""
        self._message(record)
        self._exception(record)
        if record.stack_info:
            record.stack_info = self.text(record.stack_info)
        for name in [n for n in record.__dict__ if n not in STANDARD_FIELDS]:
            value = record.__dict__.pop(name)
            record.__dict__[self.text(name)] = self.value(value, name)

    def _message(self, record: logging.LogRecord) -> None:
        if isinstance(record.args, Mapping):
            record.args = self.value(record.args)
        elif record.args:
            record.args = tuple(map(self._argument, record.args))
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # A message that does not fit its arguments is reported by `logging` itself, arguments and all.
            message = f"{record.msg} {record.args}"
            record.msg, record.args = message, ()
        clean = self.text(message)
        if clean != message or not isinstance(record.msg, str):
            record.msg, record.args = clean, ()

    def _argument(self, argument: object) -> Any:
        if isinstance(argument, _HARMLESS):
            return argument
        if isinstance(argument, Mapping):
            return self.value(argument)
        shown = str(argument)
        clean = self.text(shown)
        return argument if clean == shown else clean

    def _exception(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
            record.exc_text = _TRACEBACKS.formatException(record.exc_info)
        if record.exc_text:
            clean = self.text(record.exc_text)
            if clean != record.exc_text:
                # Handlers that format the exception themselves must not get at the raw one.
                record.exc_text, record.exc_info = clean, None


class ScrubbingFilter(logging.Filter):
    """Masks every record that passes the handler (or logger) it sits on."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._scrubber = Scrubber(redactor)

    def filter(self, record: logging.LogRecord) -> bool:
        self._scrubber.record(record)
        return True


def install(redactor: Redactor, *handlers: logging.Handler) -> None:
    """Mask all that these handlers write, with what the filters they have now put on a record.

    They sit on handlers because a logger's filter never sees what its children log.
    """
    for handler in handlers:
        handler.addFilter(ScrubbingFilter(redactor))
