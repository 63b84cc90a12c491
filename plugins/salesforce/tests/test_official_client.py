"""simple-salesforce, the client that most Python programs use, works against the simulated org over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import requests
from crossdock_salesforce.simulator import SalesforceSimulator
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

Served = tuple[SalesforceSimulator, str]


class Plainly(HTTPAdapter):
    """The client speaks https alone, and the simulator http."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        assert request.url is not None
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, *args, **kwargs)


@pytest.fixture
def client(served: Served) -> Any:
    simulator, url = served
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", Plainly())
        instance = url.replace("http://", "https://")
        yield Salesforce(instance_url=instance, session_id=simulator.tokens.session(), session=session, version="66.0")


async def aside(work: Callable[[], Any]) -> Any:
    """The client blocks, and the simulator runs in this loop."""
    return await asyncio.to_thread(work)


async def test_queries_and_their_pages(simulator: SalesforceSimulator, client: Any) -> None:
    found = await aside(lambda: client.query("SELECT Name, Account.Name FROM Opportunity WHERE IsWon = false"))
    assert [(row["Name"], row["Account"]["Name"]) for row in found["records"]] == [
        ("Fernhill rollout", "Fernhill Instruments GmbH")
    ]
    simulator.queries.batch = 1
    every = await aside(lambda: client.query_all("SELECT ProductCode FROM Product2 ORDER BY ProductCode"))
    assert [row["ProductCode"] for row in every["records"]] == ["CONSULT-DAY", "LICENSE-YR", "SETUP", "SUPPORT-MO"]
    assert every["done"] is True


async def test_create_read_update_upsert_and_delete(simulator: SalesforceSimulator, client: Any) -> None:
    made = await aside(lambda: client.Invoice__c.create({"Name": "X", "Number__c": "7"}))
    assert made["success"] is True
    assert (await aside(lambda: client.Invoice__c.get(made["id"])))["Name"] == "X"
    assert await aside(lambda: client.Invoice__c.update(made["id"], {"Name": "Y"})) == 204
    assert (await aside(lambda: client.Invoice__c.get_by_custom_id("Number__c", "7")))["Name"] == "Y"
    assert await aside(lambda: client.Invoice__c.upsert("Number__c/7", {"Name": "Z"})) == 200
    assert await aside(lambda: client.Invoice__c.upsert("Number__c/8", {"Name": "new"})) == 201
    assert await aside(lambda: client.Invoice__c.delete(made["id"])) == 204
    assert [row["Name"] for row in simulator.org.live("Invoice__c")] == ["new"]


async def test_describe_tells_labels_and_types(client: Any) -> None:
    described = await aside(client.Opportunity.describe)
    kinds = {field["name"]: (field["label"], field["type"], field["custom"]) for field in described["fields"]}
    assert kinds["Invoice_number__c"] == ("Invoice number", "string", True)
    assert kinds["IsWon"][1:] == ("boolean", False)


async def test_refusals_are_told_by_their_classes(simulator: SalesforceSimulator, client: Any) -> None:
    for legacy in ("a", "b"):
        simulator.org.insert("Invoice__c", {"Name": legacy, "Legacy_Number__c": "9"})
    refusals: list[tuple[Callable[[], Any], type[Exception]]] = [
        (lambda: client.query("SELECT Nothing FROM Account"), SalesforceMalformedRequest),
        (lambda: client.Account.create({}), SalesforceMalformedRequest),
        (lambda: client.Account.get("001000000000000"), SalesforceResourceNotFound),
        (lambda: client.Invoice__c.get_by_custom_id("Legacy_Number__c", "9"), SalesforceMoreThanOneRecord),
    ]
    for ask, kind in refusals:
        with pytest.raises(kind):
            await aside(ask)
    simulator.api.allowance = 0
    with pytest.raises(SalesforceRefusedRequest):
        await aside(lambda: client.query("SELECT Id FROM Account"))
    simulator.tokens.expire()
    with pytest.raises(SalesforceExpiredSession):
        await aside(lambda: client.query("SELECT Id FROM Account"))
