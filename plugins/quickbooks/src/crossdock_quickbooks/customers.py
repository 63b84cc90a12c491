"""Customers: found by name or e-mail address, created where there is none."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from typing import Any, ClassVar

from crossdock_sdk import Action, Customer, DiscrepancyError, NotFoundError, Receipt, Redo, RejectedError, looking
from crossdock_sdk.models import Address

from crossdock_quickbooks import query
from crossdock_quickbooks.connection import QuickBooksConnection, derived_key, inner, on_newest
from crossdock_quickbooks.errors import DUPLICATE_NAME
from crossdock_quickbooks.marks import carries, mark, require_ours

_LONGEST_NAME = 500
_LONGEST_NOTES = 2000
_SUFFIX = " (customer)"
_COMPANY_FORMS = frozenset(
    [
        "inc",
        "incorporated",
        "corp",
        "corporation",
        "co",
        "company",
        "llc",
        "llp",
        "lp",
        "ltd",
        "limited",
        "plc",
        "gmbh",
        "ag",
        "kg",
        "sarl",
        "sas",
        "sa",
        "bv",
        "nv",
        "ab",
        "oy",
    ]
)


class CustomerReceipt(Receipt):
    """The customer found or created. `note` says what a person should know, such as a changed name."""

    name: str
    email: str | None = None
    currency: str | None = None
    note: str | None = None


class CustomerFindOrCreate(Action[Customer]):
    """Find the customer to invoice, or create it.

    1. By exact name (active customers; upper and lower case are the same). 2. By e-mail address, if the names
    agree too apart from case, punctuation and company form: an address alone proves nothing, for two firms
    may share one bookkeeper. 3. Create. A name that a vendor or an employee holds cannot be a customer's
    (6240): then "<name> (customer)" is used, and the receipt says so.
    """

    name = "customer.find_or_create"
    redo = Redo.NATIVE_KEY
    receipt: ClassVar[type[Receipt]] = CustomerReceipt
    object = "customer"
    summary = "Find a customer by name or e-mail address, create it if there is none"
    connection: QuickBooksConnection

    async def apply(self, data: Customer, key: str) -> CustomerReceipt:
        if data.custom:
            raise RejectedError("QuickBooks customers have no custom fields; use native", field="custom")
        name = clean_name(data.name)
        note = _cleaned(data, name)
        found = await self._by_name(name) or await self._by_email(data, name)
        if found is not None:
            return self._receipt(found, data, note, key)
        if data.currency:
            await self.connection.currencies.require(data.currency)
        try:
            created = await self.connection.create("Customer", customer_body(data, name, key), key)
        except RejectedError as error:
            if error.code != DUPLICATE_NAME:
                raise
            return await self._name_is_taken(data, name, key)
        return self._receipt(created, data, note, key, created=True)

    async def recover(self, data: Customer, key: str) -> CustomerReceipt | None:
        """The active customer whose notes have our key; None if there is none.

        Without it a repeat would search anew, and whatever is refused then would pass for a refused creation.
        """
        name = clean_name(data.name)
        either = query.within("DisplayName", (name, _suffixed(name)))
        with looking(f"customer {name!r} was made"):
            rows = await self.connection.find("Customer", either)
        made = next((row for row in rows if _active(row) and carries(row, "Notes", key)), None)
        if made is None:
            return None
        note = _cleaned(data, name) if _holds(made, name) else f"another is called {name!r}, hence the name"
        return self._receipt(made, data, note, key)

    async def named(self, object_id: str, data: Customer, key: str) -> CustomerReceipt:
        return self._receipt(await self.connection.read("Customer", object_id), data, None, key)

    async def exists(self, receipt: Receipt) -> bool:
        try:
            found = await self.connection.read("Customer", receipt.id)
        except NotFoundError:
            return False
        return found.get("Active") is not False

    async def undo(self, receipt: Receipt) -> None:
        """Make a customer that we created inactive (QuickBooks deletes none). Refused if it has a balance."""
        if not receipt.created:
            return
        with contextlib.suppress(NotFoundError):
            await on_newest(lambda: self._deactivate(receipt))

    def serialize_by(self, data: Customer) -> str | None:
        return f"customer {clean_name(data.name).casefold()}"

    async def _by_name(self, name: str) -> dict[str, Any] | None:
        rows = await self.connection.find("Customer", query.equals("DisplayName", name))
        return next((row for row in rows if _holds(row, name)), None)

    async def _by_email(self, data: Customer, name: str) -> dict[str, Any] | None:
        if not data.email:
            return None
        rows = await self.connection.find("Customer", query.equals("PrimaryEmailAddr", data.email.strip()))
        wanted = data.email.strip().casefold()
        same = [row for row in rows if _active(row) and _email(row).casefold() == wanted and _agrees(row, name)]
        if len(same) > 1:
            ids = ", ".join(sorted(row["Id"] for row in same))
            raise RejectedError(
                f"customers {ids} share the address and the name {name!r}; merge them in QuickBooks",
                field="email",
            )
        return same[0] if same else None

    async def _name_is_taken(self, data: Customer, name: str, key: str) -> CustomerReceipt:
        """After a 6240: another run created it meanwhile, or somebody who is no customer holds the name."""
        with looking(f"who is called {name!r}"):
            found, holder = await self._by_name(name), None
            if found is None:
                holder = await self._holder(name)
            if found is None and holder is None:
                found = await self._among_all(name)
        if found is not None:
            return self._receipt(found, data, None, key)
        if holder is None:
            raise RejectedError(
                f"the name {name!r} is taken, but no active customer, vendor or employee shows it",
                code=DUPLICATE_NAME,
                field="name",
            )
        return await self._suffix(data, name, key, holder)

    async def _suffix(self, data: Customer, name: str, key: str, holder: str) -> CustomerReceipt:
        name_of_ours = _suffixed(name)
        note = f"{holder} is called {name!r} too, so the customer is {name_of_ours!r}"
        with looking(f"who is called {name_of_ours!r}"):
            found = await self._by_name(name_of_ours)
        if found is not None:
            return self._receipt(found, data, note, key)
        body = customer_body(data, name_of_ours, key)
        made = await self.connection.create("Customer", body, derived_key(key, "suffixed customer"))
        return self._receipt(made, data, note, key, created=True)

    async def _holder(self, name: str) -> str | None:
        for entity, article in (("Vendor", "a"), ("Employee", "an")):
            rows = await self.connection.find(entity, query.equals("DisplayName", name))
            if any(_holds(row, name) for row in rows):
                return f"{article} {entity.lower()}"
        return None

    async def _among_all(self, name: str) -> dict[str, Any] | None:
        # Names are unique regardless of case; whether a query compares so is not documented.
        rows = await self.connection.find("Customer")
        return next((row for row in rows if _holds(row, name)), None)

    async def _deactivate(self, receipt: Receipt) -> None:
        ident = receipt.id
        found = await self.connection.read("Customer", ident)
        require_ours(found, "Notes", receipt, f"customer {ident} ({found.get('DisplayName')})")
        if found.get("Active") is False:
            return
        if found.get("Balance"):
            raise RejectedError(
                f"customer {ident} has a balance of {found['Balance']} and stays active; a person decides",
                field="Balance",
            )
        change = {"Id": ident, "SyncToken": found["SyncToken"], "sparse": True, "Active": False}
        await self.connection.change("Customer", change)

    def _receipt(
        self, row: dict[str, Any], data: Customer, note: str | None, key: str, *, created: bool = False
    ) -> CustomerReceipt:
        """The receipt of a customer that can be used. One of ours that cannot is told with what undoes it."""
        created = created or carries(row, "Notes", key)
        currency = inner(row, "CurrencyRef")
        receipt = CustomerReceipt(
            id=row["Id"],
            created=created,
            url=self.connection.app_url("customerdetail", nameId=row["Id"]),
            undo={"key": key} if created else {},
            name=str(row.get("DisplayName") or data.name),
            email=inner(row, "PrimaryEmailAddr", "Address"),
            currency=currency,
            note=note,
        )
        if data.currency and currency and currency != data.currency.upper():
            said = f"customer {row['Id']} is kept in {currency}, not {data.currency}; that cannot be changed"
            if created:
                raise DiscrepancyError(said, receipt=receipt, field="currency")
            raise RejectedError(said, field="currency")
        return receipt


def clean_name(name: str) -> str:
    """The name as QuickBooks takes it: no colon, tab or line break, at most 500 characters."""
    one_line = " ".join(name.replace(":", " - ").split())
    return one_line[:_LONGEST_NAME].strip() or "-"


def _suffixed(name: str) -> str:
    return name[: _LONGEST_NAME - len(_SUFFIX)] + _SUFFIX


def _cleaned(data: Customer, name: str) -> str | None:
    return None if name == data.name.strip() else f"the name is written {name!r} in QuickBooks"


def customer_body(data: Customer, name: str, key: str) -> dict[str, Any]:
    """The customer as QuickBooks' JSON. Our key in the notes tells for ever whose creation it is."""
    own = str(data.native.get("Notes") or data.notes or "").strip()
    notes = "\n".join(part for part in (own, mark(key)) if part)
    if len(notes) > _LONGEST_NOTES:
        most = _LONGEST_NOTES - len(mark(key)) - 1
        raise RejectedError(f"the notes have {len(own)} characters; at most {most} fit beside our mark", field="notes")
    body: dict[str, Any] = {"DisplayName": name}
    if data.company:
        body["CompanyName"] = data.company
    if data.email:
        body["PrimaryEmailAddr"] = {"Address": data.email.strip()}
    if data.phone:
        body["PrimaryPhone"] = {"FreeFormNumber": data.phone}
    if data.billing_address:
        body["BillAddr"] = address_body(data.billing_address)
    if data.shipping_address:
        body["ShipAddr"] = address_body(data.shipping_address)
    if data.currency:
        body["CurrencyRef"] = {"value": data.currency.upper()}
    return body | data.native | {"Notes": notes}


def address_body(address: Address) -> dict[str, Any]:
    """An address as QuickBooks' JSON."""
    named = {
        "Line1": address.line1,
        "Line2": address.line2,
        "City": address.city,
        "CountrySubDivisionCode": address.region,
        "PostalCode": address.postal_code,
        "Country": address.country,
    }
    return {k: v for k, v in named.items() if v} | address.native


def _active(row: dict[str, Any]) -> bool:
    return row.get("Active") is not False


def _holds(row: dict[str, Any], name: str) -> bool:
    return _active(row) and str(row.get("DisplayName") or "").strip().casefold() == name.casefold()


def _email(row: dict[str, Any]) -> str:
    return (inner(row, "PrimaryEmailAddr", "Address") or "").strip()


def _agrees(row: dict[str, Any], name: str) -> bool:
    wanted = _core(name)
    return any(_core(str(row.get(label) or "")) == wanted for label in ("DisplayName", "CompanyName"))


def _core(name: str) -> tuple[str, ...]:
    """The words that make the name: without accents, punctuation, case and company form."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
    words = re.findall(r"\w+", plain.replace("'", "").replace(".", ""))
    while len(words) > 1 and words[-1] in _COMPANY_FORMS:
        words.pop()
    return tuple(words)
