"""One company's settings, and the rules that all its records share: known properties, lengths, versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from crossdock_quickbooks.simulator import faults

CURRENCIES = {
    "USD": "United States Dollar",
    "EUR": "Euro",
    "GBP": "British Pound Sterling",
    "CAD": "Canadian Dollar",
}

_COMMON = {"Id", "SyncToken", "sparse", "domain", "MetaData", "status", "CustomField"}
_PARTY = """
    DisplayName Title GivenName MiddleName FamilyName Suffix CompanyName PrintOnCheckName Active
    PrimaryEmailAddr PrimaryPhone AlternatePhone Mobile Fax WebAddr BillAddr CurrencyRef Balance
"""
_CUSTOMER = """
    ShipAddr Notes Taxable DefaultTaxCodeRef ParentRef Job BillWithParent Level SalesTermRef
    PaymentMethodRef PreferredDeliveryMethod ResaleNum OpenBalanceDate FullyQualifiedName
    BalanceWithJobs TaxExemptionReasonId PrimaryTaxIdentifier BusinessNumber CustomerTypeRef Source
    ARAccountRef IsProject GSTIN GSTRegistrationType
"""
_VENDOR = """
    AcctNum Vendor1099 TermRef TaxIdentifier APAccountRef BillRate CostRate
"""
_EMPLOYEE = """
    PrimaryAddr SSN HiredDate ReleasedDate BirthDate Gender EmployeeNumber BillableTime BillRate
    Organization
"""
_ITEM = """
    Name Sku Description Active Type UnitPrice Taxable SalesTaxIncluded IncomeAccountRef
    ExpenseAccountRef PurchaseDesc PurchaseCost AssetAccountRef TrackQtyOnHand QtyOnHand
    InvStartDate SubItem ParentRef Level FullyQualifiedName SalesTaxCodeRef PurchaseTaxCodeRef
    ClassRef PrefVendorRef ItemCategoryType TaxClassificationRef
"""
_TXN = """
    DocNumber TxnDate DepartmentRef CurrencyRef ExchangeRate PrivateNote TxnStatus LinkedTxn Line
    TxnTaxDetail TxnSource CustomerRef TotalAmt HomeTotalAmt PaymentMethodRef PaymentRefNum
    DepositToAccountRef TransactionLocationType
"""
_INVOICE = """
    BillAddr ShipAddr ShipFromAddr FreeFormAddress ClassRef SalesTermRef DueDate SalesRepRef FOB
    ShipMethodRef ShipDate TrackingNum CustomerMemo BillEmail BillEmailCc BillEmailBcc PrintStatus
    EmailStatus Balance HomeBalance Deposit ApplyTaxAfterDiscount GlobalTaxCalculation DiscountRate
    DiscountAmt DeliveryInfo InvoiceLink InvoiceStatus AllowIPNPayment AllowOnlinePayment
    AllowOnlineCreditCardPayment AllowOnlineACHPayment PONumber AutoDocNumber ARAccountRef
    RecurDataRef TaxExemptionRef EInvoiceStatus ECloudStatusTimeStamp callToAction invoiceStatusLog
"""
_PAYMENT = """
    ARAccountRef ProcessPayment UnappliedAmt CreditCardPayment
