"""The canonical models: what sources deliver and sinks take, so that any CRM fits any books and any board.

Money and quantities are `Decimal`, never `float`. A `date` is a calendar date; a `datetime` is an instant
and carries a zone. Every id is a string. `custom` holds the account's own fields by readable name, `native`
the vendor's own JSON, so that nothing is out of reach of a mapping.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    computed_field,
    model_validator,
)


def _exact(value: object) -> object:
    if isinstance(value, float):
        raise ValueError("a float never carries money or quantities; give a Decimal, an integer or a string")  # noqa: TRY004
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")  # noqa: TRY004
    return value


def _text_id(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _calendar_date(value: object) -> object:
    if isinstance(value, datetime):
        raise ValueError(  # noqa: TRY004 — pydantic takes only a ValueError for a wrong value
            "an instant is not a calendar date; name the business time zone with `| in_zone(…) | date`"
        )
    return value


def _bounded(value: Decimal) -> Decimal:
    if value and value.adjusted() >= _MOST_DIGITS:
        raise ValueError(f"no amount or quantity has more than {_MOST_DIGITS} digits before the point")
    return value


_MOST_DIGITS = 18
_ROOMY = Context(prec=80)
Number = Annotated[Decimal, BeforeValidator(_exact), Field(allow_inf_nan=False), AfterValidator(_bounded)]
Id = Annotated[str, BeforeValidator(_text_id), Field(min_length=1)]
Day = Annotated[date, BeforeValidator(_calendar_date)]
Instant = AwareDatetime


class Loud:
    """Marks a field that takes money off: a value other than zero that no mapping reads stops the run."""


TakesOff = Annotated[Number | None, Loud()]

_MINOR_UNITS = {
    "BHD IQD JOD KWD LYD OMR TND": 3,
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF": 0,
    "CLF UYW": 4,
}
_MINOR_UNITS = {code: digits for codes, digits in _MINOR_UNITS.items() for code in codes.split()}


def minor_units(currency: str | None) -> int:
    """Digits after the point in amounts of an ISO 4217 currency; 2 where none is named."""
    return _MINOR_UNITS.get((currency or "").upper(), 2)


def round_money(amount: Decimal, currency: str | None = None) -> Decimal:
    """Round half up to the currency's smallest coin, as invoices are; never to a negative zero."""
    rounded = amount.quantize(Decimal(1).scaleb(-minor_units(currency)), ROUND_HALF_UP, _ROOMY)
    return rounded or abs(rounded)


class Record(BaseModel):
    """Base of all canonical models: immutable, and a name that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    custom: dict[str, Any] = Field(default_factory=dict, description="the account's own fields, by readable name")
    native: dict[str, Any] = Field(default_factory=dict, description="the vendor's own JSON, in or out")


class Address(Record):
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    region: str | None = Field(default=None, description="state, province or county")
    postal_code: str | None = None
    country: str | None = Field(default=None, description="as the source has it; `| country` gives an ISO code")


class Organization(Record):
    id: Id
    name: str
    address: Address | None = None
    url: str | None = Field(default=None, description="deep link into the vendor's own UI")


class Person(Record):
    id: Id
    name: str
    email: str | None = None
    phone: str | None = None
    url: str | None = None


class Discount(Record):
    """A discount over a whole deal: either `percent` (15 is 15 %) or `amount` is set."""

    id: Id | None = None
    description: str | None = None
    percent: TakesOff = None
    amount: TakesOff = None


class DealProduct(Record):
    """One line of a deal, as sold. `unit_price` is before, `total` after the line's discount."""

    id: Id
    product_id: Id | None = None
    code: str | None = Field(default=None, description="the SKU")
    name: str
    description: str | None = None
    quantity: Number
    unit_price: Number
    discount_percent: TakesOff = Field(default=None, description="15 is 15 %")
    discount_amount: TakesOff = None
    tax_percent: Number | None = None
    tax_method: str | None = Field(default=None, description="inclusive, exclusive or none")
    total: Number | None = Field(default=None, description="as the source computed it")
    billing_frequency: str | None = None


class Deal(Record):
    id: Id
    title: str
    status: str = Field(description="open, won or lost")
    value: Number
    currency: str | None = None
    won_at: Instant | None = None
    updated_at: Instant | None = None
    close_date: Day | None = None
    owner_id: Id | None = None
    pipeline_id: Id | None = None
    stage_id: Id | None = None
    organization: Organization | None = None
    person: Person | None = None
    products: tuple[DealProduct, ...] = ()
    discounts: tuple[Discount, ...] = Field(
        default=(), description="over the whole deal; line discounts are on the lines"
    )
    url: str | None = None


class Customer(Record):
    """Who is invoiced. `name` is what the books show and search by."""

    name: Annotated[str, Field(min_length=1)]
    company: str | None = None
    email: str | None = None
    phone: str | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None
    currency: str | None = None
    notes: str | None = None


class InvoiceLine(Record):
    """One line. `amount` = quantity × unit price − discount, rounded to the coin."""

    sku: Annotated[str, Field(min_length=1)]
    quantity: Number
    unit_price: Number
    description: str | None = None
    discount_percent: Number | None = Field(default=None, ge=0, le=100, description="15 is 15 %")
    discount_amount: Number | None = None
    tax_code: str | None = None
    service_date: Day | None = None

    def amount_in(self, currency: str | None) -> Decimal:
        """The line's net amount, rounded half up to the currency's coin."""
        gross = self.quantity * self.unit_price
        off = gross * (self.discount_percent or 0) / 100 + (self.discount_amount or 0)
        return round_money(gross - off, currency)

    @property
    def discounted(self) -> bool:
        return bool(self.discount_percent or self.discount_amount)


