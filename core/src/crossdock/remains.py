"""What stays of a run once retention has removed its payload: what happened when, and what was made. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REMOVED = "removed by retention"
"""What stands where a vendor's or a mapping's own words stood: they quote what they are about."""
_KEPT = frozenset(
    {
        *("key", "do", "account", "generation", "fingerprint", "redo", "looked", "unsettled", "changed", "again"),
        *("id", "created", "touched", "there", "named", "exists", "used_by", "run", "from", "connection"),
        *("flow", "status", "object", "subject", "legs", "without", "accounts", "made", "origin", "left_out"),
        *("by", "kept_from", "alert", "in", "owner", "cut_off", "in_hand"),
    }
)
"""What a checkpoint tells that is no payload. A new key is payload until it is named here."""
_ERROR = frozenset({"kind", "code", "status", "leg", "jitter", "retry_after", "outage"})
_NAMES_ONLY = ("records", "inputs")


def remains(data: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint's data without its payload. Folded, it gives the same run, but for what the run was about."""
    kept = {name: value for name, value in data.items() if name in _KEPT}
    kept |= {name: {key: {} for key in data[name]} for name in _NAMES_ONLY if isinstance(data.get(name), dict)}
    if isinstance(data.get("error"), dict):
        kept["error"] = error_remains(data["error"])
    if "receipt" in data:
        kept["receipt"] = _receipt_remains(data["receipt"])
    return kept


def error_remains(error: Mapping[str, Any]) -> dict[str, Any]:
    """The kind and codes of an error, without its words."""
    return {name: value for name, value in error.items() if name in _ERROR} | {"message": REMOVED}


def _receipt_remains(receipt: Any) -> Any:
    """A receipt says what was made and where it is; what its undo would put back is the vendor's own data."""
    return receipt | {"undo": {}} if isinstance(receipt, dict) else receipt
