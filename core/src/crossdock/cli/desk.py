"""Where the commands about runs get their answers: the journal itself, or a server's API. Both give plain JSON."""

from __future__ import annotations

import contextlib
import getpass
import os
import random
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from crossdock.cli import options
from crossdock.cli.errors import CommandError, misused

if TYPE_CHECKING:
    import httpx

    from crossdock.journal.base import Journal, RunRow
    from crossdock.program import Programs
    from crossdock.settings import Settings

Shown = dict[str, Any]
_WHOLE = 26
_SEARCHED = 500
"""An abbreviated id is looked for among so many of the newest runs, …"""
_START_ONCE = "start `crossdock serve` once, which makes it"
_TELLING = 6
"""… but with so many characters among all of them."""


class Desk(Protocol):
    """What a person may ask about runs, and do to one. Ids are whole."""

    async def list(self, wanted: Mapping[str, Any]) -> Shown:
        """`{"items": […], "next_cursor": …, "partial": …}`; `wanted` is named as in the API's query string."""
        ...

    async def show(self, run: str) -> Shown: ...

    async def replay(self, run: str, wish: Shown) -> Shown:
        """The run that works now: a successor, or the run itself. `wish` has what the API takes."""
        ...

    async def cancel(self, run: str, wish: Shown) -> Shown:
        """`wish` has keep and why, as the API."""
        ...

    async def decide(self, run: str, verdict: str, plan: str, why: str | None) -> Shown:
        """Approve or reject what a run would write by this plan."""
        ...

    async def dismiss(self, run: str, why: str | None) -> Shown: ...

    async def preview_bulk(self, asked: Shown) -> Shown: ...

    async def begin_bulk(self, asked: Shown) -> Shown:
        """A job; a running server works through it."""
        ...

    async def show_bulk(self, job: str) -> Shown: ...

    async def resolve(self, run: str, leg: str, exists: str | None, why: str | None) -> Shown: ...


async def whole_id(desk: Desk, given: str) -> str:
    """The id that `given` begins. Raises `CommandError` if no run, or more than one, has such an id."""
    if len(given) >= _WHOLE:
        return given
    searched = {"text": given} if len(given) >= _TELLING else {}
    page = await desk.list({"limit": _SEARCHED, **searched})
    found = [item["id"] for item in page["items"] if item["id"].startswith(given.lower())]
    if not found:
        where = "no run" if searched else f"none of the newest {_SEARCHED} runs"
        raise CommandError(f"{where} has an id that begins with {given}; give the whole id")
    if len(found) > 1:
        raise CommandError(f"{len(found)} runs have an id that begins with {given}; give more of it")
    return str(found[0])


@contextlib.asynccontextmanager
async def open_desk(settings: Settings, url: str | None) -> AsyncIterator[Desk]:
    """The server at `url`, or the journal that the settings name. Raises `CommandError`."""
    if url is None:
        async with open_journal_of(settings, f"{_START_ONCE}, or give --url of a server") as journal:
            yield JournalDesk(journal, settings)
        return
    import httpx

    token = settings.admin_token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
        yield HttpDesk(client, url)


@contextlib.asynccontextmanager
async def open_journal_of(settings: Settings, otherwise: str = _START_ONCE) -> AsyncIterator[Journal]:
    """The journal that the settings name. Raises `CommandError`, with what to do `otherwise`, if there is none."""
    from crossdock_sdk import Redactor

    from crossdock.journal.opening import open_journal

    path = options.database(settings)
    if not path.exists():
        raise misused(f"there is no journal at {path}; set CROSSDOCK_DATABASE_URL, or {otherwise}")
    journal = open_journal(settings.database_url, redact=Redactor().text)
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


