"""What a person does in the simulated account's UI, as `trigger` tells it."""

from __future__ import annotations

from typing import Any, Literal

from crossdock_sdk.models import Id, Number
from pydantic import BaseModel, ConfigDict, Field, model_validator

from crossdock_pipedrive.simulator.world import Row, World


class Told(BaseModel):
    """Base of all that a trigger's body can be; a name that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ToldLine(Told):
    """A line; its product is found by `code`, or made."""

    code: str | None = None
    name: str | None = None
    quantity: Number
    unit_price: Number
    discount_percent: Number | None = None
    discount_amount: Number | None = None
    enabled: bool = True

    @model_validator(mode="after")
    def _named(self) -> ToldLine:
        if not (self.code or self.name):
            raise ValueError("a product needs a code or a name")
        if self.discount_percent and self.discount_amount:
            raise ValueError("give discount_percent or discount_amount, not both")
        return self


class ToldDiscount(Told):
    percent: Number | None = None
    amount: Number | None = None
    description: str | None = None

    @model_validator(mode="after")
    def _one(self) -> ToldDiscount:
        if (self.percent is None) == (self.amount is None):
            raise ValueError("a discount needs percent or amount")
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
    """A new deal. `value` overrides what the lines come to, as nobody should."""

    title: str
    currency: str = "EUR"
    value: Number | None = None
    custom: dict[str, Any] = Field(default_factory=dict)
    organization: ToldOrganization | None = None
    person: ToldPerson | None = None
    products: tuple[ToldLine, ...] = ()
    discounts: tuple[ToldDiscount, ...] = ()


class ToldChange(Told):
    """Names one deal, and for `deal.updated` what changes."""

    id: Id
    title: str | None = None
    value: Number | None = None
    custom: dict[str, Any] = Field(default_factory=dict)


class ToldField(Told):
    name: str
    type: str
    options: tuple[str, ...] = ()
    kind: Literal["deal", "organization", "person"] = "deal"


def set_status(world: World, status: str, body: dict[str, Any]) -> int:
    """The deal named by `id`, or a new one, gets that status; returns its id."""
    deal_id = existing(world, ToldChange.model_validate(body)) if "id" in body else create_deal(world, body)
    deal = world.deals[deal_id]
    if deal["status"] == status:
        raise ValueError(f"deal {deal_id} is {status} already")
    world.change_deal(deal_id, {"status": status}, source="app")
    return deal_id


def update(world: World, body: dict[str, Any]) -> int:
    """A person edits fields of a deal; returns its id."""
    told = ToldChange.model_validate(body)
    deal_id = existing(world, told)
    changes: Row = {key: getattr(told, key) for key in ("title", "value") if getattr(told, key) is not None}
    if told.custom:
        values = world.custom_values("deal", told.custom, world.deals[deal_id]["currency"]) or {}
        fields = world.field_map("deal")
        named = {field.code for name in told.custom if (field := fields.find(name)) is not None}
        changes["custom_fields"] = {code: values[code] for code in named}
    world.change_deal(deal_id, changes, source="app")
    return deal_id


def delete(world: World, body: dict[str, Any]) -> int:
    deal_id = existing(world, ToldChange.model_validate(body))
    world.delete_deal(deal_id, "app")
    return deal_id


def create_field(world: World, body: dict[str, Any]) -> Row:
    told = ToldField.model_validate(body)
    return world.add_field(told.kind, told.name, told.type, told.options)


def create_deal(world: World, body: dict[str, Any]) -> int:
    """A new open deal with all that it names; organizations and persons are found by name, or made."""
    told = ToldDeal.model_validate(body)
    custom = world.custom_values("deal", told.custom, told.currency)
    org_id = _organization(world, told.organization)
    lines = [_line(world, line, told.currency) for line in told.products]
    deal = world.add_deal(
        told.title,
        told.currency,
        value=told.value,
        org_id=org_id,
        person_id=_person(world, told.person, org_id),
        custom=custom,
        lines=lines,
        discounts=[_discount(discount) for discount in told.discounts],
    )
    return int(deal["id"])


def existing(world: World, told: ToldChange) -> int:
    deal_id = int(told.id) if told.id.isdigit() else 0
    if deal_id not in world.deals or world.deals[deal_id]["is_deleted"]:
        raise ValueError(f"there is no deal {told.id}")
    return deal_id


def _organization(world: World, told: ToldOrganization | None) -> int | None:
    if told is None:
        return None
    known = next((row for row in world.organizations.values() if row["name"] == told.name), None)
    address = {"value": told.address} if isinstance(told.address, str) else told.address
    return int((known or world.add_organization(told.name, address, told.custom))["id"])


def _person(world: World, told: ToldPerson | None, org_id: int | None) -> int | None:
    if told is None:
        return None
    known = next((row for row in world.persons.values() if row["name"] == told.name), None)
    return int((known or world.add_person(told.name, told.email, told.phone, org_id, told.custom))["id"])


def _line(world: World, told: ToldLine, currency: str) -> Row:
    key, wanted = ("code", told.code) if told.code else ("name", told.name)
    product = next((row for row in world.products.values() if row[key] == wanted), None)
    if product is None:
        product = world.add_product(told.code, told.name or told.code or "", told.unit_price, currency)
    by_amount = told.discount_amount is not None
    return {
        "product_id": product["id"],
        "name": told.name or product["name"],
        "quantity": told.quantity,
        "item_price": told.unit_price,
        "discount": (told.discount_amount if by_amount else told.discount_percent) or 0,
        "discount_type": "amount" if by_amount else "percentage",
        "is_enabled": told.enabled,
    }


def _discount(told: ToldDiscount) -> Row:
    by_amount = told.amount is not None
    amount = told.amount if by_amount else told.percent
    kind = "amount" if by_amount else "percentage"
    return {"type": kind, "amount": amount, "description": told.description or f"{amount} {kind}"}
