"""What Intuit's webhooks say, in both formats: CloudEvents (a JSON array, since 2026) and `eventNotifications` of old.

Intuit developer blog, 'Upcoming change to webhooks payload structure' (2025-11-12): each element names its company,
entity and verb, and nothing else; the record is read over the API.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from crossdock_sdk import PayloadError, WebhookRequest
from crossdock_sdk.webhooks import json_body

from crossdock_quickbooks.instants import instant

Entity = Literal["Invoice", "Payment"]
Json = dict[str, Any]

_ENTITIES: dict[str, Entity] = {name.lower(): name for name in get_args(Entity)}
_OLD_VERBS = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "void": "voided",
    "emailed": "emailed",
}
_VERBS = frozenset(_OLD_VERBS.values())
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Notification:
    """One change of one record. `verb` is created, updated, deleted, voided or emailed."""

    realm: str
    entity: Entity
    verb: str
    id: str
    at: datetime


def read(request: WebhookRequest, skipped: Callable[[str], None]) -> list[Notification]:
    """The notifications that concern us, in the order of the delivery.

    An element that is not as documented is left out, and `skipped` told which and why: QuickBooks withholds what comes
    after a delivery until that is answered with 200. Other entities, verbs and versions are left out without a word.
    Raises `PayloadError` for a body that is neither format at all.
    """
    body = json_body(request)
    if isinstance(body, dict) and isinstance(body.get("type"), str):
        body = [body]
    found: list[Notification] = []
    for name, element, read_one in _elements(body):
        try:
            told = read_one(element)
        except ValueError as error:
            skipped(f"{name}: {error}")
        else:
            found += [told] if told else []
    return found


def _elements(body: Any) -> Iterator[tuple[str, Any, Callable[[Any], Notification | None]]]:
    if isinstance(body, list):
        for at, element in enumerate(body):
            yield f"[{at}]", element, _cloud_event
        return
    companies = body.get("eventNotifications") if isinstance(body, dict) else None
    if not isinstance(companies, list):
        raise PayloadError("the body is neither an array of CloudEvents nor an object with eventNotifications")
    for at, company in enumerate(companies):
        yield from _of_company(f"eventNotifications[{at}]", company)


def _of_company(name: str, company: Any) -> Iterator[tuple[str, Any, Callable[[Any], Notification | None]]]:
    change = company.get("dataChangeEvent") if isinstance(company, dict) else None
    entities = change.get("entities") if isinstance(change, dict) else None
    if not isinstance(entities, list):
        yield name, company, _without_entities
        return
    for at, entity in enumerate(entities):
        yield f"{name}.entities[{at}]", entity, lambda one: _old(one, company.get("realmId"))


def _without_entities(company: Any) -> None:
    raise ValueError("there is no list dataChangeEvent.entities in it")


def _cloud_event(element: Any) -> Notification | None:
    """`type` is `qbo.<entity>.<verb>.v1`."""
    kind = _object(element).get("type")
    if not isinstance(kind, str):
        raise ValueError("it has no type")  # noqa: TRY004 - what `read` takes for an element that is not as documented
    parts = kind.lower().split(".")
    if len(parts) != 4 or (parts[0], parts[3]) != ("qbo", "v1"):
        return None
    ids = element.get("intuitaccountid"), element.get("intuitentityid")
    return _notification(parts[1], parts[2], ids, element.get("time"))


def _old(element: Any, realm: Any) -> Notification | None:
    name, operation = _object(element).get("name"), element.get("operation")
    if not isinstance(name, str) or not isinstance(operation, str):
        raise ValueError("it has no name or no operation")  # noqa: TRY004 - as above
    verb = _OLD_VERBS.get(operation.lower(), "")
    return _notification(name.lower(), verb, (realm, element.get("id")), element.get("lastUpdated"))


def _notification(entity: str, verb: str, ids: tuple[Any, Any], time: Any) -> Notification | None:
    if entity not in _ENTITIES or verb not in _VERBS:
        return None
    at = instant(time)
    if at is None:
        raise ValueError(f"its time {repr(time)[:_SHOWN]} is no instant with a zone")
    return Notification(_id("company", ids[0]), _ENTITIES[entity], verb, _id("entity", ids[1]), at)


def _object(element: Any) -> Json:
    if not isinstance(element, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - as above
    return element


def _id(of: str, value: Any) -> str:
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"its {of} id {repr(value)[:_SHOWN]} is no number")
    return text
