"""The simulated API's strictness about bodies: v2 refuses unknown parameters and wrong types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from crossdock_pipedrive.fields import FieldMap
from crossdock_pipedrive.simulator.hooks import ACTIONS, OBJECTS

_NUMBER = (int, Decimal)
_DEAL: dict[str, tuple[type, ...]] = {
    "title": (str,),
    "value": _NUMBER,
    "currency": (str,),
    "status": (str,),
    "probability": (*_NUMBER, type(None)),
    "lost_reason": (str, type(None)),
    "close_time": (str, type(None)),
    "label_ids": (list,),
    "custom_fields": (dict,),
    **dict.fromkeys(("owner_id", "person_id", "org_id", "pipeline_id", "stage_id", "visible_to"), (int,)),
    **dict.fromkeys(("is_deleted", "is_archived"), (bool,)),
    **dict.fromkeys(("archive_time", "won_time", "lost_time", "expected_close_date"), (str,)),
}
_CUSTOM: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("double", "int"), _NUMBER),
    **dict.fromkeys(("enum", "user", "org", "people"), (int,)),
    **dict.fromkeys(("monetary", "daterange", "timerange", "address"), (dict,)),
    "set": (list,),
}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class RefusedError(Exception):
    """A reply with an error: `status` and the vendor's `body`."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body.get("error", ""))
        self.status = status
        self.body = body


def invalid(parameter: str, why: str) -> RefusedError:
    """v2's 400 for a body that its schema does not allow."""
    return RefusedError(
        400,
        {
            "success": False,
            "error": f"Validation failed: {parameter}: {why}",
            "code": "ERR_SCHEMA_VALIDATION_FAILED",
        },
    )


def check_deal_patch(body: Any, fields: FieldMap) -> dict[str, Any]:
    """The body of `PATCH /api/v2/deals/{id}` if it is allowed. Raises `RefusedError`."""
    if not isinstance(body, dict):
        raise invalid("body", "it should be an object")
    for name, value in body.items():
        if name not in _DEAL:
            raise invalid(name, f"Parameter '{name}' is not allowed for this request")
        _check_type(name, value, _DEAL[name])
    if body.get("status") not in (None, "open", "won", "lost"):
        raise invalid("status", "it should be one of open, won, lost")
    for code, value in body.get("custom_fields", {}).items():
        _check_custom(code, value, fields)
    return body


def check_webhook(body: Any) -> dict[str, Any]:
    """The body of `POST /api/v1/webhooks` if it is allowed. Raises `RefusedError`."""
    given = body if isinstance(body, dict) else {}
    errors: dict[str, list[str]] = {}
    for name in ("subscription_url", "event_action", "event_object", "name"):
        if not isinstance(given.get(name), str) or not given[name]:
            errors[name] = ["is required"]
    if given.get("event_action") not in (*ACTIONS, None):
        errors["event_action"] = ["is not supported"]
    if given.get("event_object") not in (*OBJECTS, None):
        errors["event_object"] = ["is not supported"]
    if errors:
        raise RefusedError(400, {"status": "error", "success": False, "errors": errors})
    return given


def check_note(body: Any) -> dict[str, Any]:
    """The body of `POST /api/v1/notes` if it is allowed. Raises `RefusedError`."""
    given: Mapping[str, Any] = body if isinstance(body, dict) else {}
    content = given.get("content")
    if not isinstance(content, str) or not content.strip():
        raise v1_refused(400, "Content is required")
    if not any(given.get(owner) for owner in ("deal_id", "person_id", "org_id", "lead_id", "project_id")):
        raise v1_refused(400, "Note must be associated with a deal, person, organization, lead or project")
    return dict(given)


def v1_refused(status: int, error: str) -> RefusedError:
    return RefusedError(
        status, {"success": False, "error": error, "error_info": "", "data": None, "additional_data": None}
    )


def v2_refused(status: int, error: str, code: str) -> RefusedError:
    return RefusedError(status, {"success": False, "error": error, "code": code})


def _check_type(name: str, value: Any, allowed: tuple[type, ...]) -> None:
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in allowed)
        raise invalid(name, f"it should be {names}")


def _check_custom(code: str, value: Any, fields: FieldMap) -> None:
    field = fields.by_code.get(code)
    if field is None:
        raise invalid(f"custom_fields.{code}", f"Parameter '{code}' is not allowed for this request")
    if value is None:
        return
    where = f"custom_fields.{code}"
    _check_type(where, value, _CUSTOM.get(field.type, (str,)))
    chosen = value if field.type == "set" else [value] if field.type == "enum" else []
    if any(str(option) not in field.options for option in chosen):
        raise invalid(where, "it should be an option of the field")
    if field.type == "date" and not _DATE.fullmatch(value):
        raise invalid(where, "it should be a date YYYY-MM-DD")
