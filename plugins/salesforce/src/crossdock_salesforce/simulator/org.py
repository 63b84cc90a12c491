"""The simulated org's records, and the rules that Salesforce holds them to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from crossdock_salesforce.simulator import pricing
from crossdock_salesforce.simulator.checks import checked, require
from crossdock_salesforce.simulator.faults import RefusedError, deleted, locked, no_resource
from crossdock_salesforce.simulator.schema import STAGES, SimObject, objects

Row = dict[str, Any]
ORGANIZATION = "00D7Q000000SIMUUA2"
USER = "0057Q000000SIMUQA2"
PERSON = "0057Q000000PERSQA2"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_FIRST_DAY = "2030-01-31"
_TRACKED = ("StageName", "Amount", "CloseDate", "Probability")


def long_id(short: str) -> str:
    """An id of 15 characters with its check sum of three: one for every five, by which of them are capitals."""
    sums = (sum(1 << i for i, char in enumerate(short[at : at + 5]) if char.isupper()) for at in (0, 5, 10))
    return short + "".join(_LETTERS[one] for one in sums)


class Org:
    """`told` hears of every save: (object, row). `locks` refuse so many writes to a record."""

    def __init__(
        self, clock: Callable[[], datetime], told: Callable[[str, Row], None], *, multicurrency: bool = True
    ) -> None:
        self._clock = clock
        self._told = told
        self.multicurrency = multicurrency
        self.objects: dict[str, SimObject] = objects(multicurrency=multicurrency)
        self.tables: dict[str, dict[str, Row]] = {name: {} for name in self.objects}
        self.locks: dict[str, int] = {}
        self.rules: list[tuple[str, Callable[[Row], bool], str]] = []
        """Validation rules: object, what is refused, and the message."""
        self.duplicate_rules: list[tuple[str, str]] = []
        """(object, field) whose equal values a duplicate rule blocks."""
        self._made = 0
        for label, closed, won, category in STAGES:
            self.add_stage(label, closed=closed, won=won, category=category)

    def add_stage(self, label: str, *, closed: bool = False, won: bool = False, category: str = "Pipeline") -> None:
        known = {"MasterLabel": label, "ApiName": label, "ForecastCategory": category, "IsActive": True}
        self._keep("OpportunityStage", known | {"IsClosed": closed, "IsWon": won}, USER)

    def now(self) -> str:
        """Whole seconds, as SystemModstamp has them."""
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")

    def object(self, name: str) -> SimObject:
        """Raises `RefusedError` for an object that the org does not have."""
        found = next((one for one in self.objects.values() if one.name.casefold() == name.casefold()), None)
        if found is None:
            raise no_resource()
        return found

    def row(self, name: str, record: str) -> Row:
        """A record by its id of 15 or 18 characters. Raises `RefusedError`."""
        if len(record) not in (15, 18) or not record.isalnum():
            raise RefusedError(400, "MALFORMED_ID", f"{name} ID: id value of incorrect type: {record}", ("Id",))
        row = self.tables[name].get(record if len(record) == 18 else long_id(record))
        if row is None:
            raise no_resource()
        if row["IsDeleted"]:
            raise deleted()
        return row

    def by_key(self, name: str, field: str, value: str) -> list[Row]:
        """The records whose external id is `value`, which Salesforce compares in any case."""
        wanted = value.casefold()
        return [row for row in self.live(name) if str(row.get(field) or "").casefold() == wanted]

    def live(self, name: str) -> list[Row]:
        return [row for row in self.tables[name].values() if not row["IsDeleted"]]

    def insert(self, name: str, values: Mapping[str, Any], by: str = USER) -> Row:
        """A new record. Raises `RefusedError`."""
        found = self.object(name)
        row = checked(found, values, creating=True)
        require(found, row)
        self._hold(found, row, None)
        return self._keep(name, row, by)

    def update(self, name: str, record: str, values: Mapping[str, Any], by: str = USER) -> Row:
        """Change a record. Raises `RefusedError`."""
        row = self.row(name, record)
        if self.locks.get(row["Id"], 0) > 0:
            self.locks[row["Id"]] -= 1
            raise locked()
        changes = checked(self.object(name), values, creating=False)
        if name == "Opportunity" and self.lines(row["Id"]):
            changes.pop("Amount", None)
        self._hold(self.object(name), row | changes, row["Id"])
        self._change(name, row, changes, by)
        return row

    def delete(self, name: str, record: str) -> None:
        row = self.row(name, record)
        row |= {"IsDeleted": True, "SystemModstamp": self.now()}
        if name == "Opportunity":
            for one in self.lines(row["Id"]):
                one["IsDeleted"] = True

    def lines(self, opportunity: str) -> list[Row]:
        return [row for row in self.live("OpportunityLineItem") if row["OpportunityId"] == opportunity]

    def _keep(self, name: str, values: Row, by: str) -> Row:
        found, now = self.objects[name], self.now()
        self._made += 1
        record = long_id(f"{found.prefix}7Q{self._made:010d}")
        blank = {one.name: False if one.type == "boolean" else None for one in found.fields.values()}
        system = {"Id": record, "CreatedDate": now, "CreatedById": by, "LastModifiedById": by, "SystemModstamp": now}
        row = self.tables[name][record] = blank | values | system
        self._derive(name, row)
        self._told(name, row)
        return row

    def _change(self, name: str, row: Row, changes: Row, by: str) -> None:
        before = {key: row.get(key) for key in _TRACKED}
        row |= changes | {"LastModifiedById": by, "SystemModstamp": self.now()}
        self._derive(name, row, before)
        self._told(name, row)

    def _derive(self, name: str, row: Row, before: Row | None = None) -> None:
        """What Salesforce computes on a save."""
        if name == "Contact":
            row["Name"] = " ".join(filter(None, (row["FirstName"], row["LastName"])))
        elif name == "OpportunityLineItem":
            self._line(row)
        elif name == "Opportunity":
            stage = next(one for one in self.live("OpportunityStage") if one["MasterLabel"] == row["StageName"])
            row |= {key: stage[key] for key in ("IsWon", "IsClosed", "ForecastCategory")}
            row["OwnerId"] = row["OwnerId"] or row["CreatedById"]
            if self.multicurrency:
                row["CurrencyIsoCode"] = row["CurrencyIsoCode"] or "EUR"
            if before is None or any(before[key] != row.get(key) for key in _TRACKED):
                kept = {key: row[key] for key in ("StageName", "ForecastCategory", "Amount", "CloseDate")}
                self._keep("OpportunityHistory", kept | {"OpportunityId": row["Id"]}, row["LastModifiedById"])

    def _line(self, row: Row) -> None:
        product = self.tables["Product2"][row["Product2Id"]]
        opportunity = self.tables["Opportunity"][row["OpportunityId"]]
        row["Name"] = f"{opportunity['Name']} {product['Name']}"
        row |= pricing.line(row)
        total = sum((Decimal(one["TotalPrice"]) for one in self.lines(opportunity["Id"])), Decimal(0))
        self._change("Opportunity", opportunity, {"Amount": pricing.plain(total)}, row["LastModifiedById"])

    def _hold(self, found: SimObject, row: Row, record: str | None) -> None:
        """References, unique fields, duplicate and validation rules."""
        for one in found.fields.values():
            value = row.get(one.name)
            if value is not None and one.reference_to and not self._stands(one.reference_to, str(value)):
                raise RefusedError(400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", (one.name,))
            if value is not None and one.unique:
                others = [other["Id"] for other in self.by_key(found.name, one.name, str(value))]
                if any(other != record for other in others):
                    said = f"duplicate value found: {one.name} duplicates value on record with id: {others[0][:15]}"
                    raise RefusedError(400, "DUPLICATE_VALUE", said, ())
        for name, field in self.duplicate_rules:
            if name == found.name and any(
                other["Id"] != record and other.get(field) == row.get(field) for other in self.live(name)
            ):
                said = "Use one of these records?"
                raise RefusedError(400, "DUPLICATES_DETECTED", said, ())
        for name, broken, message in self.rules:
            if name == found.name and broken(row):
                raise RefusedError(400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", message, ())

    def _stands(self, name: str, record: str) -> bool:
        if name == "User":
            return record.startswith("005")
        row = self.tables[name].get(record if len(record) == 18 else long_id(record))
        return row is not None and not row["IsDeleted"]
