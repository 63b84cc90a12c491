"""What a person does in the simulated org's UI, as `trigger` tells it."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

from crossdock_sdk.models import Id, Number, slug
from pydantic import BaseModel, ConfigDict, Field, model_validator

from crossdock_salesforce.fields import ObjectFields
from crossdock_salesforce.simulator.faults import RefusedError
from crossdock_salesforce.simulator.org import PERSON, Org, Row
from crossdock_salesforce.simulator.pricing import plain
from crossdock_salesforce.simulator.schema import SimField

_OPEN, _WON, _LOST = "Negotiation/Review", "Closed Won", "Closed Lost"
_STATUS = {"open": _OPEN, "won": _WON, "lost": _LOST}
_CLOSES = "2026-12-31"
_PARTS = {"route": "Street", "locality": "City", "admin_area_level_1": "State", "postal_code": "PostalCode"}
_PARTS |= {"country": "Country"}


class Told(BaseModel):
    """Base of all that a trigger's body can be; a name that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ToldLine(Told):
    """A line; its product is found by `code`, or made. A line that is not `enabled` is left out."""

    code: str | None = None
    name: str | None = None
    quantity: Number
    unit_price: Number
    discount_percent: Number | None = None
    discount_amount: Number | None = None
    enabled: bool = True

    @model_validator(mode="after")
    def _as_salesforce_has_it(self) -> ToldLine:
        if not (self.code or self.name):
            raise ValueError("a product needs a code or a name")
        if self.discount_amount:
            raise ValueError("a line of an opportunity has its discount in percent")
        return self


class ToldOrganization(Told):
    name: str
    address: str | dict[str, Any] | None = None
    custom: dict[str, Any] = Field(default_factory=dict)


class ToldPerson(Told):
    name: str
    email: str | None = None
    phone: str | None = None
    custom: dict[str, Any] = Field(default_factory=dict)


class ToldDeal(Told):
    """A new opportunity. `value` overrides what the lines come to, as no org does."""

    title: str
    currency: str = "EUR"
    value: Number | None = None
    custom: dict[str, Any] = Field(default_factory=dict)
    organization: ToldOrganization | None = None
    person: ToldPerson | None = None
    products: tuple[ToldLine, ...] = ()
    discounts: tuple[dict[str, Any], ...] = Field(default=(), max_length=0)
    """None: Salesforce knows no discount over a whole opportunity."""
    close_date: date | None = None


class ToldChange(Told):
    """Names one opportunity, and for `deal.edit` what changes."""

    id: Id
    title: str | None = None
    value: Number | None = None
    stage: str | None = None
    custom: dict[str, Any] = Field(default_factory=dict)


class ToldField(Told):
    name: str
    type: str = "string"
    options: tuple[str, ...] = ()
    object: str = "Opportunity"
    scale: int = 2


class ToldLock(Told):
    """So many writes to the record find it locked."""

    id: Id
    times: int = 1


def set_status(org: Org, status: str, body: dict[str, Any]) -> Row:
    """The opportunity named by `id`, or a new one, gets a stage of that status."""
    row = _existing(org, ToldChange.model_validate(body)) if "id" in body else create(org, body)
    stage = _STATUS[status]
    if row["StageName"] == stage:
        raise ValueError(f"opportunity {row['Id']} is in {stage} already")
    return _changed(org, row, {"StageName": stage})


def edit(org: Org, body: dict[str, Any]) -> Row:
    """A person edits fields of an opportunity."""
    told = ToldChange.model_validate(body)
    given = {"Name": told.title, "Amount": told.value, "StageName": told.stage}
    values = {name: value for name, value in given.items() if value is not None}
    row = _existing(org, told)
    return _changed(org, row, values | _custom(org, "Opportunity", told.custom))


def delete(org: Org, body: dict[str, Any]) -> Row:
    row = _existing(org, ToldChange.model_validate(body))
    org.delete("Opportunity", row["Id"])
    return row


def create_field(org: Org, body: dict[str, Any]) -> Row:
    told = ToldField.model_validate(body)
    name = "_".join(re.findall(r"[A-Za-z0-9]+", told.name)) or "Field"
    kind = told.type
    made = SimField(f"{name}__c", kind, label=told.name, scale=told.scale, options=told.options, restricted=True)
    if told.object not in org.objects:
        raise ValueError(f"there is no object {told.object}")
    org.objects[told.object].add(made)
    for row in org.tables[told.object].values():
        row.setdefault(made.name, False if kind == "boolean" else None)
    return made.describe()


def lock(org: Org, body: dict[str, Any]) -> Row:
    told = ToldLock.model_validate(body)
    org.locks[told.id] = told.times
    return {"id": told.id, "times": told.times}


