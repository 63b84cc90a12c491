"""Each connector against recorded replies: what it asks is bound to the byte, and no vendor is needed.

`make record` (CROSSDOCK_RECORD=1) records anew; tests/cassettes/README.md says against what.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import vcr
import yaml
from crossdock.plugins import Registry, load_plugins
from crossdock_salesforce.making import RecordUpsert
from crossdock_sdk import (
    Alert,
    AlertAction,
    Connection,
    ConnectorError,
    Context,
    ConversationNotifier,
    Customer,
    DealUpdate,
    Event,
    Invoice,
    InvoiceLine,
    LegReport,
    Note,
    PollRequest,
    Receipt,
    Task,
)
from crossdock_sdk.testing import perform, serve

FOLDER = Path(__file__).parent / "cassettes"
RECORD = os.environ.get("CROSSDOCK_RECORD") == "1"
SIMULATED_AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
SCRUBBED = "scrubbed"
KEPT_HEADERS = {"accept", "content-type", "retry-after"}
TOKENS = re.compile(r'("(?:access|refresh|id)_token":\s*")[^"]*')
FORM_SECRETS = re.compile(r"((?:refresh_token|client_id|client_secret|token)=)[^&]*")


@dataclass(frozen=True)
class Account:
    """What a cassette is recorded against: `places` are its addresses and those that stand for them."""

    against: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    at: datetime
    places: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """A connection to play a scene with. `inputs` name what is there in the account."""

    registry: Registry
    connection: Connection
    inputs: dict[str, str]
    at: datetime

    def key(self, what: str) -> str:
        """The same in every replay, and new in every recording of a real account."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{what} {self.at.isoformat()}"))

    def action(self, name: str) -> Any:
        kind = self.registry.action(self.connection.connector, name)
        assert kind is not None
        return kind(self.connection)


async def hydrate(stage: Stage) -> None:
    deal = stage.inputs["deal"]
    source = stage.registry.sources[stage.connection.connector](stage.connection)
    records = await source.hydrate(Event("deal.won", "e", deal, {"deal": {"id": deal}}))
    found: Any = records["deal"]
    assert found.id == deal
    assert found.title
    assert all(line.quantity > 0 for line in found.products)


async def deal_update(stage: Stage) -> None:
    action = stage.action("deal.update")
    wanted = DealUpdate(id=stage.inputs["deal"], custom={"invoice_number": "CASSETTE-1"})
    receipt = await perform(action, wanted, stage.key("update"))
    assert receipt.id == stage.inputs["deal"]
    again = await perform(action, wanted, stage.key("update"))
    assert again.id == receipt.id
    await action.undo(receipt)


async def poll(stage: Stage) -> None:
    source = stage.registry.sources[stage.connection.connector](stage.connection)
    since = stage.at - timedelta(days=1)
    page = await source.poll(PollRequest(None, since, timedelta(minutes=5), frozenset({"deal.won"})))
    assert [event.type for event in page.events] == ["deal.won"] * len(page.events)
    assert page.cursor


async def record_upsert(stage: Stage) -> None:
    action = stage.action("record.upsert")
    named = {"object": stage.inputs["object"], "external_id_field": stage.inputs["external_id_field"]}
    wanted = RecordUpsert(**named, external_id="CASSETTE-1", fields={"Name": "From a cassette"})
    made = await perform(action, wanted, stage.key("upsert"))
    assert made.model_dump()["inserted"] is True
    again = await action.apply(wanted, stage.key("upsert"))
    assert (again.id, again.inserted) == (made.id, False)
    await action.undo(made)
    await action.undo(made)


async def note_create(stage: Stage) -> None:
    action, key = stage.action("note.create"), stage.key("note")
    note = Note(deal_id=stage.inputs["deal"], content="From a cassette")
    assert await action.recover(note, key) is None
    receipt = await action.apply(note, key)
    assert (await action.recover(note, key)).id == receipt.id
    await action.undo(receipt)
    await action.undo(receipt)


async def token_refresh(stage: Stage) -> None:
    preferences = await stage.connection.preferences()  # type: ignore[attr-defined]
    assert "SalesFormsPrefs" in preferences
    token = await stage.connection.context.tokens.load()
    assert token is not None
    assert token.refresh_token
    assert token.expires_at is not None
    assert token.expires_at > stage.at


async def customer(stage: Stage) -> None:
    action = stage.action("customer.find_or_create")
    wanted = Customer(name="Cassette & Sons", email="ann@cassette.example")
    made = await action.apply(wanted, stage.key("customer"))
    assert made.created
    found = await action.apply(wanted, stage.key("again"))
    assert (found.id, found.created) == (made.id, False)
    await action.undo(made)


