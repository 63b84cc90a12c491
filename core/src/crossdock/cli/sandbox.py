"""`crossdock sandbox`."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from crossdock.sandbox import Sandbox

ROLES = {"pipedrive": "crm", "quickbooks": "books", "asana": "board", "slack": "alerts"}
"""Connection names as the example has them; any other connector's connection is named after it."""


def sandbox(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 9000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve a simulator of every installed connector, and print the connections that reach them."""
    from crossdock.cli.listening import bound

    with bound(host, port) as listener:
        asyncio.run(_serve(listener))


async def _serve(listener: socket.socket) -> None:
    from crossdock.cli.listening import listen, url_of
    from crossdock.plugins import load_plugins
    from crossdock.sandbox import Sandbox

    sandbox = Sandbox(load_plugins().simulators, url_of(listener))
    async with sandbox.running():
        await listen(sandbox, listener, lambda: typer.echo(_welcome(sandbox)))


def connections(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """Connections to all simulators, under the names that the example uses."""
    return {ROLES.get(name, name): sandbox.settings(name) for name in sandbox.simulators}


def connections_block(sandbox: Sandbox) -> str:
    """The `connections:` of a routing file, as YAML."""
    import yaml

    return yaml.safe_dump({"connections": connections(sandbox)}, sort_keys=False, allow_unicode=True)


def _welcome(sandbox: Sandbox) -> str:
    url = sandbox.base_url
    return "\n".join(
        (
            f"# The sandbox is ready on {url}: every vendor here is simulated, every credential below is made up.",
            f"#   what stands now:    curl {url}/_sandbox/state",
            f"#   what was asked:     curl {url}/_sandbox/requests",
            f'#   make things fail:   curl -X PUT {url}/_sandbox/faults -d \'[{{"kind": "status", "status": 503}}]\'',
            f"#   make things happen: curl -X POST {url}/_sandbox/<connector>/<event> -d '{{…}}'",
            f'#   get webhooks:       curl -X POST {url}/_sandbox/<connector>/subscribe -d \'{{"url": "http://…"}}\'',
            "# Connections for a routing file:",
            connections_block(sandbox),
        )
    )
