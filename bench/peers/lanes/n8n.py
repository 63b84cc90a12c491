"""n8n on SQLite, as `n8n start` is: one process, the flow as a workflow of its Webhook and HTTP Request nodes.

The webhook answers at once (`onReceived`). n8n has no durable steps: an execution lives in the process, and its data is
stored when it ends (its option to store after each node does not make it resume either). Nothing tells a second
delivery from the first, and there is no id that outlives a try, so nothing is sent as `requestid`.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import aiohttp
import environments
from processes import environment, free_ports

from lanes.base import Delivery, Lane

ORDER = """={{ JSON.stringify({
    deal: $('Deal').item.json.id,
    customer: $('Customer').isExecuted ? $('Customer').item.json.id : $('Find').item.json.customers[0].id,
    lines: $('Deal').item.json.lines,
    total: $('Deal').item.json.value}) }}"""
CUSTOMER = "={{ JSON.stringify({name: $('Deal').item.json.customer, email: $('Deal').item.json.email}) }}"
NUMBER = "={{ JSON.stringify({invoice_number: $json.number}) }}"
TASK = """={{ JSON.stringify({
    name: 'Kick off ' + $('Deal').item.json.title, notes: 'Invoice ' + $('Invoice').item.json.number}) }}"""
NONE_FOUND = {
    "combinator": "and",
    "options": {"version": 2, "caseSensitive": True, "typeValidation": "loose"},
    "conditions": [
        {
            "id": "none",
            "leftValue": "={{ $json.customers.length }}",
            "rightValue": 0,
            "operator": {"type": "number", "operation": "equals"},
        }
    ],
}


class N8n(Lane):
    name = "n8n"
    version = "2.41.1, Node.js 24.21.0"
    keys = False

    @classmethod
    def install(cls) -> None:
        modules = environments.node("n8n", {"n8n": "2.41.1", environments.NODE: "24.21.0"}, build="sqlite3")
        cls.command = [modules / environments.NODE / "bin/node", modules / "n8n/bin/n8n"]

    def settings(self) -> dict[str, str]:
        """Its own, but for where it listens and what it would ask of the world."""
        return {
            "N8N_USER_FOLDER": str(self.folder),
            "N8N_PORT": str(self.port),
            "N8N_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_RUNNERS_BROKER_PORT": str(self.broker),
            "N8N_DIAGNOSTICS_ENABLED": "false",
            "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
            "N8N_TEMPLATES_ENABLED": "false",
            "N8N_LOG_LEVEL": "warn",
        }

    async def serve(self) -> None:
        """Store the workflow and switch it on."""
        self.broker = free_ports(1)[0]
        flow = self.folder / "flow.json"
        flow.write_text(json.dumps(workflow(self.api)))
        self._once("import:workflow", f"--input={flow}")
        self._once("publish:workflow", "--id=deals")

    def _once(self, *arguments: str) -> None:
        subprocess.run(
            [*self.command, *arguments], env=environment(self.settings()), check=True, capture_output=True, text=True
        )

    def work(self) -> subprocess.Popen[bytes]:
        return self.processes.spawn([*self.command, "start"], self.settings(), log="worker.log")

    async def ready(self) -> bool:
        """It listens before its webhooks are there; then it refuses a GET by naming what it would take."""
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"http://127.0.0.1:{self.port}/webhook/won") as reply,
            ):
                return "POST" in await reply.text()
        except aiohttp.ClientError:
            return False

    def delivery(self, ident: str) -> Delivery:
        headers = {"content-type": "application/json"}
        return Delivery(f"http://127.0.0.1:{self.port}/webhook/won", b'{"id":"%b"}' % ident.encode(), headers)


def workflow(api: str) -> dict[str, Any]:
    """The flow, as `n8n import:workflow` takes it."""
    nodes = [
        _node("Won", "webhook", 2, {"path": "won", "httpMethod": "POST", "responseMode": "onReceived"}),
        _call("Deal", "GET", f"={api}/deals/{{{{ $json.body.id }}}}"),
        _call("Find", "GET", f"={api}/customers?name={{{{ encodeURIComponent($json.customer) }}}}"),
        _node("None found", "if", 2.2, {"conditions": NONE_FOUND}),
        _call("Customer", "POST", f"{api}/customers", CUSTOMER),
        _call("Invoice", "POST", f"{api}/invoices", ORDER),
        _call("Write back", "PATCH", f"={api}/deals/{{{{ $('Deal').item.json.id }}}}", NUMBER),
        _call("Task", "POST", f"{api}/tasks", TASK),
    ]
    nodes[0]["webhookId"] = "won"
    links = {
        "Won": [["Deal"]],
        "Deal": [["Find"]],
        "Find": [["None found"]],
        "None found": [["Customer"], ["Invoice"]],
        "Customer": [["Invoice"]],
        "Invoice": [["Write back"]],
        "Write back": [["Task"]],
    }
    connections = {
        name: {"main": [[{"node": to, "type": "main", "index": 0} for to in branch] for branch in branches]}
        for name, branches in links.items()
    }
    return {"id": "deals", "name": "deals", "nodes": nodes, "connections": connections, "settings": {}, "active": False}


def _node(name: str, kind: str, version: float, parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "type": f"n8n-nodes-base.{kind}",
        "typeVersion": version,
        "position": [0, 0],
        "parameters": parameters,
    }


def _call(name: str, method: str, url: str, body: str | None = None) -> dict[str, Any]:
    parameters: dict[str, Any] = {"method": method, "url": url, "options": {}}
    if body:
        parameters |= {"sendBody": True, "specifyBody": "json", "jsonBody": body}
    return _node(name, "httpRequest", 4.2, parameters)
