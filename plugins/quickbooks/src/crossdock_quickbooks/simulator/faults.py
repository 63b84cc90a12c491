"""QuickBooks' error bodies, in both of the casings that it answers with."""

from __future__ import annotations

from datetime import datetime
from typing import Any


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not a bug of the simulator
    """What the simulated account answers instead of doing what was asked."""

    def __init__(self, code: str, message: str, detail: str, *, element: str | None = None, status: int = 400) -> None:
        super().__init__(f"{code} {message}: {detail}")
        self.code = code
        self.message = message
        self.detail = detail
        self.element = element
        self.status = status

    def body(self, now: datetime) -> dict[str, Any]:
        """The capitalised casing of validation faults; `time` is ISO 8601."""
        error = {"Message": self.message, "Detail": self.detail, "code": self.code}
        if self.element is not None:
            error["element"] = self.element
        return {
            "Fault": {"Error": [error], "type": "ValidationFault"},
            "time": now.isoformat(timespec="milliseconds"),
        }


class GatewayRefused(Refused):
    """Refused before the accounting service saw it: the lower-case casing, `time` in epoch milliseconds."""

    def __init__(self, code: str, message: str, detail: str, *, status: int, kind: str) -> None:
        super().__init__(code, message, detail, status=status)
        self.kind = kind

    def body(self, now: datetime) -> dict[str, Any]:
        """The lower-case casing, with the empty members that the gateway sends along."""
        said = f"message={self.message}; errorCode={self.code.zfill(6)}; statusCode={self.status}"
        error = {"message": said, "detail": self.detail, "code": self.code, "element": None}
        return {
            "warnings": None,
            "intuitObject": None,
            "fault": {"error": [error], "type": self.kind},
            "report": None,
            "queryResponse": None,
            "batchItemResponse": [],
            "attachableResponse": [],
            "syncErrorResponse": None,
            "requestId": None,
            "time": int(now.timestamp() * 1000),
            "status": None,
            "cdcresponse": [],
        }


def unauthenticated() -> GatewayRefused:
    return GatewayRefused("3200", "AuthenticationFailed", "Token expired or unknown", status=401, kind="AUTHENTICATION")


def disconnected() -> GatewayRefused:
    detail = "Connecting user has lost access to the company -11014"
    return GatewayRefused("120", "AuthorizationFailure", detail, status=401, kind="AUTHENTICATION")


def foreign_company() -> GatewayRefused:
    detail = "The application is not authorized for this company"
    return GatewayRefused("3100", "ApplicationAuthorizationFailed", detail, status=403, kind="AUTHORIZATION")


def throttled() -> GatewayRefused:
    detail = "The request limit was reached.  Try again later"
    return GatewayRefused("3001", "ThrottleExceeded", detail, status=429, kind="SERVICE")


def unsupported(path: str) -> Refused:
    return Refused("500", "Unsupported Operation", f"Operation {path} is not supported.")


def not_found() -> Refused:
    detail = (
        "Object Not Found : Something you're trying to use has been made inactive. "
        "Check the fields with accounts, customers, items, vendors or employees."
    )
    return Refused("610", "Object Not Found", detail, element="")


def invalid_reference(kind: str, given: object) -> Refused:
    detail = f"Invalid Reference Id : {kind} element id {given} not found"
    return Refused("2500", "Invalid Reference Id", detail, element="")


def missing(parameter: str) -> Refused:
    message = "Required param missing, need to supply the required value for the API"
    return Refused("2020", message, f"Required parameter {parameter} is missing in the request", element=parameter)


def unknown_property(name: str, entity: str) -> Refused:
    detail = (
        f'Property Name:Unrecognized field "{name}" (class com.intuit.schema.finance.v3.{entity}), '
        "not marked as ignorable\n specified is unsupported or invalid"
    )
    return Refused("2010", "Request has invalid or unsupported property", detail)


def too_long(element: str, most: int, given: int) -> Refused:
    message = "String length specified does not match the supported length"
    detail = (
        "String length is either shorter or longer than supported by specification. "
        f"Min:0 Max:{most} supported. Supplied length:{given}"
    )
    return Refused("2050", message, detail, element=element)


def invalid_number(element: str, given: object) -> Refused:
    return Refused(
        "2080",
        "Invalid Number",
        f"{element} should be a valid number. Supplied value:{given}",
        element=element,
    )


def invalid_id(given: object) -> Refused:
    return Refused("2030", "Invalid ID", f"Id should be a valid number. Supplied value:{given}", element="Id")


def stale() -> Refused:
    detail = (
        "Stale Object Error : You and Jordan Sample were working on this at the same time. "
        "Jordan Sample finished before you did, so your work was not saved."
    )
    return Refused("5010", "Stale Object Error", detail, element="")


def duplicate_name() -> Refused:
    return Refused("6240", "Duplicate Name Exists Error", "The name supplied already exists. : null")


def duplicate_number(number: str, txn_id: str) -> Refused:
    detail = (
        "Duplicate Document Number Error : You must specify a different number. "
        "This number has already been used. "
        f"DocNumber={number} is assigned to TxnType=Invoice with TxnId={txn_id}"
    )
    return Refused("6140", "Duplicate Document Number Error", detail, element="")


def wrong_amount(given: object) -> Refused:
    detail = f"Amount is not equal to UnitPrice * Qty. Supplied value:{given}"
    return Refused("6070", "Amount calculation incorrect in the request", detail)


def business(detail: str) -> Refused:
    said = f"Business Validation Error: {detail}"
    return Refused("6000", "A business validation error has occurred while processing your request", said, element="")


def query_syntax(detail: str) -> Refused:
    return Refused("4000", "Error parsing query", f"QueryParserError: {detail}")


def query_invalid(detail: str) -> Refused:
    return Refused("4001", "Invalid query", f"QueryValidationError: {detail}")
