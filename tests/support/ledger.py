"""What must stand at the vendors, and in the journal, once all is quiet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from firm import Firm

PATIENT = {"CROSSDOCK_STEP_TIMEOUT": "60", "CROSSDOCK_LEASE": "90"}
"""For a test of many at once: a machine that has its hands full is no vendor that is down."""


def assert_each_once(firm: Firm, runs: Iterable[dict[str, Any]], titles: Iterable[str]) -> None:
    """Every deal, each of a customer of its own, made one run, which made each of its objects once and nothing else."""
    runs, titles = list(runs), sorted(titles)
    assert Counter(r["status"] for r in runs) == {"succeeded": len(titles)}, [(r["key"], r["error"]) for r in runs]
    assert len({r["key"] for r in runs}) == len(runs) == len(titles)
    customers = {c["Id"]: c["DisplayName"] for c in firm.customers()}
    assert sorted(customers.values()) == [f"Customer of {title}" for title in titles]
    assert Counter(i["CustomerRef"]["value"] for i in firm.invoices) == dict.fromkeys(customers, 1)
    won = [d for d in firm.sandbox.state()[firm.crm]["deals"] if d["status"] == "won"]
    numbers = sorted(d["custom"]["invoice_number"] for d in won)
    assert numbers == sorted(i["DocNumber"] for i in firm.invoices)
    assert sorted(t["name"] for t in firm.tasks) == [f"Kick off {title}" for title in titles]


async def win_each(firm: Firm, titles: Iterable[str]) -> None:
    """Win a deal of each title."""
    for title in titles:
        await firm.win(title, customer=f"Customer of {title}")
