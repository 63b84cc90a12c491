"""What one seed makes happen: deals, customers, and how each vendor fails."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from crossdock_sdk.testing import KINDS

NAMES = {"crm": "pipedrive", "books": "quickbooks", "board": "asana", "alerts": "slack"}
OUTAGE = ("refused", "connect_timeout", "503", "timeout", "502")
_RATES = {"crm": (0.0, 0.02, 0.08), "books": (0.0, 0.05, 0.2), "board": (0.0, 0.2), "alerts": (0.0, 0.2)}
"""Each deal asks the CRM for much before anything is written: at a high rate nothing ever would be."""
GHOST = "GHOST"
"""A product that the CRM sells and the books do not know."""
_CODES = ("CONSULT-DAY", "SETUP", "LICENSE-YR", "SUPPORT-MO")


@dataclass(frozen=True)
class Weather:
    """How one vendor fails: a share of its exchanges, another of the writes among them, in some of the kinds."""

    rate: float
    write_rate: float
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Won:
    """A deal as the CRM has it; `sound` unless it can never be invoiced as it stands."""

    body: dict[str, Any]
    worth: Decimal
    sound: bool
    again: bool


@dataclass(frozen=True)
class Story:
    """All that is drawn before anything happens.

    `kill` is the chance that an exchange ends a performer; `forgetful` books do not honour a `requestid`;
    `wishes` is how often a person replays a run, lets it go on, or cancels it.
    """

    seed: int
    deals: tuple[Won, ...]
    weather: dict[str, Weather]
    storm: timedelta
    kill: float
    oauth: bool
    webhook: bool
    forgetful: bool
    wishes: int


def story(seed: int) -> Story:
    """The story of a seed. Each has its own few kinds of fault, for all at once would hide one behind another."""
    rng = random.Random(seed)
    customers = [f"Customer {n}" for n in range(rng.randint(1, 3))]
    deals = tuple(_won(rng, number, rng.choice(customers)) for number in range(rng.randint(2, 5)))
    weather = {name: _weather(rng, *rates) for name, rates in _RATES.items()}
    forgetful = rng.random() < 0.3
    if forgetful:
        # Who neither keeps our keys nor shows at once what was made leaves nothing to go by.
        weather["books"] = _without(weather["books"], "timeout_lagging", "503_lagging")
    if rng.random() < 0.15:
        weather[rng.choice(list(NAMES))] = Weather(1.0, 1.0, OUTAGE)
    return Story(
        seed,
        deals,
        weather,
        storm=timedelta(seconds=rng.choice((30, 300, 3600))),
        kill=rng.choice((0.0, 0.0, 0.02)),
        oauth=rng.random() < 0.5,
        webhook=rng.random() < 0.5,
        forgetful=forgetful,
        wishes=rng.choice((0, 0, 2, 4)),
    )


def _weather(rng: random.Random, *rates: float) -> Weather:
    some = tuple(kind for kind in KINDS if rng.random() < 0.25)
    return Weather(rng.choice(rates), rng.choice((0.0, 0.2, 0.5)), some or tuple(KINDS))


def _without(weather: Weather, *kinds: str) -> Weather:
    return replace(weather, kinds=tuple(kind for kind in weather.kinds if kind not in kinds) or OUTAGE)


def _won(rng: random.Random, number: int, customer: str) -> Won:
    lines = [_line(rng) for _ in range(rng.randint(1, 3))]
    discount = rng.choice((0, 10, 15))
    worth = value = _worth(lines, Decimal(discount))
    flaw = rng.random()
    if flaw < 0.06:
        lines[-1]["code"] = GHOST
    elif flaw < 0.1:
        value += 1
    body = {
        "title": f"Deal {number}",
        "currency": "USD",
        "custom": {"Discount": discount} if discount else {},
        "organization": {"name": customer},
        "person": {"name": f"Ann of {customer}", "email": f"ann@{customer.lower().replace(' ', '')}.test"},
        "products": lines,
        "value": value,
    }
    return Won(body, worth, flaw >= 0.1, again=rng.random() < 0.15)


def _line(rng: random.Random) -> dict[str, Any]:
    code = rng.choice(_CODES)
    price = Decimal(rng.randint(100, 99_999)) / 100
    return {"code": code, "name": code.lower(), "quantity": rng.randint(1, 12), "unit_price": price}


def _worth(lines: list[dict[str, Any]], discount: Decimal) -> Decimal:
    subtotal = sum((_cents(line["quantity"] * line["unit_price"]) for line in lines), Decimal(0))
    return subtotal - _cents(subtotal * discount / 100)


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
