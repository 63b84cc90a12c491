"""What every installed connector says of its account: `Connection.check` and `Connection.headroom`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crossdock.plugins import load_plugins
from crossdock_sdk import AuthError, Connection, Context, MemoryTokens, TransientError
from crossdock_sdk.testing import Fault, Simulator, serve

REGISTRY = load_plugins()
CONNECTORS = sorted(REGISTRY.simulators.keys() & REGISTRY.connections.keys())
ALLOWED = {"/api/auth.test"}
"""Questions that are asked by POST."""
SECRETS = ("api_token", "access_token", "refresh_token", "client_secret", "bot_token", "password")
WITHOUT_CLOCK = {"email"}


@asynccontextmanager
async def account(connector: str, **changed: Any) -> AsyncIterator[tuple[Any, Connection, MemoryTokens]]:
    """A seeded simulator, a connection to it with some settings `changed`, and its tokens."""
    simulator: Simulator = REGISTRY.simulators[connector]()
    simulator.seed()
    kind = REGISTRY.connections[connector]
    async with serve(simulator) as url:
        given = {key: value for key, value in simulator.settings(url).items() if key != "connector"}
        tokens = MemoryTokens()
        connection = kind(kind.Config.model_validate(given | spoiled(given, changed)), Context("it", tokens=tokens))
        try:
            yield simulator, connection, tokens
        finally:
            await connection.close()


def spoiled(given: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in changed.items() if name in given}


@pytest.mark.parametrize("connector", CONNECTORS)
async def test_a_check_says_whose_account_it_is_and_changes_nothing(connector: str) -> None:
    async with account(connector) as (simulator, connection, _):
        before, begun = simulator.state(), datetime.now(UTC)
        checked = await connection.check()
        assert checked is not None
        assert checked.answer == " ".join(checked.answer.split()) != ""
        assert simulator.state() == before
        writes = [e for e in simulator.requests if e["method"] in {"POST", "PUT", "PATCH", "DELETE", "MAIL", "DATA"}]
        assert {e["path"] for e in writes if "token" not in e["path"]} <= ALLOWED
        if connector in WITHOUT_CLOCK:
            assert checked.vendor_time is None
        else:
            assert abs(checked.vendor_time - begun) < timedelta(seconds=60)


@pytest.mark.parametrize("connector", CONNECTORS)
async def test_refused_credentials_are_told_as_such(connector: str) -> None:
    wrong = dict.fromkeys(SECRETS, "no-such-secret-at-all")
    async with account(connector, **wrong) as (_, connection, _tokens):
        with pytest.raises(AuthError):
            await connection.check()


@pytest.mark.parametrize("connector", CONNECTORS)
@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "applied_503", "garbage"])
async def test_a_check_without_a_usable_answer_is_a_passing_fault(connector: str, kind: Any) -> None:
    async with account(connector) as (simulator, connection, _):
        await connection.check()
        simulator.faults.append(Fault(kind=kind, times=None))
        with pytest.raises(TransientError):
            await connection.check()


async def test_an_incoming_webhook_can_be_asked_nothing_that_people_would_not_see() -> None:
    kind = REGISTRY.connections["slack"]
    config = kind.Config.model_validate({"webhook_url": "http://127.0.0.1:9/services/T/B/a-secret-of-slack"})
    connection = kind(config, Context("it"))
    assert await connection.check() is None
    await connection.close()


@pytest.mark.parametrize(
    ("connector", "quotas"),
    [("pipedrive", {"burst": 120, "daily": 1_050_000}), ("salesforce", {"daily": 15_000}), ("asana", {})],
)
async def test_what_is_left_of_a_vendors_limits_is_what_its_replies_say(connector: str, quotas: dict[str, int]) -> None:
    async with account(connector) as (_, connection, _tokens):
        assert (connection.headroom.quotas, connection.headroom.told) == ((), bool(quotas))
        await connection.check()
        found = {quota.name: quota for quota in connection.headroom.quotas}
        assert {name: quota.limit for name, quota in found.items()} == quotas
        assert all(0 < quota.remaining < quotas[name] for name, quota in found.items())


async def test_the_end_of_a_refresh_token_is_kept_where_the_vendor_tells_it() -> None:
    async with account("quickbooks") as (_, connection, tokens):
        await connection.check()
        token = await tokens.load()
        assert token is not None
        assert token.refresh_expires_at is not None
        assert token.expires_at is not None
        assert token.refresh_expires_at - token.expires_at > timedelta(days=50)
    async with account("asana") as (_, connection, tokens):
        await connection.check()
        token = await tokens.load()
        assert token is None or token.refresh_expires_at is None
