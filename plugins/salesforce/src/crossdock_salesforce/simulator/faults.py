"""Salesforce's refusals: a status and an array of errors."""

from __future__ import annotations

from typing import Any


class RefusedError(Exception):
    """Answered with `status` and `[{"message", "errorCode", "fields"}]`."""

    def __init__(self, status: int, code: str, message: str, fields: tuple[str, ...] | None = None) -> None:
        super().__init__(message)
        self.status = status
        entry: dict[str, Any] = {"message": message, "errorCode": code}
        self.body = [entry if fields is None else entry | {"fields": list(fields)}]


def malformed(why: str) -> RefusedError:
    return RefusedError(400, "MALFORMED_QUERY", why)


def no_column(column: str, name: str) -> RefusedError:
    return RefusedError(400, "INVALID_FIELD", f"No such column '{column}' on sobject of type {name}")


def no_resource() -> RefusedError:
    return RefusedError(404, "NOT_FOUND", "The requested resource does not exist")


def no_key_field(field: str) -> RefusedError:
    return RefusedError(404, "NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {field}")


def deleted() -> RefusedError:
    return RefusedError(404, "ENTITY_IS_DELETED", "entity is deleted", ())


def ended() -> RefusedError:
    return RefusedError(401, "INVALID_SESSION_ID", "Session expired or invalid")


def locked() -> RefusedError:
    return RefusedError(400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record", ())


def over_limit() -> RefusedError:
    return RefusedError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
