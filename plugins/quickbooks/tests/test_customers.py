"""Customers: one per name, found rather than made twice, and taken back only if they are ours."""

from __future__ import annotations

import uuid

import pytest
from crossdock_quickbooks.connection import QuickBooksConnection
from crossdock_quickbooks.customers import CustomerFindOrCreate, clean_name
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_sdk import AmbiguousError, Customer, RejectedError
from crossdock_sdk.testing import Fault

KEY = "7d9a1f04-8f0a-5c0e-8f5a-0d6f7f8a2b01"
AWKWARD = (
    "Amy's Bird Sanctuary",
    "Robertson & Associates",
    '50% + more, "Ltd"',
    "Überfähr-Café 東京 🚚",
    "back\\slash\\' OR Name LIKE '%",
    "#hash?query=1&x;/..",
)


def customer(name: str = "Acme Freight", **more: object) -> Customer:
    return Customer.model_validate({"name": name, **more})


def names(books: QuickBooksSimulator) -> list[str]:
    return [row["DisplayName"] for row in books.state()["customers"]]


@pytest.fixture
def action(connection: QuickBooksConnection) -> CustomerFindOrCreate:
    return CustomerFindOrCreate(connection)


@pytest.mark.parametrize("name", AWKWARD)
async def test_an_awkward_name_is_created_once_and_found_the_next_time(
    action: CustomerFindOrCreate, books: QuickBooksSimulator, name: str
) -> None:
    first = await action.apply(customer(name), KEY)
    second = await action.apply(customer(name), str(uuid.uuid4()))
    assert (first.created, second.created) == (True, False)
    assert (first.id, first.name) == (second.id, name)
    assert names(books).count(name) == 1


async def test_all_that_is_known_is_written(action: CustomerFindOrCreate, books: QuickBooksSimulator) -> None:
    address = {"line1": "1 Dock", "line2": "Unit 7", "city": "Bayshore", "region": "CA", "postal_code": "94326"}
    given = customer(
        company="Acme Freight Inc.",
        email=" ap@acme.example ",
        phone="+1 650 555 0100",
        billing_address={**address, "country": "USA"},
        shipping_address=address,
        currency="usd",
        notes="Net 30",
        native={"ResaleNum": "R-1"},
    )
    receipt = await action.apply(given, KEY)
    assert (receipt.email, receipt.currency, receipt.note) == ("ap@acme.example", "USD", None)
    assert receipt.url == f"https://app.sandbox.qbo.intuit.com/app/customerdetail?nameId={receipt.id}"
    stands = books.state()["customers"][-1]
    assert stands["CompanyName"] == "Acme Freight Inc."
    assert stands["PrimaryPhone"] == {"FreeFormNumber": "+1 650 555 0100"}
    assert (stands["BillAddr"]["Country"], stands["ShipAddr"]["CountrySubDivisionCode"]) == ("USA", "CA")
    assert (stands["ResaleNum"], stands["Notes"]) == ("R-1", f"Net 30\n[crossdock {KEY}]")


async def test_case_and_blanks_make_no_second_customer(
    action: CustomerFindOrCreate, books: QuickBooksSimulator
) -> None:
    found = await action.apply(customer("  MAE'S   harbour bakery "), KEY)
    assert (found.id, found.created) == ("1", False)


async def test_where_queries_tell_cases_apart_the_holder_of_the_name_is_still_found(
    action: CustomerFindOrCreate, books: QuickBooksSimulator
) -> None:
    books.case_sensitive = True
    found = await action.apply(customer("MAE'S HARBOUR BAKERY"), KEY)
    assert (found.id, found.created) == ("1", False)
    assert len(books.state()["customers"]) == 1


async def test_an_address_finds_the_customer_if_the_names_agree(
    action: CustomerFindOrCreate, books: QuickBooksSimulator
) -> None:
    found = await action.apply(customer("Maes Harbour Bakery, Inc.", email="MAE@harbour-bakery.example"), KEY)
    assert (found.id, found.created) == ("1", False)