async def invoice(stage: Stage) -> None:
    buyer: Receipt = await stage.action("customer.find_or_create").apply(
        Customer(name="Cassette & Daughters"), stage.key("buyer")
    )
    action = stage.action("invoice.create")
    line = InvoiceLine(sku=stage.inputs["sku"], quantity=3, unit_price="10.10")
    wanted = Invoice(customer_id=buyer.id, lines=(line,), discount_percent=15, issue_date=stage.at.date())
    made = await action.apply(wanted, stage.key("invoice"))
    assert str(made.total) == "25.75"
    assert await action.exists(made)
    await action.undo(made)
    assert not await action.exists(made)
    await stage.action("customer.find_or_create").undo(buyer)


async def task_create(stage: Stage) -> None:
    action, key = stage.action("task.create"), stage.key("task")
    task = Task(name="Kick off", project=stage.inputs["project"], notes="From a cassette", due_date=stage.at.date())
    assert await action.recover(task, key) is None
    made = await action.apply(task, key)
    assert (await action.recover(task, key)).id == made.id
    await action.undo(made)
    await action.undo(made)


async def post_message(stage: Stage) -> None:
    alert = Alert(
        id="cassette",
        title="deal-to-invoice for 1 rolled back: nothing of it remains",
        at=stage.at,
        flow="deal-to-invoice",
        run="01",
        error={"kind": "rejected", "message": "no item has the SKU NOPE-1", "field": "sku"},
        payload={"lines": [{"sku": "NOPE-1"}]},
        legs=(LegReport(leg="customer", state="undone", id="58"),),
    )
    await stage.registry.notifiers["slack"](stage.connection).notify(alert)


async def converse(stage: Stage) -> None:
    notifier = stage.registry.notifiers["slack"](stage.connection)
    assert isinstance(notifier, ConversationNotifier)
    run = Alert(
        id="talk", title="f for 1 failed and waits for a person", at=stage.at, flow="f", run="01", status="dead"
    )
    replay = AlertAction(name="replay", label="Replay", token=SCRUBBED, style="primary")
    posted = await notifier.post(run.model_copy(update={"actions": (replay,)}), None)
    await notifier.post(
        run.model_copy(update={"id": "note", "title": "f for 1 has succeeded", "severity": "info"}), posted
    )
    well = {"title": "f for 1: replayed by ann → succeeded", "severity": "good", "story": ("replayed by ann",)}
    await notifier.update(posted, run.model_copy(update=well))


Scene = Callable[[Stage], Awaitable[None]]
SCENES: dict[str, tuple[Scene, ...]] = {
    "pipedrive": (hydrate, deal_update, note_create),
    "quickbooks": (token_refresh, customer, invoice),
    "asana": (task_create,),
    "salesforce": (hydrate, poll, deal_update, record_upsert),
    "slack": (post_message, converse),
}
EVERY = [pytest.param(c, s, id=f"{c} {s.__name__}") for c, scenes in SCENES.items() for s in scenes]

STAND_IN: dict[str, dict[str, Any]] = {
    "pipedrive": {"base_url": "https://pipedrive.invalid", "api_token": SCRUBBED},
    "quickbooks": {
        "base_url": "https://quickbooks.invalid",
        "token_url": "https://quickbooks.invalid/oauth2/v1/tokens/bearer",
        "client_id": "client",
        "client_secret": SCRUBBED,
        "refresh_token": SCRUBBED,
    },
    "asana": {"base_url": "https://asana.invalid/api/1.0", "access_token": SCRUBBED},
    "salesforce": {
        "base_url": "https://salesforce.invalid",
        "client_id": SCRUBBED,
        "client_secret": SCRUBBED,
        "refresh_token": SCRUBBED,
    },
    "slack": {"base_url": "https://slack.invalid/api/", "bot_token": SCRUBBED},
}
"""Settings for replays; what is no secret and no address comes from the cassette's inputs."""

SIMULATED_INPUTS = {
    "pipedrive": {"deal": "1"},
    "quickbooks": {"realm_id": "9130000000000001", "sku": "CONSULT-DAY"},
    "asana": {"project": "1201"},
    "salesforce": {"deal": "0067Q0000000010QAA", "object": "Invoice__c", "external_id_field": "Number__c"},
    "slack": {"channel": "C0ALERTS"},
}
REAL = {
    "pipedrive": ({"base_url": "PIPEDRIVE_URL", "api_token": "PIPEDRIVE_API_TOKEN"}, {"deal": "PIPEDRIVE_DEAL"}),
    "quickbooks": (
        {"client_id": "QBO_ID", "client_secret": "QBO_SECRET", "refresh_token": "QBO_REFRESH_TOKEN"},
        {"realm_id": "QBO_REALM_ID", "sku": "QBO_SKU"},
    ),
    "asana": ({"access_token": "ASANA_TOKEN"}, {"project": "ASANA_PROJECT"}),
    "salesforce": (
        {
            "base_url": "SALESFORCE_URL",
            "client_id": "SALESFORCE_CLIENT_ID",
            "client_secret": "SALESFORCE_CLIENT_SECRET",
            "refresh_token": "SALESFORCE_REFRESH_TOKEN",
        },
        {"deal": "SALESFORCE_DEAL", "object": "SALESFORCE_OBJECT", "external_id_field": "SALESFORCE_KEY_FIELD"},
    ),
    "slack": ({"bot_token": "SLACK_BOT_TOKEN"}, {"channel": "SLACK_CHANNEL"}),
}
"""Environment variables of a real account: settings, and inputs. All of a connector's must be set."""


