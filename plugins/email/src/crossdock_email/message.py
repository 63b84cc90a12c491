"""An alert as a mail. Pure: an `Alert` in, the bytes of a message (RFC 5322) out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from crossdock_sdk import Alert, jsonio

from crossdock_email.body import Payload, html, plain, sections
from crossdock_email.text import clean, one_line

_POLICY = SMTP.clone(cte_type="7bit")
"""Goes through every server: 8BITMIME need not be asked for."""
_SUBJECT = 150
_INLINE = 4000
_LARGEST = 5_000_000
"""Bytes of a payload that is attached; many servers refuse mails above 10 MB, and base64 adds a third."""
_LONGEST_DOMAIN = 40
"""So that an id stays on one line: the standard library would encode a longer word, and an encoded id is none."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """From whom to whom."""

    sender: Address
    to: tuple[Address, ...]
    reply_to: str | None = None


def compose(alert: Alert, envelope: Envelope, limit: int | None = None) -> bytes:
    """The message, with CRLF line ends and all of it ASCII. `limit`: the most bytes that the server takes.

    A payload that is too long to be read is attached; one that is too long to be sent is left out, and the mail says
    where it is.
    """
    written = "" if alert.payload is None else _json(alert.payload)
    name = _file_name(alert)
    if len(written) <= _INLINE:
        return _message(alert, envelope, Payload(shown=written), None)
    file = written.encode("utf-8", "replace")
    if len(file) <= _LARGEST:
        message = _message(alert, envelope, Payload(attached=name), (name, file))
        if limit is None or len(message) <= limit:
            return message
    return _message(alert, envelope, Payload(left_out=True), None)


def _message(alert: Alert, envelope: Envelope, payload: Payload, file: tuple[str, bytes] | None) -> bytes:
    message = EmailMessage(policy=_POLICY)
    message["From"] = envelope.sender
    message["To"] = envelope.to
    if envelope.reply_to:
        message["Reply-To"] = envelope.reply_to
    message["Subject"] = _subject(alert)
    message["Date"] = alert.at
    domain = _domain(envelope.sender.domain)
    message["Message-ID"] = _id(f"alert {alert.id}", domain)
    if root := alert.thread or alert.run:
        thread = _id(f"run {root}", domain)
        message["In-Reply-To"] = thread
        message["References"] = thread
    # RFC 3834: vacation responders and the like keep quiet.
    message["Auto-Submitted"] = "auto-generated"
    parts = sections(alert, payload)
    message.set_content(plain(parts))
    message.add_alternative(html(parts, _subject(alert)), subtype="html")
    if file is not None:
        message.add_attachment(file[1], maintype="application", subtype="json", filename=file[0])
    return message.as_bytes()


def _subject(alert: Alert) -> str:
    return f"Crossdock: {one_line(alert.title, _SUBJECT) or 'an alert'}"


def _id(what: str, domain: str) -> str:
    """The same for the same thing, so that mail clients can drop a duplicate and put a run's mails together."""
    return f"<{hashlib.sha256(what.encode('utf-8', 'replace')).hexdigest()[:32]}@{domain}>"


def _domain(domain: str) -> str:
    while len(domain) > _LONGEST_DOMAIN and "." in domain:
        domain = domain.partition(".")[2]
    return domain if len(domain) <= _LONGEST_DOMAIN else "crossdock.invalid"


def _json(payload: object) -> str:
    try:
        return jsonio.pretty(payload)
    except (TypeError, ValueError, RecursionError):
        # An alert must go out whatever it is about; what JSON cannot hold is shown as Python does.
        return clean(str(payload))


def _file_name(alert: Alert) -> str:
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in (alert.run or alert.id))[:60]
    return f"payload-{name.strip('-') or 'alert'}.json"
