"""Connectors that others wrote: installed from a folder, used like ours, and harmless where they are broken."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from crossdock_sdk.testing import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

HERE = Path(__file__).parent / "third_party"
KEY = "acme-key-no-secret"
SIGNING = "acme-signing-no-secret"


def installed(folder: Path, *names: str) -> Path:
    """The distributions, built and installed into a folder of their own, as pip does it for anybody."""
    for name in names:
        shutil.copytree(HERE / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    site = folder / "site"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--no-index", "--no-deps")
    command = (*pip, "--no-build-isolation", "--target", str(site), *(str(folder / name) for name in names))
    subprocess.run(command, check=True, capture_output=True)
    return site


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("good"), "acme")


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("bad"), "crash", "typo", "rowdy")


def crossdock(*arguments: str, cwd: Path, sites: tuple[Path, ...]) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sites))}
    command = [sys.executable, "-m", "crossdock", *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


@dataclass
class Acme:
    """The vendor: it knows one order, and keeps contacts."""

    url: str = ""
    contacts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def connection(self) -> dict[str, Any]:
        webhook = {"verifier_token": SIGNING}
        return {"connector": "acme", "base_url": self.url, "api_key": KEY, "webhook": webhook}

    async def order(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return JSONResponse({"error": "no key"}, 401)
        return JSONResponse({"id": request.path_params["id"], "buyer": "Ann", "total": "10.10"})

    async def create(self, request: Request) -> Response:
        contact = {"id": f"c-{len(self.contacts) + 1}"} | await request.json()
        self.contacts.append(contact)
        return JSONResponse({"contact": contact}, 201)

    async def place(self, firm: Any, event: str, order: str = "41", signing: str = SIGNING) -> Any:
        """An order is placed, and Acme tells of it."""
        body = json.dumps({"id": event, "order": order}).encode()
        signature = hmac.new(signing.encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-Acme-Signature": f"sha256={signature}"}
        return await firm.client.post(f"{firm.server.url}/webhooks/shop", content=body, headers=headers)


@pytest.fixture
async def acme() -> AsyncIterator[Acme]:
    vendor = Acme()
    routes = [Route("/orders/{id}", vendor.order), Route("/contacts", vendor.create, methods=["POST"])]
    async with serve(Starlette(routes=routes)) as url:
        vendor.url = url
        yield vendor


def flow(**legs: dict[str, Any]) -> dict[str, Any]:
    return {
        "when": "shop.order.placed",
        "ignore": ["order.total"],
        "legs": {name: {"do": do.pop("do"), "with": do} for name, do in legs.items()},
        "retry": {"attempts": 1, "first": "100ms"},
        "notify": ["alerts"],
    }


GOOD = {
    "contact": {"do": "shop.contact.create", "name": "{{ order.buyer | shout }}"},
    "customer": {"do": "books.customer.find_or_create", "name": "{{ order.buyer }} ({{ contact.id }})"},
}


def use(firm: Any, acme: Acme, *sites: Path, **flows: dict[str, Any]) -> None:
    firm.server.env["PYTHONPATH"] = os.pathsep.join(map(str, sites))
    firm.routing["connections"]["shop"] = acme.connection
    firm.routing["flows"] = {"order": flow(**{k: dict(v) for k, v in GOOD.items()}), **flows}
    firm.write()


def test_it_is_listed_with_all_that_it_brings(good: Path, tmp_path: Path) -> None:
    done = crossdock("connectors", "--json", cwd=tmp_path, sites=(good,))
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    (plugin,) = [p for p in shown["plugins"] if p["name"] == "acme"]
    assert (plugin["distribution"], plugin["version"], plugin["status"]) == ("crossdock-acme", "0.1.0", "loaded")
    (brought,) = [c for c in shown["connectors"] if c["connector"] == "acme"]
    assert [event["type"] for event in brought["events"]] == ["order.placed"]
    assert [(action["name"], action["redo"]) for action in brought["actions"]] == [("contact.create", "lookup")]
    assert "shout" in shown["filters"]


def test_check_knows_its_actions_its_fields_and_its_filter(good: Path, tmp_path: Path) -> None:
    shop = Acme("http://127.0.0.1:9").connection
    file = tmp_path / "crossdock.yaml"
    right = {"do": "shop.contact.create", "name": "{{ order.buyer | shout }}"}
    for leg, said in (
        (right, None),
        (right | {"do": "shop.contact.creat"}, "did you mean shop.contact.create?"),
        (right | {"name": "{{ order.buyr }}"}, "did you mean order.buyer?"),
        (right | {"name": "{{ order.buyer | shuot }}"}, "did you mean shout?"),
    ):
        routing = {"version": 1, "connections": {"shop": shop}, "flows": {"order": flow(contact=dict(leg))}}
        del routing["flows"]["order"]["notify"]
        file.write_text(yaml.safe_dump(routing))
        done = crossdock("check", cwd=tmp_path, sites=(good,))
        assert done.returncode == (2 if said else 0), done.stdout
        assert (said or "") in done.stdout


async def test_a_flow_of_the_running_server_uses_it_beside_ours(firm: Any, acme: Acme, good: Path) -> None:
    use(firm, acme, good)
    await firm.server.start()
    assert (await acme.place(firm, "e-0", signing="a-wrong-secret")).status_code == 401
    assert (await acme.place(firm, "e-1")).json()["accepted"] == 1
    assert (await acme.place(firm, "e-1")).json()["duplicates"] == 1
    (run,) = await firm.ended()
    assert run["status"] == "succeeded", run
    (contact,) = acme.contacts
    assert contact["name"] == "ANN!"
    assert [c["DisplayName"] for c in firm.customers()] == ["Ann (c-1)"]


def test_broken_ones_are_listed_with_their_errors_and_the_others_load(good: Path, bad: Path, tmp_path: Path) -> None:
    done = crossdock("connectors", "--json", cwd=tmp_path, sites=(good, bad))
    assert done.returncode == 0, done.stderr
    plugins = {p["name"]: p for p in json.loads(done.stdout)["plugins"]}
    assert plugins["crash"]["status"] == plugins["typo"]["status"] == "failed"
    assert plugins["crash"]["error"] == "RuntimeError: the crash plugin needs a library that is not here"
    assert plugins["typo"]["error"] == "unknown hook crossdock_sinkz; did you mean crossdock_sinks?"
    assert {p["status"] for name, p in plugins.items() if name not in {"crash", "typo"}} == {"loaded"}
    assert {"acme", "rowdy", "pipedrive", "quickbooks", "asana", "slack"} <= plugins.keys()


WRONG = {
    "raise": ("in_doubt", "the connector failed: KeyError: 'identifier'"),
    "rubbish": ("in_doubt", "the connector failed: TypeError: wrong.rubbish: apply returned a dict, not a Receipt"),
    "hang": ("in_doubt", "no answer from the connector within 0.5 s"),
    "lock": ("rolled_back", "rowdy.wrong.lock: the connector failed in serialize_by: ZeroDivisionError"),
    "start": (
        "rolled_back",
        "connection rowdy: the connector rowdy failed to start: OSError: a file that is not there",
    ),
    "filter": ("dead", "stumble failed with TypeError"),
}


def told_as(run: dict[str, Any]) -> tuple[str, str]:
    return run["status"], (run["error"] or {}).get("message", "")


async def test_code_that_fails_lies_or_hangs_is_told_and_harms_no_other_flow(
    firm: Any, acme: Acme, good: Path, bad: Path
) -> None:
    firm.routing["connections"]["rowdy"] = {"connector": "rowdy", "base_url": "http://127.0.0.1:9"}
    note = {"deal_id": "1", "content": "{{ order.buyer }}"}
    wrong = {what: flow(it={"do": f"rowdy.wrong.{what}", **note}) for what in WRONG if what != "filter"}
    wrong["filter"] = flow(it={"do": "shop.contact.create", "name": "{{ order.buyer | stumble }}"})
    use(firm, acme, good, bad, **wrong)
    firm.server.env["CROSSDOCK_STEP_TIMEOUT"] = "0.5"
    await firm.server.start()
    assert (await acme.place(firm, "e-1")).json()["accepted"] == len(WRONG) + 1
    runs = await firm.until(lambda runs: not {r["status"] for r in runs} & {"queued", "running", "waiting"})
    ended = {r["flow"]: told_as(r) for r in runs}
    assert ended.pop("order") == ("succeeded", "")
    for what, (status, message) in WRONG.items():
        assert ended[what][0] == status, what
        assert message in ended[what][1], what
    messages = str(await firm.told(len(WRONG)))
    for _, message in WRONG.values():
        assert message.split("'")[0] in messages
    assert (await acme.place(firm, "e-2", order="42")).json()["accepted"] == len(WRONG) + 1
    again = await firm.until(lambda runs: sum(r["status"] == "succeeded" for r in runs) == 2)
    assert {r["flow"] for r in again if r["status"] == "succeeded"} == {"order"}


async def test_a_source_that_fails_answers_500_without_a_trace_and_a_wrong_record_is_told(
    firm: Any, acme: Acme, good: Path, bad: Path
) -> None:
    firm.routing["connections"]["rowdy"] = {"connector": "rowdy", "base_url": "http://127.0.0.1:9"}
    thing = flow(it={"do": "shop.contact.create", "name": "{{ note.content }}"}) | {"when": "rowdy.thing.done"}
    use(firm, acme, good, bad, thing={**thing, "ignore": []})
    await firm.server.start()
    reply = await firm.client.post(f"{firm.server.url}/webhooks/rowdy", content=b"")
    assert reply.status_code == 500
    assert reply.headers["content-type"] == "application/problem+json"
    assert "LookupError" not in reply.text
    assert "a table that somebody forgot to fill" in firm.server.log
    assert (await firm.client.post(f"{firm.server.url}/webhooks/rowdy", content=b"x")).json()["accepted"] == 1
    (run,) = await firm.ended()
    assert told_as(run) == (
        "dead",
        "the connector failed: TypeError: hydrate did not return note, order as its EventSpec declares",
    )
    assert "hydrate did not return note" in str(await firm.told())


async def test_a_connector_that_broke_stops_only_the_flows_that_need_it_and_loses_no_event(
    firm: Any, acme: Acme, good: Path, bad: Path
) -> None:
    firm.routing["connections"]["broke"] = {"connector": "crash", "base_url": "http://127.0.0.1:9"}
    needs = flow(it={"do": "broke.some.thing", "name": "{{ order.buyer }}"})
    use(firm, acme, good, bad, needs=needs)
    done = crossdock("check", cwd=firm.server.folder, sites=(good, bad))
    assert done.returncode == 2
    assert "the plugin crash of connector crash is failed: RuntimeError: the crash plugin needs" in done.stdout
    await firm.server.start()
    assert (await acme.place(firm, "e-1")).json()["accepted"] == 2
    runs = await firm.until(lambda runs: {r["flow"]: r["status"] for r in runs}.get("order") == "succeeded")
    runs = await firm.until(lambda runs: {r["flow"]: r["status"] for r in runs}.get("needs") == "waiting")
    (waits,) = [r for r in runs if r["flow"] == "needs"]
    assert "connection broke is not in the configuration, or its plugin did not load" in waits["error"]["message"]
    assert "needs for 41 cannot go on" in str(await firm.told())
    shown = {c["name"]: c for c in (await firm.get("/connections"))["items"]}
    assert (shown["broke"]["status"], shown["broke"]["connector"]) == ("stopped", "crash")
    assert "needs a library that is not here" in shown["broke"]["reason"]
    reply = await firm.client.post(f"{firm.server.url}/webhooks/broke", content=b"{}")
    assert reply.status_code == 503
