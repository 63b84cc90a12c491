"""The objects and fields of the simulated org, as its describe calls tell them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

STAGES = (
    ("Prospecting", False, False, "Pipeline"),
    ("Negotiation/Review", False, False, "Pipeline"),
    ("Closed Won", True, True, "Closed"),
    ("Closed Lost", True, False, "Omitted"),
)
"""(label, closed, won, forecast category) of the stages that a new org has, cut down."""
CURRENCIES = ("EUR", "USD", "GBP", "CHF", "JPY")
_NUMBERS = frozenset({"double", "currency", "percent", "int"})


@dataclass
class SimField:
    """`set_by_system`: neither created nor updated by API. `required`: on creation."""

    name: str
    type: str = "string"
    label: str = ""
    length: int = 255
    scale: int = 0
    required: bool = False
    set_by_system: bool = False
    only_created: bool = False
    external_id: bool = False
    unique: bool = False
    reference_to: str | None = None
    relationship: str | None = None
    options: tuple[str, ...] = ()
    restricted: bool = False

    @property
    def custom(self) -> bool:
        return self.name.endswith("__c")

    def describe(self) -> dict[str, Any]:
        values = [{"value": one, "label": one, "active": True, "defaultValue": False} for one in self.options]
        return {
            "name": self.name,
            "label": self.label or self.name,
            "type": self.type,
            "length": self.length if self.type not in _NUMBERS else 0,
            "precision": 18 if self.type in _NUMBERS else 0,
            "scale": self.scale,
            "custom": self.custom,
            "nillable": not self.required,
            "createable": not self.set_by_system,
            "updateable": not (self.set_by_system or self.only_created),
            "externalId": self.external_id,
            "idLookup": self.external_id or self.name == "Id",
            "unique": self.unique,
            "restrictedPicklist": self.restricted,
            "picklistValues": values,
            "referenceTo": [self.reference_to] if self.reference_to else [],
            "relationshipName": self.relationship,
        }


@dataclass
class SimObject:
    """`children`: relationship name → (object, its field that points here)."""

    name: str
    prefix: str
    fields: dict[str, SimField] = field(default_factory=dict)
    children: dict[str, tuple[str, str]] = field(default_factory=dict)
    writable: bool = True

    def add(self, *fields: SimField) -> None:
        self.fields |= {one.name: one for one in fields}

    def describe(self) -> dict[str, Any]:
        children = [
            {"childSObject": child, "field": by, "relationshipName": name}
            for name, (child, by) in self.children.items()
        ]
        return {
            "name": self.name,
            "label": self.name,
            "keyPrefix": self.prefix,
            "custom": self.name.endswith("__c"),
            "queryable": True,
            "createable": self.writable,
            "updateable": self.writable,
            "deletable": self.writable,
            "fields": [one.describe() for one in self.fields.values()],
            "childRelationships": children,
        }


def text(name: str, **more: Any) -> SimField:
    return SimField(name, "string", **more)


def number(name: str, kind: str = "currency", scale: int = 2, **more: Any) -> SimField:
    return SimField(name, kind, scale=scale, **more)


def link(name: str, to: str, **more: Any) -> SimField:
    relationship = (name[:-3] + "__r") if name.endswith("__c") else name.removesuffix("Id")
    return SimField(name, "reference", length=18, reference_to=to, relationship=relationship, **more)


def _made(name: str, prefix: str, *fields: SimField, **more: Any) -> SimObject:
    made = SimObject(name, prefix, **more)
    made.add(
        SimField("Id", "id", label=f"{name} ID", length=18, set_by_system=True),
        SimField("IsDeleted", "boolean", label="Deleted", set_by_system=True),
        SimField("CreatedDate", "datetime", label="Created Date", set_by_system=True),
        link("CreatedById", "User", label="Created By ID", set_by_system=True),
        link("LastModifiedById", "User", label="Last Modified By ID", set_by_system=True),
        SimField("SystemModstamp", "datetime", label="System Modstamp", set_by_system=True),
        *fields,
    )
    return made


def _parties() -> tuple[SimObject, ...]:
    """Who is sold to."""
    return (
        _made(
            "Account",
            "001",
            text("Name", label="Account Name", required=True),
            SimField("BillingStreet", "textarea", label="Billing Street"),
            *(text(f"Billing{part}", label=f"Billing {part}", length=80) for part in ("City", "State", "Country")),
            text("BillingPostalCode", label="Billing Zip/Postal Code", length=20),
            SimField("Phone", "phone", label="Account Phone", length=40),
        ),
        _made(
            "Contact",
            "003",
            text("FirstName", label="First Name", length=40),
            text("LastName", label="Last Name", length=80, required=True),
            text("Name", label="Full Name", set_by_system=True),
            SimField("Email", "email", label="Email", length=80),
            SimField("Phone", "phone", label="Business Phone", length=40),
            link("AccountId", "Account", label="Account ID"),
        ),
        _made("User", "005", text("Name", label="Full Name"), text("Username", label="Username"), writable=False),
    )


def _sales() -> tuple[SimObject, ...]:
    """Opportunities, and what hangs from them."""
    stages = tuple(stage[0] for stage in STAGES)
    return (
        _made(
            "Opportunity",
            "006",
            text("Name", label="Name", length=120, required=True),
            SimField("StageName", "picklist", label="Stage", required=True, options=stages),
            SimField("CloseDate", "date", label="Close Date", required=True),
            number("Amount", label="Amount"),
            number("Probability", "percent", 0, label="Probability (%)"),
            *(SimField(name, "boolean", label=name, set_by_system=True) for name in ("IsWon", "IsClosed")),
            text("ForecastCategory", label="Forecast Category", set_by_system=True),
            link("AccountId", "Account", label="Account ID"),
            link("OwnerId", "User", label="Owner ID"),
            SimField("Description", "textarea", label="Description", length=32000),
            text("NextStep", label="Next Step"),
            children={
                "OpportunityLineItems": ("OpportunityLineItem", "OpportunityId"),
                "OpportunityContactRoles": ("OpportunityContactRole", "OpportunityId"),
                "OpportunityHistories": ("OpportunityHistory", "OpportunityId"),
            },
        ),
        _made(
            "OpportunityLineItem",
            "00k",
            link("OpportunityId", "Opportunity", label="Opportunity ID", required=True, only_created=True),
            link("Product2Id", "Product2", label="Product ID", required=True, only_created=True),
            text("Name", label="Opportunity Product Name", set_by_system=True),
            number("Quantity", "double", label="Quantity", required=True),
            number("UnitPrice", label="Sales Price", required=True),
            number("Discount", "percent", label="Discount"),
            *(number(name, label=name, set_by_system=True) for name in ("Subtotal", "TotalPrice")),
            text("Description", label="Line Description"),
            SimField("ServiceDate", "date", label="Date"),
            SimField("SortOrder", "int", label="Sort Order"),
        ),
        _made(
            "OpportunityContactRole",
            "00K",
            link("OpportunityId", "Opportunity", label="Opportunity ID", required=True, only_created=True),
            link("ContactId", "Contact", label="Contact ID", required=True),
            text("Role", label="Role", length=40),
            SimField("IsPrimary", "boolean", label="Primary"),
        ),
        _made(
            "Product2",
            "01t",
            text("Name", label="Product Name", required=True),
            text("ProductCode", label="Product Code"),
            SimField("Description", "textarea", label="Product Description", length=4000),
            SimField("IsActive", "boolean", label="Active"),
        ),
    )


def _stages() -> tuple[SimObject, ...]:
    """What tells of stages."""
    return (
        _made(
            "OpportunityHistory",
            "008",
            link("OpportunityId", "Opportunity", label="Opportunity ID"),
            *(text(name, label=name) for name in ("StageName", "ForecastCategory")),
            number("Amount", label="Amount"),
            SimField("CloseDate", "date", label="Close Date"),
            writable=False,
        ),
        _made(
            "OpportunityStage",
            "01J",
            *(text(name, label=name) for name in ("MasterLabel", "ApiName", "ForecastCategory")),
            *(SimField(name, "boolean", label=name) for name in ("IsActive", "IsClosed", "IsWon")),
            writable=False,
        ),
    )


def _own() -> tuple[SimObject, ...]:
    """An object of the org's own, with external ids."""
    return (
        _made(
            "Invoice__c",
            "a01",
            text("Name", label="Invoice Name", length=80),
            text("Number__c", label="Number", length=40, external_id=True, unique=True),
            text("Legacy_Number__c", label="Legacy number", length=40, external_id=True),
            text("Crossdock_Key__c", label="Crossdock key", length=36, external_id=True, unique=True),
            number("Total__c", label="Total"),
            SimField("Paid__c", "boolean", label="Paid"),
            SimField("Sent_at__c", "datetime", label="Sent at"),
            link("Opportunity__c", "Opportunity", label="Opportunity"),
        ),
    )


def objects(*, multicurrency: bool) -> dict[str, SimObject]:
    """The org's objects; `CurrencyIsoCode` is a field only where there are several currencies."""
    found = {one.name: one for one in (*_parties(), *_sales(), *_stages(), *_own())}
    if multicurrency:
        for name in ("Account", "Opportunity", "Invoice__c"):
            found[name].add(SimField("CurrencyIsoCode", "picklist", label="Currency", options=CURRENCIES))
    return found
