"""What the simulator lends to chaos: QuickBooks' own refusals, and searches that lag behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crossdock_quickbooks.connection import QuickBooksConfig, QuickBooksConnection
from crossdock_quickbooks.simulator import QuickBooksSimulator
from crossdock_sdk import AmbiguousError, ConnectorError, Context, RejectedError, TransientError
from crossdock_sdk.testing import FaultTransport

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def books(kind: str) -> tuple[QuickBooksSimulator, FaultTransport, QuickBooksConnection]:
    simulator = QuickBooksSimulator(clock=lambda: NOW)
    simulator.seed()
    chaos = FaultTransport(simulator, seed=1, rate=1.0, kinds=[kind], spare=["/oauth2/*"])
    settings: dict[str, Any] = simulator.settings("http://quickbooks.test")
    settings.pop("connector")
    lent = Context("books", transport=lambda: chaos, now=lambda: simulator.clock())
    return simulator, chaos, QuickBooksConnection(QuickBooksConfig(**settings), lent)


@pytest.mark.parametrize(
    ("kind", "error", "code"), [("stale", RejectedError, "5010"), ("throttled", TransientError, "3001")]
)
async def test_an_update_is_refused_in_quickbooks_own_words(kind: str, error: type[ConnectorError], code: str) -> None:
    simulator, _, connection = books(kind)
    change = {"Id": "1", "SyncToken": "0", "sparse": True, "Active": False}
    with pytest.raises(error) as caught:
        await connection.change("Customer", change)
    assert (type(caught.value), caught.value.code) == (error, code)
    assert simulator.state()["customers"][0]["Active"] is True


async def test_only_what_carries_a_version_can_be_stale() -> None:
    simulator, chaos, connection = books("stale")
    await connection.create("Customer", {"DisplayName": "Acme"}, "key-1")
    assert chaos.plan() == ()
    assert len(simulator.state()["customers"]) == 2


async def test_queries_show_a_new_customer_only_after_the_lag_and_reads_at_once() -> None:
    simulator, chaos, connection = books("timeout_lagging")
    with pytest.raises(AmbiguousError):
        await connection.create("Customer", {"DisplayName": "Acme"}, "key-1")
    chaos.calm()
    made = simulator.state()["customers"][-1]["Id"]
    assert (await connection.read("Customer", made))["DisplayName"] == "Acme"
    assert await connection.find("Customer", "DisplayName = 'Acme'") == []
    simulator.clock = lambda: NOW + timedelta(seconds=3)
    assert [row["Id"] for row in await connection.find("Customer", "DisplayName = 'Acme'")] == [made]
    await connection.close()