class JournalDesk:
    """Straight at the journal; a running server sees what is done here within a second."""

    def __init__(self, journal: Journal, settings: Settings) -> None:
        self._journal = journal
        self._settings = settings

    async def list(self, wanted: Mapping[str, Any]) -> Shown:
        from crossdock.asked import runs_asked
        from crossdock.web.views import page

        limit, cursor = wanted.get("limit", 50), wanted.get("cursor")
        asked = runs_asked(wanted, datetime.now(UTC))
        return _plain(page(await self._journal.runs(asked, limit=limit, cursor=cursor)))

    async def show(self, run: str) -> Shown:
        from crossdock.web.views import detail

        await self._row(run)
        return _plain(await detail(self._journal, self._programs(), run))

    async def replay(self, run: str, wish: Shown) -> Shown:
        from crossdock.edits import Edit

        plan = await self._plan_in_force(await self._row(run))
        edits = [Edit(one["path"], one["value"]) for one in wish["edits"]]
        return await self._act(run, "replay", plan, **wish | {"edits": edits})

    async def cancel(self, run: str, wish: Shown) -> Shown:
        return await self._act(run, "cancel", keep=wish["keep"], why=wish["why"])

    async def decide(self, run: str, verdict: str, plan: str, why: str | None) -> Shown:
        return await self._act(run, verdict, plan, why=why)

    async def dismiss(self, run: str, why: str | None) -> Shown:
        return await self._act(run, "dismiss", why=why)

    async def preview_bulk(self, asked: Shown) -> Shown:
        from crossdock.web.views import prospect

        return _plain(prospect(await self._bulk("prospect", asked)))

    async def begin_bulk(self, asked: Shown) -> Shown:
        job = await self._bulk("begin", asked)
        return await self.show_bulk(job.id)

    async def show_bulk(self, job: str) -> Shown:
        from crossdock.web.bulk import described

        found = await self._journal.bulk.get(job)
        if found is None:
            raise CommandError(f"no job has the id {job}")
        return _plain(await described(self._journal, found, troubles=True))

    async def _bulk(self, what: str, asked: Shown) -> Any:
        from pydantic import ValidationError

        from crossdock.actors import at_terminal
        from crossdock.bulk import Bulk, BulkError
        from crossdock.web.bulk import BulkWish, wish_of

        def now() -> datetime:
            return datetime.now(UTC)

        try:
            wish = wish_of(BulkWish.model_validate(asked), now())
            bulk = Bulk(self._journal, at_terminal(getpass.getuser()), now, random.SystemRandom())
            return await getattr(bulk, what)(wish)
        except BulkError as error:
            raise CommandError(str(error)) from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise misused(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    async def resolve(self, run: str, leg: str, exists: str | None, why: str | None) -> Shown:
        return await self._act(run, "resolve", leg, exists, why=why)

    def _programs(self) -> Programs:
        from crossdock.plugins import load_plugins
        from crossdock.program import Programs

        return Programs(self._journal, load_plugins(simulators=False), lambda: _connectors(self._settings))

    async def _act(self, run: str, what: str, *more: Any, **named: Any) -> Shown:
        from crossdock.actors import at_terminal
        from crossdock.edits import EditError
        from crossdock.operations import NotPossibleError, Operations, UnknownRunError
        from crossdock.web.views import summary

        by = at_terminal(getpass.getuser())
        operations = Operations(self._journal, by, lambda: datetime.now(UTC), random.SystemRandom())
        try:
            return _plain(summary(await getattr(operations, what)(run, *more, **named)))
        except UnknownRunError as error:
            raise unknown(error) from None
        except (NotPossibleError, EditError) as error:
            raise CommandError(str(error)) from None

    async def _row(self, run: str) -> RunRow:
        row = await self._journal.run(run)
        if row is None:
            raise unknown(f"no run has the id {run}")
        return row

    async def _plan_in_force(self, row: RunRow) -> str | None:
        """A replay follows the flow as the routing file has it now, so that a mended mapping takes effect."""
        from crossdock.config.load import load
        from crossdock.plugins import load_plugins

        loaded = load(self._settings.config, env=os.environ, registry=load_plugins(simulators=False))
        compiled = loaded.flows.get(row.flow)
        if compiled is None:
            return None
        flow = compiled.flow
        await self._journal.store_plan(flow.plan_hash(), flow.name, flow.to_plan())
        return flow.plan_hash()


class HttpDesk:
    """Through the API of a running server."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url

    async def list(self, wanted: Mapping[str, Any]) -> Shown:
        return await self._ask("GET", "/api/v1/runs", {k: v for k, v in wanted.items() if v is not None})

    async def show(self, run: str) -> Shown:
        return await self._ask("GET", f"/api/v1/runs/{run}")

    async def replay(self, run: str, wish: Shown) -> Shown:
        return await self._ask("POST", f"/api/v1/runs/{run}/replay", body=wish)

    async def cancel(self, run: str, wish: Shown) -> Shown:
        return await self._ask("POST", f"/api/v1/runs/{run}/cancel", body=wish)

    async def decide(self, run: str, verdict: str, plan: str, why: str | None) -> Shown:
        return await self._ask("POST", f"/api/v1/runs/{run}/{verdict}", body={"plan": plan, "why": why})

    async def dismiss(self, run: str, why: str | None) -> Shown:
        return await self._ask("POST", f"/api/v1/runs/{run}/dismiss", body={"why": why})

    async def preview_bulk(self, asked: Shown) -> Shown:
        return await self._ask("POST", "/api/v1/bulk/preview", body=asked)

    async def begin_bulk(self, asked: Shown) -> Shown:
        return await self._ask("POST", "/api/v1/bulk", body=asked)

    async def show_bulk(self, job: str) -> Shown:
        return await self._ask("GET", f"/api/v1/bulk/{job}")

    async def resolve(self, run: str, leg: str, exists: str | None, why: str | None) -> Shown:
        seen = {"leg": leg, "exists": exists, "why": why}
        return await self._ask("POST", f"/api/v1/runs/{run}/resolve", body=seen)

    async def _ask(
        self, method: str, path: str, params: Mapping[str, Any] | None = None, *, body: Shown | None = None
    ) -> Shown:
        import httpx
        from crossdock_sdk import jsonio

        exact = {"content": jsonio.dumps(body), "headers": {"Content-Type": "application/json"}}
        sent: dict[str, Any] = exact if body is not None else {}
        try:
            reply = await self._client.request(method, path, params=params, **sent)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CommandError(f"no server answers at {self._url}: {error or type(error).__name__}") from None
        try:
            said = jsonio.loads(reply.content)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise CommandError(f"{self._url} answered HTTP {reply.status_code} without JSON; is it a Crossdock server?")
        if not reply.is_success:
            raise CommandError(f"{self._url}: {said.get('detail') or said.get('title') or reply.status_code}")
        return said


def _plain(value: Any) -> Shown:
    from crossdock_sdk import jsonio

    shown: Shown = jsonio.plain(value)
    return shown


def unknown(told: object) -> CommandError:
    """For an id that no run has."""
    return CommandError(f"{told}; see `crossdock runs list`")


def names_of(settings: Settings, section: str) -> list[str]:
    """The names in a section of the routing file, `flows` or `connections`, whatever else is in it."""
    import yaml

    try:
        return [str(name) for name in yaml.safe_load(settings.config.read_text(encoding="utf-8"))[section]]
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError):
        return []


def _connectors(settings: Settings) -> dict[str, str]:
    """Connection → connector, without the secrets that a full load needs: whoever looks may not have them."""
    import yaml

    try:
        found = yaml.safe_load(settings.config.read_text(encoding="utf-8"))["connections"].items()
        return {str(name): str(body["connector"]) for name, body in found}
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError):
        return {}
