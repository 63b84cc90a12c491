"""What runs, who may use it, and whether it answers."""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from crossdock import __version__
from crossdock.doctor.findings import Finding, counted
from crossdock.plugins import Registry
from crossdock.settings import Settings

if TYPE_CHECKING:
    import httpx

_SHORT = 16
_PATIENCE = 10.0


def version(registry: Registry) -> list[Finding]:
    """What is installed, and which plugins could not be loaded."""
    running = f"crossdock {__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    loaded = sum(plugin.status == "loaded" for plugin in registry.plugins)
    found = [Finding("version", "ok", f"{running}, {counted(loaded, 'plugin')}")]
    found += [
        Finding("plugin", "wrong", f"{plugin.name} is {plugin.status}: {plugin.error}", "install a version that fits")
        for plugin in registry.plugins
        if plugin.status != "loaded"
    ]
    return found


def access(settings: Settings) -> list[Finding]:
    """Who may use the API."""
    token = settings.admin_token
    if token is None:
        return [Finding("access", "ok", "no admin token: the API answers this machine only, and not through a proxy")]
    if len(token.get_secret_value()) < _SHORT:
        told = f"the admin token has fewer than {_SHORT} characters and can be guessed"
        return [Finding("access", "warning", told, "set CROSSDOCK_ADMIN_TOKEN to the output of `openssl rand -hex 32`")]
    return [Finding("access", "ok", "the API needs the admin token")]


async def server(url: str, settings: Settings) -> Sequence[Finding]:
    """Whether a server answers at `url`, makes progress, and lets our token in."""
    import httpx

    try:
        async with httpx.AsyncClient(base_url=url, timeout=_PATIENCE, trust_env=False) as client:
            ready = await client.get("/readyz")
            return [_ready(url, ready), _admitted(url, await client.get("/api/v1/flows", headers=_token(settings)))]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        told = f"{url} does not answer: {type(error).__name__} {error}".strip()
        return [Finding("server", "wrong", told, "start crossdock serve, or mend --url")]


def _token(settings: Settings) -> dict[str, str]:
    token = settings.admin_token
    return {"authorization": f"Bearer {token.get_secret_value()}"} if token else {}


def _ready(url: str, reply: httpx.Response) -> Finding:
    try:
        facts = reply.json()
    except ValueError:
        facts = None
    if reply.status_code not in (200, 503) or not isinstance(facts, dict) or "journal" not in facts:
        return Finding("server", "wrong", f"{url}: HTTP {reply.status_code}, not Crossdock's", "mend --url")
    if reply.status_code == 503:
        told = f"{url} is {facts.get('status')}; its journal: {facts['journal']}"
        return Finding("server", "wrong", told, "see its log")
    if facts.get("config") == "refused":
        return Finding("server", "warning", f"{url} is ready, with an older routing file", "crossdock check says why")
    return Finding("server", "ok", f"{url} is ready")


def _admitted(url: str, reply: httpx.Response) -> Finding:
    if reply.status_code == 200:
        return Finding("server access", "ok", "its API lets us in")
    fix = "set CROSSDOCK_ADMIN_TOKEN here to what the server has"
    return Finding("server access", "wrong", f"{url}: HTTP {reply.status_code} for its API", fix)
