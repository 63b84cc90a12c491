"""Outbound Messages as the simulated org sends them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4
from xml.sax.saxutils import escape

from crossdock_salesforce.outbound import NAMESPACE, SCHEMA_INSTANCE, SOAP
from crossdock_salesforce.simulator.org import ORGANIZATION

_OBJECTS = "urn:sobject.enterprise.soap.sforce.com"


def message(rows: Sequence[dict[str, Any]], *, session: str | None = None, organization: str = ORGANIZATION) -> bytes:
    """The envelope for some opportunities, with the fields that somebody ticked in Setup."""
    nil = f'<SessionId xsi:nil="true" xmlns:xsi="{SCHEMA_INSTANCE}"/>'
    told = nil if session is None else _element(session, "SessionId")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soapenv:Envelope xmlns:soapenv="{SOAP}" xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
        f'xmlns:xsi="{SCHEMA_INSTANCE}"><soapenv:Body><notifications xmlns="{NAMESPACE}">'
        f"<OrganizationId>{organization}</OrganizationId><ActionId>04k7Q000000SIMUQA2</ActionId>{told}"
        "<EnterpriseUrl>https://simulated.example/services/Soap/c/66.0</EnterpriseUrl>"
        "<PartnerUrl>https://simulated.example/services/Soap/u/66.0</PartnerUrl>"
        f"{''.join(map(_notification, rows))}</notifications></soapenv:Body></soapenv:Envelope>"
    ).encode()


def accepted(answer: bytes) -> bool:
    """Whether the receiver said so: a bare 200 is not enough."""
    return f'xmlns="{NAMESPACE}"'.encode() in answer and b"<Ack>true</Ack>" in answer


def _notification(row: dict[str, Any]) -> str:
    fields = "".join(_element(str(row[name]), f"sf:{name}") for name in ("Id", "Name", "StageName"))
    return (
        f"<Notification><Id>04l{uuid4().hex[:15]}</Id>"
        f'<sObject xsi:type="sf:Opportunity" xmlns:sf="{_OBJECTS}">{fields}</sObject></Notification>'
    )


def _element(text: str, name: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"