class Invoice(Record):
    """An invoice to be made. `total` is before tax: what the lines come to, less the invoice's discount."""

    customer_id: Id
    lines: tuple[InvoiceLine, ...] = Field(min_length=1)
    discount_percent: Number | None = Field(
        default=None, ge=0, le=100, description="over the whole invoice; 15 is 15 %"
    )
    discount_amount: Number | None = None
    currency: str | None = None
    exchange_rate: Number | None = Field(default=None, description="home units for one unit of `currency`")
    number: str | None = None
    issue_date: Day | None = None
    due_date: Day | None = None
    memo: str | None = Field(default=None, description="shown to the customer")
    note: str | None = Field(default=None, description="for our own eyes")
    email: str | None = Field(default=None, description="where the invoice is sent")
    billing_address: Address | None = None
    tax_code: str | None = Field(default=None, description="for all lines that name none")

    @model_validator(mode="after")
    def _one_discount(self) -> Invoice:
        if self.discount_percent and self.discount_amount:
            raise ValueError("give discount_percent or discount_amount, not both")
        return self

    @computed_field(description="sum of the lines, before the invoice's discount and tax")  # type: ignore[prop-decorator]
    @property
    def subtotal(self) -> Decimal:
        return sum((line.amount_in(self.currency) for line in self.lines), Decimal(0))

    @computed_field(description="what the invoice's own discount takes off")  # type: ignore[prop-decorator]
    @property
    def discount(self) -> Decimal:
        by_percent = self.subtotal * (self.discount_percent or 0) / 100
        return round_money(by_percent + (self.discount_amount or 0), self.currency)

    @computed_field(description="subtotal less discount, before tax")  # type: ignore[prop-decorator]
    @property
    def total(self) -> Decimal:
        return self.subtotal - self.discount


class IssuedInvoice(Record):
    """An invoice as it stands in the books. `paid` is judged by the invoice itself: a voided one owes nothing too."""

    id: Id
    number: str | None = None
    status: str = Field(description="open, partly_paid, paid or voided")
    total: Number = Field(description="with tax, as the books have it; 0 once voided")
    balance: Number = Field(description="what is still owed")
    currency: str | None = None
    customer_id: Id | None = None
    customer_name: str | None = None
    email: str | None = None
    issue_date: Day | None = None
    due_date: Day | None = None
    updated_at: Instant | None = None
    url: str | None = None


class PaymentLine(Record):
    """What of a payment goes to one invoice."""

    invoice_id: Id
    amount: Number


class Payment(Record):
    """Money that came in. One payment may cover several invoices, and one invoice may take several payments."""

    id: Id
    amount: Number
    unapplied: Number | None = Field(default=None, description="what is not yet put to any invoice")
    currency: str | None = None
    customer_id: Id | None = None
    customer_name: str | None = None
    paid_on: Day | None = None
    reference: str | None = None
    invoices: tuple[PaymentLine, ...] = ()
    updated_at: Instant | None = None
    url: str | None = None


class BoardTask(Record):
    """A task as it stands on the board."""

    id: Id
    name: str
    completed: bool
    completed_at: Instant | None = None
    notes: str | None = None
    assignee_id: Id | None = None
    assignee_name: str | None = None
    due_date: Day | None = None
    projects: tuple[Id, ...] = ()
    updated_at: Instant | None = None
    url: str | None = None


class ObjectRef(Record):
    """Names one existing object of the target system."""

    id: Id


class InvoiceSend(ObjectRef):
    email: str | None = Field(default=None, description="instead of the invoice's own address")


class ItemQuery(Record):
    sku: Annotated[str, Field(min_length=1)]


class DealUpdate(ObjectRef):
    """Changes to one deal: only what is named here is written. `custom` goes by readable field name."""

    title: str | None = None
    status: str | None = None


class Note(Record):
    """A note on a deal, a person or an organization; exactly one of the three ids is set."""

    content: Annotated[str, Field(min_length=1)]
    deal_id: Id | None = None
    person_id: Id | None = None
    organization_id: Id | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Note:
        if sum(x is not None for x in (self.deal_id, self.person_id, self.organization_id)) != 1:
            raise ValueError("a note needs exactly one of deal_id, person_id, organization_id")
        return self


class Task(Record):
    name: Annotated[str, Field(min_length=1)]
    project: Id | None = None
    section: Id | None = None
    notes: str | None = None
    assignee: str | None = Field(default=None, description="id or e-mail address at the vendor")
    due_date: Day | None = None
    completed: bool = False


class TaskUpdate(ObjectRef):
    name: str | None = None
    notes: str | None = None
    assignee: str | None = None
    due_date: Day | None = None
    completed: bool | None = None


def valued(value: object) -> bool:
    """Whether a source field carries something that a mapping could lose: not null, not blank, not empty."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return False
    return not (isinstance(value, (dict, list, tuple, set)) and not value)


def slug(label: str) -> str:
    """The readable name of a custom field in mappings: `Invoice number` → `invoice_number`."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    name = "_".join("".join(c if c.isalnum() else " " for c in folded).split())
    return f"_{name}" if name[:1].isdigit() else name


def slugs(labels: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Map (id, label) pairs to {id: readable name}.

    Labels that fold to one name get their id's start appended, and the whole id where that is alike too.
    """
    plain = {key: slug(label) or slug(key) or "field" for key, label in labels}
    names = plain
    for digits in (6, None):
        counts = Counter(names.values())
        longer = {key: f"{name}_{slug(key).lstrip('_')[:digits]}" for key, name in plain.items()}
        names = {key: name if counts[name] == 1 else longer[key] for key, name in names.items()}
    return names
