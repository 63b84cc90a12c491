"""Every secret is planted, everything that can go wrong goes wrong, and then everything written is searched."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from crossdock.config.load import ConfigProblems, load
from crossdock.plugins import load_plugins
from crossdock_sdk import ApiClient, ConnectorError, Context, MemoryTokens, Token
from crossdock_sdk.contracts.connection import secrets_of

MASK = "[redacted]"
TAIL = "Zq7/x+Y=&w%"
PLANTED = {
    "api_token": f"canary-crm-token-{TAIL}",
    "hook_password": f"canary-hook-password-{TAIL}",
    "client_secret": f"canary-client-secret-{TAIL}",
    "bot_token": f"xoxb-canary-bot-token-{TAIL}",
    "access_token": f"canary-board-token-{TAIL}",
    "hook_path": "canaryslackwebhookpath",
    "secret_key": f"canary-vault-key-{TAIL}",
    "admin_token": f"canary-admin-token-{TAIL}",
}


def forms(secret: str) -> Iterator[str]:
    """The secret, and what is left of it inside URLs, JSON and base64, wherever in the encoded text it begins."""
    raw = secret.encode()
    yield from (secret, quote(secret, safe=""), quote_plus(secret))
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(b"\0" * before + raw).decode()
            yield encoded[(0, 2, 3)[before] : (before + len(raw)) * 8 // 6]


def leaks(secrets: list[str], shown: bytes) -> list[str]:
    return [f"{secret} as {form}" for secret in secrets for form in forms(secret) if form.encode() in shown]


@dataclasses.dataclass
class Planted:
    """The firm with canaries for secrets; `secrets` grows with every token that is handed out."""

    firm: Any
    secrets: list[str]
    answers: list[bytes] = dataclasses.field(default_factory=list)

    @property
    def bearer(self) -> str:
        """The newest access token of the books."""
        return next(s for s in reversed(self.secrets) if s.startswith("simulated-access"))

    def echo(self, connector: str, method: str, path: str, secret: str, status: int = 400, **fault: Any) -> None:
        """Let the vendor answer with what it was sent, as some do."""
        said = f"denied: Authorization: Bearer {secret} (basic {base64.b64encode(secret.encode()).decode()})"
        body = {
            "Fault": {"Error": [{"Message": said, "Detail": quote(secret, safe=""), "code": "2020"}], "type": "Fault"},
            "errors": [{"message": said}],
            "error": said,
            "error_description": said,
        }
        self.firm.fault(kind="status", connector=connector, method=method, path=path, status=status, body=body, **fault)

    async def ask(self, method: str, path: str, token: str | None = PLANTED["admin_token"], **given: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        reply = await self.firm.client.request(
            method, self.firm.server.url + path, headers=headers | given.pop("headers", {}), **given
        )
        self.answers.append(str(reply.headers).encode() + reply.content)
        return reply

    async def runs(self) -> list[dict[str, Any]]:
        return list((await self.ask("GET", "/api/v1/runs?limit=500")).json()["items"])

    async def until(self, holds: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """The runs, newest first, once they are so."""
        deadline = asyncio.get_running_loop().time() + 30
        while not holds(runs := await self.runs()):
            assert asyncio.get_running_loop().time() < deadline, [(r["status"], r["error"]) for r in runs]
            await asyncio.sleep(0.05)
        return runs

    async def ended(self, count: int) -> list[dict[str, Any]]:
        final = {"succeeded", "rolled_back", "dead"}
        return await self.until(lambda runs: sum(r["status"] in final for r in runs) >= count)


@pytest.fixture
def planted(firm: Any, collector: Any, monkeypatch: pytest.MonkeyPatch) -> Planted:
    given = Planted(firm, list(PLANTED.values()))
    monkeypatch.setattr("crossdock_slack.simulator.BOT_TOKEN", PLANTED["bot_token"])
    monkeypatch.setattr("crossdock_slack.simulator.HOOK", f"T0/B0/{PLANTED['hook_path']}")
    monkeypatch.setattr("crossdock_asana.simulator.ACCESS_TOKEN", PLANTED["access_token"])
    monkeypatch.setattr("crossdock_quickbooks.simulator.oauth.CLIENT_SECRET", PLANTED["client_secret"])
    monkeypatch.setattr("crossdock_quickbooks.simulator.account.CLIENT_SECRET", PLANTED["client_secret"])
    simulators = firm.sandbox.simulators
    simulators["pipedrive"].admission._token = PLANTED["api_token"]
    tokens = simulators["quickbooks"].tokens
    issue = tokens._issue

    def issued() -> dict[str, Any]:
        answer: dict[str, Any] = issue()
        given.secrets += [answer["access_token"], answer["refresh_token"]]
        return answer

    monkeypatch.setattr(tokens, "_issue", issued)
    connections = firm.routing["connections"]
    for name, connector in (("crm", "pipedrive"), ("books", "quickbooks"), ("board", "asana"), ("alerts", "slack")):
        connections[name] = firm.sandbox.settings(connector)
    connections["crm"] |= {"api_token": PLANTED["api_token"]}
    connections["crm"]["webhook"] = {"user": "hook", "password": PLANTED["hook_password"]}
    connections["hooked"] = simulators["slack"].webhook_settings(f"{firm.sandbox.base_url}/slack")
    given.secrets += [connections["books"]["refresh_token"], connections["hooked"]["webhook_url"]]
    firm.flow["notify"] = ["alerts", "hooked"]
    firm.flow["legs"]["task"]["enabled"] = True
    firm.flow["retry"] = {"attempts": 1, "first": "100ms"}
    firm.write()
    simulators["pipedrive"].webhooks.clear()
    firm.sandbox.subscribe("pipedrive", f"{firm.server.url}/webhooks/crm", connections["crm"])
    firm.server.env |= {
        "CROSSDOCK_SECRET_KEY": PLANTED["secret_key"],
        "CROSSDOCK_ADMIN_TOKEN": PLANTED["admin_token"],
        "CROSSDOCK_LOG_LEVEL": "DEBUG",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
    }
    return given


async def _refused(planted: Planted) -> None:
    """Deliveries and calls of the API that are turned away, with secrets in the wrong places."""
    path, hook = "/webhooks/crm", PLANTED["hook_password"]
    pair = base64.b64encode(f"hook:{hook}".encode()).decode()
    for headers, body in (
        ({"Authorization": f"Basic {pair}x"}, b"{}"),
        ({"Authorization": f"Bearer {hook}"}, b"{}"),
        ({"Authorization": f"Basic {pair}"}, f'{{"meta": "{hook}'.encode()),
        ({"Authorization": f"Basic {pair}"}, f'{{"meta": {{"version": "{hook}"}}}}'.encode()),
    ):
        reply = await planted.ask("POST", path, None, headers=headers, content=body)
        assert reply.status_code in {401, 422}
    for wrong in ("/api/v1/runs", "/metrics", "/api/v1/flows"):
        assert (await planted.ask("GET", wrong, PLANTED["secret_key"])).status_code == 401
    for secret in PLANTED.values():
        await planted.ask("GET", f"/api/v1/runs?limit={quote(secret, safe='')}")
        await planted.ask("GET", f"/api/v1/runs?cursor={quote(secret, safe='')}")
        await planted.ask("GET", f"/webhooks/{quote(secret, safe='')}", None)


async def _play(planted: Planted) -> None:
    """Runs that succeed and fail in every way that shows a vendor's words."""
    firm, echo = planted.firm, planted.echo
    await firm.win(f"Paid by {PLANTED['bot_token']}", customer=f"Client of {PLANTED['access_token']}")
    assert [r["status"] for r in await planted.ended(1)] == ["dead"]
    await firm.win("Bad", lines=[{"code": "NOPE", "name": "Unknown", "quantity": 1, "unit_price": "5.00"}])
    await planted.ended(2)
    echo("quickbooks", "POST", "*/invoice", planted.bearer)
    await firm.win("Echo of the books")
    await planted.ended(3)
    echo("pipedrive", "GET", "*/deals/*", PLANTED["api_token"])
    await firm.win("Echo of the CRM")
    await planted.ended(4)
    page = f"<html>{PLANTED['api_token']} {PLANTED['client_secret']}</html>"
    html = {"kind": "status", "status": 400, "headers": {"content-type": "text/html"}}
    firm.fault(**html, connector="pipedrive", method="PATCH", body=page)
    await firm.win("A page for an answer")
    await planted.ended(5)
    echo("asana", "POST", "*/tasks", PLANTED["access_token"])
    echo("slack", "POST", "*/chat.postMessage", PLANTED["bot_token"], 500)
    echo("slack", "POST", "*/services/*", PLANTED["hook_path"], 404)
    firm.sandbox.simulators["quickbooks"].tokens.expire()
    await firm.win("Expired, and a task that is refused")
    assert (await planted.ended(6))[0]["status"] == "succeeded"