def create(org: Org, body: dict[str, Any]) -> Row:
    """A new open opportunity with all that it names; accounts and contacts are found by name, or made."""
    told = ToldDeal.model_validate(body)
    account = _account(org, told.organization)
    values = {"Name": told.title, "StageName": _OPEN, "Amount": told.value, "AccountId": account}
    values |= {"CloseDate": told.close_date.isoformat() if told.close_date else _CLOSES}
    values |= {"CurrencyIsoCode": told.currency} if org.multicurrency else {}
    values |= _custom(org, "Opportunity", told.custom)
    row = _inserted(org, "Opportunity", values)
    person = _contact(org, told.person, account)
    if person is not None:
        role = {"OpportunityId": row["Id"], "ContactId": person, "IsPrimary": True, "Role": "Decision Maker"}
        _inserted(org, "OpportunityContactRole", role)
    for number, line in enumerate((one for one in told.products if one.enabled), 1):
        _line(org, row["Id"], number, line)
    if told.value is not None:
        row["Amount"] = plain(Decimal(told.value))
    return row


def view(org: Org, row: Row) -> Row:
    """An opportunity with its custom fields by readable name, its lines, and what other CRMs' simulators call it."""
    fields = ObjectFields.described("Opportunity", org.objects["Opportunity"].describe()["fields"])
    status = "won" if row["IsWon"] else "lost" if row["IsClosed"] else "open"
    known = {"id": row["Id"], "title": row["Name"], "status": status, "org_id": row["AccountId"]}
    known |= {"value": row["Amount"], "currency": row.get("CurrencyIsoCode")}
    return row | known | {"custom": fields.read(row), "products": org.lines(row["Id"])}


def _existing(org: Org, told: ToldChange) -> Row:
    try:
        return org.row("Opportunity", told.id)
    except RefusedError as refused:
        raise ValueError(f"there is no opportunity {told.id}: {refused}") from None


def _changed(org: Org, row: Row, values: Row) -> Row:
    try:
        return org.update("Opportunity", row["Id"], values, by=PERSON)
    except RefusedError as refused:
        raise ValueError(str(refused)) from None


def _inserted(org: Org, name: str, values: Row) -> Row:
    try:
        return org.insert(name, values, by=PERSON)
    except RefusedError as refused:
        raise ValueError(str(refused)) from None


def _custom(org: Org, name: str, custom: dict[str, Any]) -> Row:
    """Custom values by API name; named by label or readable name."""
    values: Row = {}
    for label, value in custom.items():
        fields = org.objects[name].fields.values()
        found = [one for one in fields if one.custom and label in (one.label, one.name, slug(one.label))]
        if not found:
            raise ValueError(f"there is no custom field {label!r} on {name}")
        values[found[0].name] = value
    return values


def _account(org: Org, told: ToldOrganization | None) -> str | None:
    if told is None:
        return None
    known = next((row for row in org.live("Account") if row["Name"] == told.name), None)
    address = {"value": told.address} if isinstance(told.address, str) else dict(told.address or {})
    values: Row = {f"Billing{part}": address[key] for key, part in _PARTS.items() if address.get(key)}
    if address.get("route") and address.get("street_number"):
        values["BillingStreet"] = f"{address['route']} {address['street_number']}"
    elif not values and address.get("value"):
        values["BillingStreet"] = address["value"]
    made = known or _inserted(org, "Account", values | {"Name": told.name} | _custom(org, "Account", told.custom))
    return str(made["Id"])


def _contact(org: Org, told: ToldPerson | None, account: str | None) -> str | None:
    if told is None:
        return None
    known = next((row for row in org.live("Contact") if row["Name"] == told.name), None)
    first, _, last = told.name.rpartition(" ")
    values = {"FirstName": first or None, "LastName": last, "Email": told.email, "Phone": told.phone}
    values |= {"AccountId": account} | _custom(org, "Contact", told.custom)
    return str((known or _inserted(org, "Contact", values))["Id"])


def _line(org: Org, opportunity: str, number: int, told: ToldLine) -> None:
    key, wanted = ("ProductCode", told.code) if told.code else ("Name", told.name)
    known = next((row for row in org.live("Product2") if row[key] == wanted), None)
    named = {"Name": told.name or told.code, "ProductCode": told.code, "IsActive": True}
    product = known or _inserted(org, "Product2", named)
    values = {"OpportunityId": opportunity, "Product2Id": product["Id"], "SortOrder": number}
    values |= {"Quantity": told.quantity, "UnitPrice": told.unit_price}
    values |= {"Discount": told.discount_percent} if told.discount_percent else {}
    _inserted(org, "OpportunityLineItem", {k: Decimal(v) if k == "Quantity" else v for k, v in values.items()})
