"""What the company's books say of currencies, so that a write in one they do not keep is never sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from crossdock_sdk import RejectedError

_KEEP = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Currencies:
    """The currency that the books are kept in, and whether they keep others too; None where that is not known."""

    home: str | None = None
    several: bool | None = None

    @classmethod
    def of(cls, preferences: dict[str, Any]) -> Currencies:
        """What `CurrencyPrefs` say."""
        told = preferences.get("CurrencyPrefs")
        if not isinstance(told, dict):
            return cls()
        home, several = told.get("HomeCurrency"), told.get("MultiCurrencyEnabled")
        code = home.get("value") if isinstance(home, dict) else None
        return cls(code if isinstance(code, str) and code else None, several if isinstance(several, bool) else None)

    def keep(self, currency: str) -> bool:
        """Whether an amount in that currency can be booked, as far as is known."""
        return self.several is not False or self.home in (None, currency.upper())


class KnownCurrencies:
    """The `Currencies` of one company, read when first needed and kept for five minutes."""

    def __init__(self, read: Callable[[], Awaitable[Currencies]], now: Callable[[], datetime]) -> None:
        self._read = read
        self._now = now
        self._known: Currencies | None = None
        self._until = now()

    async def get(self) -> Currencies:
        if self._known is None or self._until <= self._now():
            self._known = await self._read()
            self._until = self._now() + _KEEP
        return self._known

    async def require(self, currency: str) -> Currencies:
        """Raises `RejectedError` for a currency that the books do not keep; a person may have just changed that."""
        known = await self.get()
        if not known.keep(currency):
            self._known = None
            known = await self.get()
        if not known.keep(currency):
            raise RejectedError(
                f"nothing can be booked in {currency.upper()}: the books are kept in {known.home} only; "
                "switch multicurrency on in QuickBooks, or correct the currency",
                field="currency",
            )
        return known