async def _lose_credentials(planted: Planted) -> None:
    """The token endpoint refuses, and says what it was shown; then the secrets stand in the wrong keys."""
    firm = planted.firm
    firm.sandbox.simulators["quickbooks"].tokens.expire()
    shown = next(s for s in reversed(planted.secrets) if s.startswith("simulated-refresh"))
    planted.echo("quickbooks", "POST", "*/tokens/bearer", shown, times=None)
    await firm.win("Refused", customer="Later")
    await planted.until(lambda runs: runs[0]["status"] == "waiting")
    crm = firm.routing["connections"]["crm"]
    firm.routing["connections"]["crm"] = crm | {
        "webhook": PLANTED["hook_password"],
        "api_tokn": PLANTED["api_token"],
        "burst": PLANTED["api_token"],
    }
    firm.write()
    async with asyncio.timeout(20):
        while not (await planted.ask("GET", "/api/v1/flows")).json()["problems"]:
            await asyncio.sleep(0.05)


async def test_no_secret_is_in_anything_that_is_written(planted: Planted, collector: Any) -> None:
    firm = planted.firm
    await firm.server.start()
    await _refused(planted)
    await _play(planted)
    await firm.server.kill()
    await firm.server.start()
    await _lose_credentials(planted)
    for run in await planted.runs():
        await planted.ask("GET", f"/api/v1/runs/{run['id']}")
    for path in ("/api/v1/connections", "/api/v1/flows", "/metrics", "/healthz", "/readyz", "/openapi.json", "/docs"):
        assert (await planted.ask("GET", path)).status_code == 200
    firm.sandbox.faults.clear()
    await firm.told(6)
    files = {f.name: f.read_bytes() for f in firm.server.folder.glob("crossdock.db*")}
    assert "crossdock.db-wal" in files
    await firm.server.end()
    files |= {f"{f.name} at the end": f.read_bytes() for f in firm.server.folder.glob("crossdock.db*")}
    written = files | {
        "log": firm.server.log.encode(),
        "answers": b"\n".join(planted.answers),
        "spans": b"\n".join(collector.bodies),
        "Slack": repr(firm.sandbox.state()["slack"]).encode(),
    }
    assert {name: found for name, shown in written.items() if (found := leaks(planted.secrets, shown))} == {}
    # What was echoed did arrive, and was masked there; what is searched for would be found.
    for name in ("crossdock.db-wal", "log", "answers", "spans", "Slack"):
        assert MASK.encode() in written[name], name
    assert len(leaks(planted.secrets, (firm.server.folder / "crossdock.yaml").read_bytes())) >= 6
    assert len([s for s in planted.secrets if s.startswith("simulated-access")]) >= 2


