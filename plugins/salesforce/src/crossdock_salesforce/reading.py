"""One opportunity with all its parts, in as few queries as its fields allow: mostly one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crossdock_sdk import Deal, NotFoundError, Organization, Person, TransientError

from crossdock_salesforce import records, soql
from crossdock_salesforce.connection import SalesforceConnection, record_id
from crossdock_salesforce.errors import MISSHAPEN
from crossdock_salesforce.fields import ObjectFields
from crossdock_salesforce.stages import HISTORY

_DEAL = (
    *("Id", "Name", "Amount", "StageName", "IsWon", "IsClosed", "CloseDate"),
    *("OwnerId", "AccountId", "CreatedDate", "SystemModstamp"),
)
_DEAL_IF_THERE = ("CurrencyIsoCode", "RecordTypeId", "Type", "Description", "NextStep", "LeadSource")
_ACCOUNT = ("Id", "Name")
_ACCOUNT_IF_THERE = ("BillingStreet", "BillingCity", "BillingState", "BillingPostalCode", "BillingCountry")
_CONTACT = ("Id", "Name")
_CONTACT_IF_THERE = ("Email", "Phone")
_LINE = (
    *("Id", "Name", "Product2Id", "Product2.Name", "Product2.ProductCode"),
    *("Quantity", "UnitPrice", "Discount", "TotalPrice"),
)
_LINE_IF_THERE = ("Subtotal", "ListPrice", "Description", "ServiceDate", "SortOrder")
_LONGEST = 8000
"""Characters of a statement: a request's address may have 16,384 bytes (docs, 'API Request Limits')."""
_OBJECTS = ("Opportunity", "Account", "Contact", "OpportunityLineItem")


@dataclass(frozen=True, slots=True)
class Opportunity:
    """An opportunity as read: its row, its record, and when it was won, if it is."""

    deal: Deal
    won: bool
    won_at: datetime | None


async def read(connection: SalesforceConnection, opportunity: str) -> Opportunity:
    """Raises `NotFoundError` for one that is deleted or not visible, `TransientError` for undocumented JSON."""
    deal, account, contact, line = await asyncio.gather(*(connection.fields.get(name) for name in _OBJECTS))
    described = {"deal": deal, "account": account, "contact": contact, "line": line}
    row: dict[str, Any] = {}
    for statement in _statements(described, opportunity):
        rows = await connection.rows(statement)
        if not rows:
            raise NotFoundError(f"opportunity {opportunity} is deleted, or the integration user may not see it")
        _merge(row, rows[0])
    try:
        return await _built(connection, row, described)
    except MISSHAPEN as error:
        raise TransientError(f"Salesforce's JSON of opportunity {opportunity} is not as documented: {error}") from None


def _statements(described: Mapping[str, ObjectFields], opportunity: str) -> Iterator[str]:
    """The first asks for all but custom fields that no longer fit; each further one for some of those."""
    where = f"WHERE Id = {soql.text(record_id(opportunity))}"
    columns = list(_columns(described["deal"], _DEAL, _DEAL_IF_THERE))
    columns += [f"Account.{name}" for name in _columns(described["account"], _ACCOUNT, _ACCOUNT_IF_THERE)]
    columns += [
        f"({soql.select(_lines(described['line']), 'OpportunityLineItems', 'ORDER BY SortOrder')})",
        f"({soql.select(_roles(described['contact']), 'OpportunityContactRoles')})",
        HISTORY,
    ]
    more = described["deal"].readable_columns()
    more += [f"Account.{name}" for name in described["account"].readable_columns()]
    length = sum(len(column) + 2 for column in columns)
    for name in more:
        if length + len(name) > _LONGEST:
            yield soql.select(columns, "Opportunity", where)
            columns, length = ["Id"], 2
        columns.append(name)
        length += len(name) + 2
    yield soql.select(columns, "Opportunity", where)


def _columns(fields: ObjectFields, always: Sequence[str], if_there: Sequence[str]) -> Iterator[str]:
    yield from always
    yield from (name for name in if_there if name in fields.by_name)


def _lines(line: ObjectFields) -> Iterator[str]:
    yield from _columns(line, _LINE, _LINE_IF_THERE)
    yield from line.readable_columns()


def _roles(contact: ObjectFields) -> Iterator[str]:
    yield from ("ContactId", "IsPrimary", "Role")
    named = [*_columns(contact, _CONTACT, _CONTACT_IF_THERE), *contact.readable_columns()]
    yield from (f"Contact.{name}" for name in named)


def _merge(row: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(row.get(name), dict) and isinstance(value, dict):
            row[name] |= value
        else:
            row[name] = value


async def _built(
    connection: SalesforceConnection, row: dict[str, Any], described: Mapping[str, ObjectFields]
) -> Opportunity:
    lines = await connection.children(row["OpportunityLineItems"])
    roles = await connection.children(row["OpportunityContactRoles"])
    history = await connection.children(row["OpportunityHistories"])
    won = row["IsWon"] is True
    won_at = (await connection.stages.get()).won_at(row, history) if won else None
    parts = records.Parts(
        status="won" if won else "lost" if row["IsClosed"] else "open",
        won_at=won_at,
        currency=connection.config.currency,
        organization=_organization(connection, row["Account"], described["account"]),
        person=_person(connection, records.contact(roles), described["contact"]),
        lines=[records.line(one, described["line"].read(one)) for one in lines],
        url=connection.url(row["Id"]),
    )
    return Opportunity(records.deal(row, described["deal"].read(row), parts), won, won_at)


def _organization(
    connection: SalesforceConnection, row: Mapping[str, Any] | None, fields: ObjectFields
) -> Organization | None:
    return None if row is None else records.organization(row, fields.read(row), connection.url(row["Id"]))


def _person(connection: SalesforceConnection, row: Mapping[str, Any] | None, fields: ObjectFields) -> Person | None:
    return None if row is None else records.person(row, fields.read(row), connection.url(row["Id"]))