def real_account(connector: str) -> Account | None:
    settings, inputs = ({k: os.environ.get(v, "") for k, v in names.items()} for names in REAL[connector])
    if not all((*settings.values(), *inputs.values())):
        return None
    if connector == "quickbooks":
        settings["environment"] = os.environ.get("QBO_ENVIRONMENT", "sandbox")
    at = datetime.now(UTC).replace(microsecond=0)
    config = configured(connector, settings, inputs)
    assert not re.match(r"https?://(localhost|127\.|\[::1\])", config.base_url), "a simulator is no real account"
    named = [name for name in ("token_url", "base_url") if name in STAND_IN[connector]]
    places = {getattr(config, name).rstrip("/"): STAND_IN[connector][name].rstrip("/") for name in named}
    return Account(f"a real {connector} account, on {at.date()}", settings, inputs, at, places)


def configured(connector: str, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> Any:
    """The connection's settings; an input that is one, such as a realm, is added."""
    kind = load_plugins().connections[connector].Config
    return kind.model_validate({**settings, **{k: v for k, v in inputs.items() if k in kind.model_fields}})


@contextlib.asynccontextmanager
async def recordable(connector: str) -> AsyncIterator[Account]:
    """The real account that the environment names, or else a fresh simulator."""
    real = real_account(connector)
    if real is not None:
        yield real
        return
    simulator = load_plugins().simulators[connector](clock=lambda: SIMULATED_AT)
    simulator.seed()
    async with serve(simulator) as url:
        if connector == "salesforce":
            await simulator.trigger("deal.won", {"id": SIMULATED_INPUTS[connector]["deal"]})
        settings = {k: v for k, v in simulator.settings(url).items() if k not in {"connector", "webhook"}}
        host = STAND_IN[connector]["base_url"].partition("invalid")[0] + "invalid"
        told = f"this repository's own simulator of {connector}, never the vendor"
        yield Account(told, settings, SIMULATED_INPUTS[connector], SIMULATED_AT, {url: host})


class Cassette:
    """The file format: vcrpy's, under a head that says what the replies were recorded against."""

    def __init__(self, account: Account | None = None) -> None:
        self._account = account

    def serialize(self, recorded: dict[str, Any]) -> str:
        assert self._account is not None, "a replay records nothing"
        against = self._account.against
        head = {"recorded_against": against, "at": self._account.at.isoformat(), "inputs": self._account.inputs}
        body = yaml.safe_dump(head | recorded, sort_keys=False, allow_unicode=True, width=110)
        return f"# Recorded against {against}. Nothing more is claimed.\n{body}"

    def deserialize(self, text: str) -> dict[str, Any]:
        kept: dict[str, Any] = yaml.safe_load(text)
        return {"version": kept["version"], "interactions": kept["interactions"]}


def recorder(places: Mapping[str, str], cassette: Cassette) -> Any:
    def placed(text: str) -> str:
        for place, stand_in in places.items():
            text = text.replace(place, stand_in)
        return text

    def asked(request: Any) -> Any:
        request.uri = placed(request.uri)
        agent = {k: v for k, v in request.headers.items() if k.lower() == "user-agent" and "crossdock/" in str(v)}
        request.headers = {k: v for k, v in request.headers.items() if k.lower() in KEPT_HEADERS} | agent
        if isinstance(request.body, dict):
            request.body = json.dumps(request.body, ensure_ascii=False)
        form = "form" in str(request.headers.get("content-type"))
        if isinstance(request.body, bytes) and form:
            request.body = FORM_SECRETS.sub(rf"\g<1>{SCRUBBED}", request.body.decode()).encode()
        return request

    def answered(response: dict[str, Any]) -> dict[str, Any]:
        headers = {k: v for k, v in response["headers"].items() if k.lower() in KEPT_HEADERS}
        text = TOKENS.sub(rf"\g<1>{SCRUBBED}", placed(response["body"].get("string", b"").decode()))
        return response | {"headers": headers, "body": {"string": text.encode()}}

    made = vcr.VCR(
        match_on=("method", "uri", "body", "headers"),
        before_record_request=asked,
        before_record_response=answered,
        decode_compressed_response=True,
    )
    made.register_serializer("cassette", cassette)
    return made


def path_of(connector: str, scene: Scene) -> Path:
    return FOLDER / connector / f"{scene.__name__}.yaml"


async def record(connector: str, scene: Scene) -> None:
    path = path_of(connector, scene)
    path.unlink(missing_ok=True)
    async with recordable(connector) as account:
        tape = recorder(account.places, Cassette(account))
        with tape.use_cassette(str(path), record_mode="all", serializer="cassette"):
            await play(connector, scene, account.settings, account.inputs, account.at)


async def replay(connector: str, scene: Scene, **changed: str) -> Any:
    """Play a scene from its cassette alone; `changed` replaces inputs."""
    kept = yaml.safe_load(path_of(connector, scene).read_text("utf-8"))
    tape = recorder({}, Cassette())
    with tape.use_cassette(str(path_of(connector, scene)), record_mode="none", serializer="cassette") as cassette:
        at = datetime.fromisoformat(kept["at"])
        await play(connector, scene, STAND_IN[connector], kept["inputs"] | changed, at)
    return cassette


async def play(connector: str, scene: Scene, settings: Mapping[str, Any], inputs: dict[str, str], at: datetime) -> None:
    registry = load_plugins()
    config = configured(connector, settings, inputs)
    connection = registry.connections[connector](config, Context(connector, now=lambda: at))
    try:
        await scene(Stage(registry, connection, inputs, at))
    finally:
        await connection.close()


@pytest.mark.parametrize(("connector", "scene"), EVERY)
async def test_a_scene_plays_from_its_cassette_to_the_end(connector: str, scene: Scene) -> None:
    if RECORD:
        await record(connector, scene)
    cassette = await replay(connector, scene)
    assert cassette.all_played


@pytest.mark.parametrize(
    ("connector", "scene", "changed"),
    [
        pytest.param(connector, scene, changed, id=f"{connector} {scene.__name__}")
        for connector, scene, changed in (
            ("pipedrive", hydrate, {"deal": "2"}),
            ("pipedrive", deal_update, {"deal": "2"}),
            ("quickbooks", token_refresh, {"realm_id": "2"}),
            ("quickbooks", invoice, {"sku": "ANOTHER"}),
            ("asana", task_create, {"project": "2"}),
            ("salesforce", hydrate, {"deal": "0067Q0000000099QAA"}),
            ("salesforce", deal_update, {"deal": "0067Q0000000099QAA"}),
            ("slack", post_message, {"channel": "C2"}),
            ("slack", converse, {"channel": "C2"}),
        )
    ],
)
@pytest.mark.skipif(RECORD, reason="recording")
async def test_another_request_finds_no_reply(connector: str, scene: Scene, changed: dict[str, str]) -> None:
    with pytest.raises(ConnectorError, match=r"CannotOverwrite|unreadable"):
        await replay(connector, scene, **changed)


@pytest.mark.skipif(RECORD, reason="recording")
async def test_another_body_finds_no_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    from crossdock_asana import marker

    monkeypatch.setattr(marker, "_line", lambda key: f"crossdock: {key}")
    with pytest.raises(ConnectorError, match="CannotOverwrite"):
        await replay("asana", task_create)


FILES = [path_of(connector, scene) for connector, scenes in SCENES.items() for scene in scenes]
FORBIDDEN = re.compile(
    r"authorization|x-api-token|cookie|bearer [\w-]|xox[abp]-|no-secret|simulated-(access|refresh)"
    r"|sandbox-asana|127\.0\.0\.1|localhost",
    re.IGNORECASE,
)


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name} {p.stem}")
def test_a_cassette_says_what_it_was_recorded_against_and_holds_no_secret(path: Path) -> None:
    text = path.read_text("utf-8")
    kept = yaml.safe_load(text)
    first = text.splitlines()[0]
    assert first == f"# Recorded against {kept['recorded_against']}. Nothing more is claimed."
    assert kept["recorded_against"].startswith(("this repository's own simulator of ", "a real "))
    assert FORBIDDEN.findall(text) == []
    for interaction in kept["interactions"]:
        assert re.match(r"https://\w+\.invalid/", interaction["request"]["uri"])
        assert {name.lower() for name in interaction["response"]["headers"]} <= KEPT_HEADERS
    for name in ("access_token", "refresh_token", "client_secret"):
        assert set(re.findall(rf"{name}(?:=|\"?:\s*\"?)([\w.-]+)", text)) <= {SCRUBBED}


def test_there_is_no_cassette_that_nobody_plays() -> None:
    assert sorted(FOLDER.rglob("*.yaml")) == sorted(FILES)