CONFIGS: dict[str, dict[str, Any]] = {
    "pipedrive": {"api_token": PLANTED["api_token"], "webhook": {"user": "u", "password": PLANTED["hook_password"]}},
    "quickbooks": {
        "realm_id": "1",
        "client_id": "id",
        "client_secret": PLANTED["client_secret"],
        "refresh_token": PLANTED["access_token"],
        "token_url": "http://127.0.0.1:9/token",
        "webhook": {"verifier_token": PLANTED["hook_password"]},
    },
    "asana": {"access_token": PLANTED["access_token"]},
    "salesforce": {
        "base_url": "https://acme.my.salesforce.com",
        "client_id": "id",
        "client_secret": PLANTED["client_secret"],
        "refresh_token": PLANTED["access_token"],
        "webhook": {"token": PLANTED["hook_password"]},
    },
    "slack": {"bot_token": PLANTED["bot_token"], "channel": "C1"},
    "email": {
        "base_url": "",
        "host": "127.0.0.1",
        "username": "u",
        "password": PLANTED["hook_password"],
        "from": "a@b.example",
        "to": ["c@d.example"],
    },
}


def _parts(thing: object) -> Iterator[object]:
    """An object of ours and the objects of ours that it holds, as a debugger or an error tracker shows them."""
    if not type(thing).__module__.startswith("crossdock"):
        return
    yield thing
    for held in vars(thing).values() if hasattr(thing, "__dict__") else ():
        yield from _parts(held)


