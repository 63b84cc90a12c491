"""Outbound Messages: SOAP that Salesforce posts when a Flow says so.

Source: SOAP API Developer Guide, 'Outbound Messaging'.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from crossdock_sdk import PayloadError, VerificationError, WebhookRequest

from crossdock_salesforce.connection import TokenWebhook

NAMESPACE = "http://soap.sforce.com/2005/09/outbound"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
MOST = 100
"""Notifications in one message."""
ACK = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    f'<soapenv:Envelope xmlns:soapenv="{SOAP}"><soapenv:Body>'
    f'<notificationsResponse xmlns="{NAMESPACE}"><Ack>true</Ack></notificationsResponse>'
    "</soapenv:Body></soapenv:Envelope>"
).encode()
_DEEPEST = 12
_ORG = 15
"""Characters of an id that count; three more are its check sum."""
_PATH = ("Envelope", "Body", "notifications")


@dataclass(frozen=True, slots=True)
class Notification:
    """One record that a message tells of: the notification's own id, the object, and the record's id."""

    id: str
    object: str
    record: str


@dataclass(frozen=True, slots=True)
class Message:
    organization: str
    session: str | None = field(repr=False)
    """A live credential, where somebody ticked `Send Session ID`; it is masked, and used for nothing."""
    notifications: tuple[Notification, ...]


def verify(
    request: WebhookRequest, webhook: TokenWebhook | None, organization: str | None, name: str
) -> Message | None:
    """The message, once the secret in the address and, where it is set, the sender's org are right.

    None for a body that is none: who knows the secret is the org, whatever it says, and `read` refuses what it says.
    Raises `VerificationError`; `name` is the connection's.
    """
    if webhook is None:
        raise VerificationError(f"connection {name} takes no deliveries: it has no webhook token")
    given = request.query.get("token", "").encode()
    if not hmac.compare_digest(given, webhook.token.get_secret_value().encode()):
        raise VerificationError("the delivery's token is missing or wrong")
    try:
        message = read(request.body)
    except PayloadError:
        return None
    sender = message.organization[:_ORG].encode()
    if organization is not None and not hmac.compare_digest(sender, organization[:_ORG].encode()):
        raise VerificationError("the delivery comes from another organization")
    return message


def read(body: bytes) -> Message:
    """The message in a body. Raises `PayloadError` for anything else, and for any document type or entity."""
    root = _Element("")
    with _one_line("the body is no Outbound Message"):
        _parse(body, root)
        told = root
        for name in _PATH:
            told = told.child(name)
        rows = [_notification(one) for one in told.children if one.name == "Notification"]
        message = Message(told.child("OrganizationId").text, told.text_of("SessionId"), tuple(rows))
    if not rows or len(rows) > MOST:
        raise PayloadError(f"the message holds {len(rows)} notifications; there are 1 to {MOST}")
    return message


@dataclass(slots=True)
class _Element:
    name: str
    kind: str = ""
    text: str = ""
    children: list[_Element] = field(default_factory=list)

    def child(self, name: str) -> _Element:
        """The only child of that name. Raises `ValueError`."""
        found = [one for one in self.children if one.name == name]
        if len(found) != 1:
            raise ValueError(f"{self.name or 'it'} has {len(found)} elements {name}")
        return found[0]

    def text_of(self, name: str) -> str | None:
        return next((one.text for one in self.children if one.name == name), None) or None


def _notification(element: _Element) -> Notification:
    record = element.child("sObject")
    return Notification(element.child("Id").text, record.kind.rpartition(":")[2], record.child("Id").text)


@contextmanager
def _one_line(what: str) -> Iterator[None]:
    try:
        yield
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise PayloadError(f"{what}: {error}") from None


def _parse(body: bytes, root: _Element) -> None:
    """Build the tree below `root`. What could name a file, an address or itself is refused before it is read."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    stack = [root]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > _DEEPEST:
            raise ValueError("it is nested too deeply")
        element = _Element(name.rpartition(" ")[2], attributes.get(f"{SCHEMA_INSTANCE} type", ""))
        stack[-1].children.append(element)
        stack.append(element)

    def end(_: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        stack[-1].text += data

    def refuse(*_: Any) -> Any:
        raise ValueError("it declares a document type or an entity")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.UnparsedEntityDeclHandler = parser.ExternalEntityRefHandler = refuse
    parser.Parse(body, True)  # noqa: FBT003 - expat takes it by position
