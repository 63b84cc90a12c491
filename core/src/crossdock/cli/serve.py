"""`crossdock serve`."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from crossdock.cli import options

if TYPE_CHECKING:
    from crossdock.runtime import Crossdock
    from crossdock.settings import Settings

_log = logging.getLogger("crossdock.serve")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    config: options.Config = None,
) -> None:
    """Take webhooks in and run the flows. SIGHUP reloads the routing file, SIGTERM stops gracefully."""
    from crossdock.cli.listening import bound, run

    settings = options.settings(config)
    options.database(settings)
    with bound(host, port) as listener:
        run(_serve(settings, listener))


async def _serve(settings: Settings, listener: socket.socket) -> None:
    from crossdock import logs
    from crossdock.cli.listening import alive, listen, url_of
    from crossdock.runtime import Crossdock
    from crossdock.web.app import create_app

    runtime = Crossdock(settings)
    logs.configure(settings.log_level, settings.log_format == "json", runtime.redactor)
    app = create_app(runtime=runtime)
    host = listener.getsockname()[0]
    if settings.admin_token is None and not ipaddress.ip_address(host).is_loopback:
        _log.warning("the API is closed to other machines: set CROSSDOCK_ADMIN_TOKEN to open it")
    reloads: set[asyncio.Task[None]] = set()

    def hangup() -> None:
        task = asyncio.create_task(_reload(runtime))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    async with alive(app):
        # What the start made stays to the end. To walk it in each full collection held up everything for 100 ms.
        gc.freeze()
        await listen(app, listener, lambda: typer.echo(_ready(url_of(listener), runtime)), hangup)


async def _reload(runtime: Crossdock) -> None:
    try:
        await runtime.reload()
    except Exception:
        _log.exception("the reload failed, what was in force goes on")


def _ready(url: str, runtime: Crossdock) -> str:
    flows = len(runtime.loaded.flows)
    settings = runtime.settings
    return (
        f"crossdock is ready on {url} · config {settings.config}"
        f" · database {_shown(settings.database_url)} · {flows} flow{'' if flows == 1 else 's'}"
    )


def _shown(database_url: str) -> str:
    """The URL without a password."""
    scheme, mark, rest = database_url.partition("://")
    credentials, at, place = rest.rpartition("@")
    user = credentials.partition(":")[0]
    return f"{scheme}{mark}{user}{at}{place}"