async def test_an_address_that_two_firms_share_proves_nothing(
    action: CustomerFindOrCreate, books: QuickBooksSimulator
) -> None:
    made = await action.apply(customer("Lighthouse Films", email="mae@harbour-bakery.example"), KEY)
    assert made.created
    assert made.id != "1"


async def test_two_customers_with_one_address_and_name_are_left_to_a_person(
    action: CustomerFindOrCreate, books: QuickBooksSimulator
) -> None:
    email = {"PrimaryEmailAddr": {"Address": "ap@acme.example"}}
    ids = [
        (await books.trigger("customer.create", {"DisplayName": name, **email}))["customer"]["Id"]
        for name in ("Acme Inc", "Acme LLC")
    ]
    with pytest.raises(RejectedError, match=f"{ids[0]}, {ids[1]} share") as refused:
        await action.apply(customer("Acme", email="ap@acme.example"), KEY)
    assert refused.value.field == "email"


async def test_an_inactive_customer_is_no_match_and_its_name_is_free(
    action: CustomerFindOrCreate, books: QuickBooksSimulator
) -> None:
    await books.trigger("customer.deactivate", {"Id": "1"})
    made = await action.apply(customer("Mae's Harbour Bakery"), KEY)
    assert made.created
    assert names(books) == ["Mae's Harbour Bakery (deleted)", "Mae's Harbour Bakery"]


@pytest.mark.parametrize(("kind", "said"), [("vendor", "a vendor"), ("employee", "an employee")])
async def test_a_name_that_somebody_else_holds_gets_a_suffix_and_the_receipt_says_so(
    action: CustomerFindOrCreate, books: QuickBooksSimulator, kind: str, said: str
) -> None:
    await books.trigger(f"{kind}.create", {"DisplayName": "O'Hara & Sons"})
    made = await action.apply(customer("O'Hara & Sons"), KEY)
    assert (made.created, made.name) == (True, "O'Hara & Sons (customer)")
    assert said in str(made.note)
    assert await action.apply(customer("O'Hara & Sons"), KEY) == made
    found = await action.apply(customer("O'Hara & Sons"), str(uuid.uuid4()))
    assert (found.id, found.created) == (made.id, False)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("Acme:West\tDock\nTwo", "Acme - West Dock Two"), ("  A  ", "A"), ("n" * 600, "n" * 500), (":", "-")],
)
async def test_a_name_is_cleaned_the_same_way_for_search_and_creation(
    action: CustomerFindOrCreate, books: QuickBooksSimulator, given: str, kept: str
) -> None:
    assert clean_name(given) == kept
    made = await action.apply(customer(given), KEY)
    assert made.name == kept
    assert (await action.apply(customer(given), str(uuid.uuid4()))).id == made.id


async def test_a_lost_reply_and_a_second_try_make_one_customer_which_is_still_ours(
    action: CustomerFindOrCreate, books: QuickBooksSimulator
) -> None:
    books.faults.append(Fault(kind="drop_after", method="POST", path="*/customer"))
    with pytest.raises(AmbiguousError):
        await action.apply(customer(email="ap@acme.example"), KEY)
    receipt = await action.apply(customer(email="ap@acme.example"), KEY)
    assert receipt.created
    await action.undo(receipt)
    assert [row["Active"] for row in books.state()["customers"]] == [True, False]


async def test_undo_makes_inactive_and_a_second_undo_is_content(
    action: CustomerFindOrCreate, books: QuickBooksSimulator
) -> None:
    receipt = await action.apply(customer(), KEY)
    assert await action.exists(receipt)
    await action.undo(receipt)
    await action.undo(receipt)
    assert names(books)[-1] == "Acme Freight (deleted)"
    assert not await action.exists(receipt)
    again = await action.apply(customer(), str(uuid.uuid4()))
    assert (again.created, again.id != receipt.id) == (True, True)