@pytest.mark.parametrize("connector", CONFIGS)
async def test_no_secret_is_in_the_text_of_an_object(connector: str) -> None:
    kind = load_plugins().connections[connector]
    config = kind.Config.model_validate({"base_url": "http://127.0.0.1:9"} | CONFIGS[connector])
    context = Context("c", tokens=MemoryTokens(Token(PLANTED["bot_token"], PLANTED["secret_key"])))
    connection = kind(config, context)
    shown: list[object] = [config.model_dump(), config.model_dump_json(), context, await context.tokens.load()]
    shown += _parts(connection)
    client = next((part for part in shown if isinstance(part, ApiClient)), None)
    if client is not None:
        with pytest.raises(ConnectorError) as failed:
            await client.get(f"/x?token={quote(PLANTED['access_token'], safe='')}")
        shown += [failed.value, failed.value.facts(), failed.value.__cause__, failed.value.__context__]
    assert client is not None or connector in {"slack", "email"}
    await connection.close()
    secrets = list(PLANTED.values())
    assert leaks(secrets, "\n".join(f"{part!r} {part!s}" for part in shown).encode()) == []
    assert secrets_of(config)


def routing(tmp_path: Path, **crm: Any) -> Path:
    import yaml

    connection = {"connector": "pipedrive", "base_url": "https://acme.pipedrive.com"} | CONFIGS["pipedrive"] | crm
    update = {"do": "crm.deal.update", "with": {"id": "{{ deal.id }}", "title": "x"}}
    flow = {"when": "crm.deal.won", "ignore": ["deal.*"], "legs": {"update": update}}
    path = tmp_path / "crossdock.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "connections": {"crm": connection}, "flows": {"f": flow}}))
    return path


def test_no_secret_is_in_the_text_of_a_loaded_configuration(tmp_path: Path) -> None:
    loaded = load(routing(tmp_path), env={}, registry=load_plugins())
    assert leaks(list(PLANTED.values()), f"{loaded!r} {loaded!s}".encode()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_token": [PLANTED["api_token"]]},
        {"webhook": PLANTED["hook_password"]},
        {"webhook": {"user": "u", "pasword": PLANTED["hook_password"]}},
        {"burst": PLANTED["api_token"]},
        {"api_tokn": PLANTED["api_token"]},
        {"base_url": f"https://user:{quote(PLANTED['api_token'], safe='')}@acme.test/?x"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_secret_in_a_wrong_place_is_not_in_the_mistake(tmp_path: Path, wrong: dict[str, Any]) -> None:
    path = routing(tmp_path, **wrong)
    with pytest.raises(ConfigProblems) as found:
        load(path, env={}, registry=load_plugins())
    assert leaks(list(PLANTED.values()), f"{found.value!r} {found.value!s}".encode()) == []
    done = subprocess.run([sys.executable, "-m", "crossdock", "check", path], capture_output=True, check=False)
    assert done.returncode == 2
    assert leaks(list(PLANTED.values()), done.stdout + done.stderr) == []
