"""What must never be shown: registered secret values, found in any text."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "[redacted]"
SHORTEST = 6
"""How long a secret must be to be masked: a shorter one stands in ordinary words as well."""


class Redactor:
    """Replaces registered secrets, and their base64, URL-encoded and JSON-escaped forms, wherever they stand.

    Base64 also where the secret is part of what was encoded, as a password is in HTTP Basic credentials.

    Values with fewer characters than `SHORTEST` are not registered: masking them would garble ordinary text. The
    runtime warns of such a setting.
    """

    def __init__(self) -> None:
        self._forms: dict[str, frozenset[str]] = {}
        self._pattern: re.Pattern[str] | None = None

    def add(self, *secrets: str) -> None:
        """Register secrets; from now on no text shows them."""
        new = {s: _forms(s) for s in secrets if len(s) >= SHORTEST and s not in self._forms}
        if new:
            self._forms |= new
            self._compile()

    def forget(self, *secrets: str) -> None:
        """Let go of secrets that no longer open anything, so that rotating tokens do not pile up."""
        known = [s for s in secrets if s in self._forms]
        for secret in known:
            del self._forms[secret]
        if known:
            self._compile()

    def _compile(self) -> None:
        longest_first = sorted({form for forms in self._forms.values() for form in forms}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """The text with every registered secret masked."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def data(self, value: Any) -> Any:
        """Plain data (dicts, lists, scalars) with every string in it masked, keys too."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.data(k): self.data(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.data(v) for v in value]
        return value


def _forms(secret: str) -> frozenset[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    quoted = {quote(raw, safe=""), quote_plus(raw)}
    return frozenset({secret} | escaped | quoted | _encoded(raw))


def _encoded(raw: bytes) -> set[str]:
    """Base64 of the secret alone, and what is certain of it where other text stands before and after it."""
    found: set[str] = set()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        found.add(encode(raw).decode().rstrip("="))
        for before in range(3):
            whole = encode(bytes(before) + raw).decode()
            found.add(whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6])
    return found