"""


def _known(*groups: str) -> frozenset[str]:
    return frozenset(_COMMON.union(*(group.split() for group in groups)))


PROPERTIES: dict[str, frozenset[str]] = {
    "Customer": _known(_PARTY, _CUSTOMER),
    "Vendor": _known(_PARTY, _VENDOR),
    "Employee": _known(_PARTY, _EMPLOYEE),
    "Item": _known(_ITEM),
    "Invoice": _known(_TXN, _INVOICE),
    "Payment": _known(_TXN, _PAYMENT),
}
_LONGEST: dict[str, dict[str, int]] = {
    "Customer": {"DisplayName": 500, "CompanyName": 100, "GivenName": 100, "FamilyName": 100, "Notes": 2000},
    "Vendor": {"DisplayName": 500, "CompanyName": 100},
    "Employee": {"DisplayName": 500},
    "Item": {"Name": 100, "Sku": 100, "Description": 4000},
    "Invoice": {"DocNumber": 21, "PrivateNote": 4000},
    "Payment": {"PaymentRefNum": 21, "PrivateNote": 4000},
}

_ZONE = timezone(timedelta(hours=-8))
"""QuickBooks shows instants in Pacific time, wherever the company is."""


@dataclass
class Company:
    """The account's settings; tests change them in place."""

    clock: Callable[[], datetime]
    name: str = "Simulated Sandbox Company"
    country: str = "US"
    home_currency: str = "USD"
    multicurrency: bool = False
    allow_discount: bool = True
    custom_txn_numbers: bool = False
    custom_fields: dict[str, str] = field(default_factory=lambda: {"1": "Crew #"})
    """Definition id → label of the three sales-form fields; an id that is missing is switched off."""
    tax_rates: dict[str, Decimal] = field(default_factory=lambda: {"TAX": Decimal(0), "NON": Decimal(0)})
    """Tax code → per cent. Outside the US every line must name one of these codes."""

    tell: Callable[[str, str, dict[str, Any]], None] = lambda entity, verb, row: None
    """Who hears of each change of a transaction: its entity, what was done (`created`, …), and the row."""

    def now(self) -> str:
        return self.clock().astimezone(_ZONE).isoformat(timespec="seconds")

    def currency(self, code: str) -> dict[str, str]:
        return {"value": code, "name": CURRENCIES.get(code, code)}

    def preferences(self) -> dict[str, Any]:
        """`GET /preferences`, as far as it concerns sales."""
        used = [
            {
                "Name": f"SalesFormsPrefs.UseSalesCustom{n}",
                "Type": "BooleanType",
                "BooleanValue": str(n) in self.custom_fields,
            }
            for n in (3, 2, 1)
        ]
        named = [
            {"Name": f"SalesFormsPrefs.SalesCustomName{n}", "Type": "StringType", "StringValue": label}
            for n, label in sorted(self.custom_fields.items())
        ]
        sales = {
            "CustomField": [{"CustomField": used}, {"CustomField": named}],
            "CustomTxnNumbers": self.custom_txn_numbers,
            "AllowDiscount": self.allow_discount,
            "AllowDeposit": True,
            "AllowEstimates": True,
        }
        return {
            "ProductAndServicesPrefs": {
                "ForSales": True,
                "ForPurchase": True,
                "QuantityWithPriceAndRate": True,
            },
            "SalesFormsPrefs": sales,
            "TaxPrefs": {"UsingSalesTax": True, "PartnerTaxEnabled": False},
            "CurrencyPrefs": {
                "MultiCurrencyEnabled": self.multicurrency,
                "HomeCurrency": {"value": self.home_currency},
            },
            "domain": "QBO",
            "sparse": False,
            "Id": "1",
            "SyncToken": "0",
        }

    def info(self, realm: str) -> dict[str, Any]:
        """`GET /companyinfo/{realm}`."""
        return {
            "CompanyName": self.name,
            "LegalName": self.name,
            "Country": self.country,
            "Id": "1",
            "domain": "QBO",
        } | {
            "SyncToken": "0",
            "NameValue": [{"Name": "RealmId", "Value": realm}],
        }


def check_shape(entity: str, body: dict[str, Any]) -> None:
    """Refuse unknown properties and over-long strings, as the API does before it looks at anything else."""
    for name in body:
        if name not in PROPERTIES[entity]:
            raise faults.unknown_property(name, entity)
    for name, most in _LONGEST[entity].items():
        check_length(name, body.get(name), most)


def check_length(element: str, value: Any, most: int) -> None:
    """Refuse a string longer than `most`."""
    if isinstance(value, str) and len(value) > most:
        raise faults.too_long(element, most, len(value))


def amount(value: Any, element: str, places: int = 2) -> Decimal:
    """A number of at most `places` decimals; refused otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal, str)):
        raise faults.invalid_number(element, value)
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise faults.invalid_number(element, value) from None
    if not number.is_finite() or -int(number.normalize().as_tuple().exponent) > places:
        raise faults.invalid_number(element, value)
    return number


def reference(body: dict[str, Any], name: str) -> str | None:
    """The id in `{"<name>": {"value": id}}`, None if it is not there."""
    found = body.get(name)
    value = found.get("value") if isinstance(found, dict) else None
    return str(value) if value not in (None, "") else None


def stamped(company: Company, row: dict[str, Any], ident: str) -> dict[str, Any]:
    """The row with what the server adds to a new record."""
    now = company.now()
    meta = {"CreateTime": now, "LastUpdatedTime": now}
    return {"domain": "QBO", "sparse": False, "Id": ident, "SyncToken": "0", "MetaData": meta} | row


def touch(company: Company, row: dict[str, Any]) -> None:
    """A change: the version rises."""
    row["SyncToken"] = str(int(row["SyncToken"]) + 1)
    row["MetaData"] = {**row["MetaData"], "LastUpdatedTime": company.now()}
