"""What the contracts themselves do, without a vendor."""

from __future__ import annotations

from typing import Any

import pytest
from crossdock_sdk import (
    Action,
    AmbiguousError,
    Connection,
    ConnectionConfig,
    ConnectorError,
    Context,
    Customer,
    DiscrepancyError,
    EventVoid,
    Invoice,
    MemoryTokens,
    Receipt,
    Redo,
    Token,
)
from crossdock_sdk.contracts.connection import named_secrets
from crossdock_sdk.webhooks import BasicWebhook
from pydantic import SecretStr, ValidationError


class Config(ConnectionConfig):
    api_token: SecretStr
    webhook: BasicWebhook | None = None
    note: str | None = None


class AcmeConnection(Connection):
    connector = "acme"
    Config = Config


class CustomerCreate(Action[Customer]):
    name = "customer.create"
    redo = Redo.UPSERT

    async def apply(self, data: Customer, key: str) -> Receipt:
        return Receipt(id=key)

    async def undo(self, receipt: Receipt) -> None:
        return None


class VipCreate(CustomerCreate):
    name = "vip.create"


def test_a_connection_registers_every_secret_of_its_settings() -> None:
    webhook = BasicWebhook(user="hook", password=SecretStr("pass-word-1"))
    context = Context("crm")
    config = Config(base_url="https://crm.example", api_token=SecretStr("token-4711"), webhook=webhook)
    AcmeConnection(config, context)
    assert context.redactor.text("token-4711 pass-word-1 hook") == "[redacted] [redacted] hook"


@pytest.mark.parametrize("url", ["https://crm.example/api", "https://crm.example/api/"])
def test_an_account_is_told_by_connector_and_address_unless_the_connector_knows_better(url: str) -> None:
    connection = AcmeConnection(Config(base_url=url, api_token=SecretStr("token-4711")), Context("crm"))
    assert connection.account == "acme:https://crm.example/api"


def test_an_event_that_no_longer_holds_is_neither_a_refusal_nor_worth_another_try() -> None:
    told = EventVoid("the event no longer holds: deal 7 is open again")
    assert told.facts() == {"kind": "void", "message": "the event no longer holds: deal 7 is open again"}
    assert EventVoid.__bases__ == (ConnectorError,)


def test_secrets_are_known_by_their_keys_in_the_routing_file() -> None:
    webhook = BasicWebhook(user="hook", password=SecretStr("pass-word-1"))
    config = Config(base_url="https://crm.example", api_token=SecretStr("token-4711"), webhook=webhook)
    assert named_secrets(config) == {"api_token": "token-4711", "webhook.password": "pass-word-1"}


def test_a_setting_that_is_wrong_is_named_but_not_shown() -> None:
    with pytest.raises(ValidationError, match="note") as caught:
        Config.model_validate({"base_url": "https://a", "api_token": "token-4711", "note": ["token-4712"]})
    assert "token-471" not in str(caught.value)


def test_an_action_knows_its_input_from_its_type_argument() -> None:
    assert CustomerCreate.input_model() is Customer
    assert VipCreate.input_model() is Customer


def test_an_action_without_a_type_argument_is_told_what_to_write() -> None:
    class Bare(Action):  # type: ignore[type-arg] # the mistake under test
        name = "bare"
        redo = Redo.UNSAFE

        async def apply(self, data: Any, key: str) -> Receipt:
            return Receipt(id=key)

        async def undo(self, receipt: Receipt) -> None:
            return None

    with pytest.raises(TypeError, match=r"Action\[Model\]"):
        Bare.input_model()


async def test_recover_and_exists_are_not_there_unless_declared() -> None:
    action = CustomerCreate(None)
    with pytest.raises(TypeError, match="needs no recover"):
        await action.recover(Customer(name="Acme"), "key")
    with pytest.raises(TypeError, match="needs no exists"):
        await action.exists(Receipt(id="1"))


async def test_the_memory_store_swaps_only_what_was_expected() -> None:
    tokens = MemoryTokens()
    assert await tokens.swap(Token("a", "r"), expected=0)
    assert not await tokens.swap(Token("b", "s"), expected=0)
    assert await tokens.swap(Token("c", "t"), expected=1)
    assert await tokens.load() == Token("c", "t", None, 2)


def test_tokens_do_not_show_themselves() -> None:
    assert "very-secret" not in repr(Token("very-secret-access", "very-secret-refresh"))


def test_an_errors_facts_are_what_is_known() -> None:
    error = AmbiguousError("HTTP 503", status=503, retry_after=2.5)
    assert error.facts() == {"kind": "ambiguous", "message": "HTTP 503", "status": 503, "retry_after": 2.5}
    receipt = Receipt(id="7")
    assert DiscrepancyError("totals differ", receipt=receipt, field="total").receipt is receipt


def test_the_sdk_exports_what_it_names() -> None:
    import crossdock_sdk

    assert all(hasattr(crossdock_sdk, name) for name in crossdock_sdk.__all__)
    assert Invoice.__name__ in crossdock_sdk.__all__
