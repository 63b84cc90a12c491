"""What an SMTP server's replies, and aiosmtplib's exceptions, mean to us.

RFC 5321, 4.2.1: a 4yz reply says that the command was not accepted and may be repeated, a 5yz that it never will be.
"""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Callable, Iterator

from aiosmtplib import SMTPConnectError, SMTPException, SMTPResponseException
from crossdock_sdk import AmbiguousError, AuthError, ConfigError, ConnectorError, RejectedError, TransientError

from crossdock_email.text import one_line

_AUTH = frozenset({530, 534, 535, 538})
"""RFC 4954: authentication is required, too weak, invalid, or needs encryption."""
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_SAID = 400

Redact = Callable[[str], str]


def refusal(code: int, said: str, *, what: str, field: str | None = None) -> ConnectorError:
    """The error for a reply in place of the one that was hoped for; `what` says what was asked of whom.

    `code` is the error's `status`; its `code` is the enhanced status code (RFC 3463), where the server gives one.
    """
    enhanced = _ENHANCED.match(said)
    message = f"{what}: {code} {one_line(said, _SAID)}".rstrip()
    kind: type[ConnectorError] = TransientError
    if code in _AUTH:
        kind, message = AuthError, f"{message}; see to username and password"
    elif 500 <= code <= 599:
        kind = RejectedError
    return kind(message, status=code, code=enhanced[0] if enhanced else None, field=field)


@contextlib.contextmanager
def speaking(what: str, redact: Redact, *, sent: bool = False) -> Iterator[None]:
    """No exception of others leaves. `sent`: the message may have been taken, unless the server says otherwise."""
    try:
        yield
    except ConnectorError:
        raise
    except (SMTPException, OSError) as error:
        told = _translated(error, what, sent=sent)
        told.message = redact(told.message)
        told.args = (told.message,)
        raise told from None


def _translated(error: Exception, what: str, *, sent: bool) -> ConnectorError:
    if isinstance(error, SMTPResponseException) and 400 <= error.code <= 599:
        return refusal(error.code, error.message, what=what)
    untrusted = _untrusted(error)
    if untrusted is not None:
        reason = one_line(untrusted.verify_message, _SAID)
        return ConfigError(f"{what}: the server's certificate is not trusted: {reason}; see to host and SSL_CERT_FILE")
    said = error.message if isinstance(error, SMTPException) else str(error)
    reason = one_line(said or type(error).__name__, _SAID)
    if sent:
        return AmbiguousError(f"{what}: no reply says whether the message was taken: {reason}", unanswered=True)
    return TransientError(f"{what}: nothing was sent: {reason}", unanswered=True)


def _untrusted(error: Exception) -> ssl.SSLCertVerificationError | None:
    found = error.__cause__ if isinstance(error, SMTPConnectError) else error
    return found if isinstance(found, ssl.SSLCertVerificationError) else None