async def test_undo_leaves_a_customer_that_was_found(action: CustomerFindOrCreate, books: QuickBooksSimulator) -> None:
    found = await action.apply(customer("Mae's Harbour Bakery"), KEY)
    await action.undo(found)
    assert books.state()["customers"][0]["Active"]


async def test_undo_of_a_customer_that_is_gone_is_content(action: CustomerFindOrCreate) -> None:
    receipt = await action.apply(customer(), KEY)
    await action.undo(receipt.model_copy(update={"id": "404"}))
    assert not await action.exists(receipt.model_copy(update={"id": "404"}))


async def test_undo_leaves_a_customer_who_owes_something(
    action: CustomerFindOrCreate, books: QuickBooksSimulator
) -> None:
    receipt = await action.apply(customer(), KEY)
    sold = {"DetailType": "SalesItemLineDetail", "Amount": 5, "SalesItemLineDetail": {"ItemRef": {"value": "2"}}}
    books.sales.create_invoice({"CustomerRef": {"value": receipt.id}, "Line": [sold]})
    with pytest.raises(RejectedError, match="balance of 5"):
        await action.undo(receipt)


@pytest.mark.parametrize(
    ("undo", "notes"),
    [({"key": KEY}, f"[crossdock {uuid.UUID(int=7)}]"), ({"key": KEY}, "theirs"), ({}, "theirs")],
)
async def test_undo_leaves_a_customer_that_does_not_carry_our_mark(
    action: CustomerFindOrCreate, books: QuickBooksSimulator, undo: dict[str, str], notes: str
) -> None:
    receipt = (await action.apply(customer(), KEY)).model_copy(update={"undo": undo})
    books.names.rows["Customer"][receipt.id]["Notes"] = notes
    with pytest.raises(RejectedError, match=r"\(Acme Freight\) does not carry.*Notes.*same company") as refused:
        await action.undo(receipt)
    assert refused.value.field == "Notes"
    assert books.state()["customers"][-1]["Active"]


async def test_undo_of_an_older_receipt_without_its_key_goes_by_any_mark_of_ours(
    action: CustomerFindOrCreate, books: QuickBooksSimulator
) -> None:
    await action.undo((await action.apply(customer(), KEY)).model_copy(update={"undo": {}}))
    assert not books.state()["customers"][-1]["Active"]


async def test_a_customer_in_another_currency_is_refused(action: CustomerFindOrCreate) -> None:
    with pytest.raises(RejectedError, match="kept in USD, not EUR") as refused:
        await action.apply(customer("Mae's Harbour Bakery", currency="EUR"), KEY)
    assert refused.value.field == "currency"


@pytest.mark.parametrize(
    ("more", "field"), [({"custom": {"tier": "gold"}}, "custom"), ({"notes": "n" * 1990}, "notes")]
)
async def test_what_a_customer_cannot_hold_is_refused(
    action: CustomerFindOrCreate, books: QuickBooksSimulator, more: dict[str, object], field: str
) -> None:
    with pytest.raises(RejectedError) as refused:
        await action.apply(customer("Acme Freight", **more), KEY)
    assert refused.value.field == field
    assert len(books.state()["customers"]) == 1


async def test_a_too_long_company_is_refused_in_the_vendors_words(action: CustomerFindOrCreate) -> None:
    with pytest.raises(RejectedError, match=r"Max:100 supported\. Supplied length:101") as refused:
        await action.apply(customer(company="c" * 101), KEY)
    assert (refused.value.code, refused.value.field) == ("2050", "CompanyName")


def test_runs_for_one_new_customer_wait_for_each_other(action: CustomerFindOrCreate) -> None:
    assert action.serialize_by(customer(" ACME:West ")) == action.serialize_by(customer("acme: west"))
    assert action.serialize_by(customer("Acme")) != action.serialize_by(customer("Acme 2"))
