"""One examination: what can be opened is opened, everything is looked at side by side, nothing is changed."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from crossdock_sdk import Context, Redactor, TokenStore
from crossdock_sdk.contracts.connection import secrets_of

from crossdock.config.load import ConfigProblems, ConnectionSpec, Loaded, load, load_connections
from crossdock.connections import Connections
from crossdock.doctor import accounts, database, surroundings, webhooks
from crossdock.doctor.accounts import Answer, NoTokens
from crossdock.doctor.findings import Check, Finding, counted, perform
from crossdock.doctor.work import Work
from crossdock.hooks import waited_for
from crossdock.ids import owner_id
from crossdock.journal.base import Journal, JournalError
from crossdock.journal.opening import database_path, open_journal
from crossdock.plugins import Registry
from crossdock.settings import Settings
from crossdock.vault import Vault, VaultError, parse_keys

NO_TOKENS = "not asked: it would need tokens, and {why}"


@dataclass(frozen=True, slots=True)
class Doctor:
    """Examines one installation. `seconds` is what each check may take; `url` is a server's, `offline` calls nobody."""

    settings: Settings
    registry: Registry
    env: Mapping[str, str]
    url: str | None = None
    offline: bool = False
    seconds: float = 15.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    adjust: Callable[[Context], Context] = lambda context: context
    redactor: Redactor = field(default_factory=Redactor)

    async def examine(self) -> list[Finding]:
        """All findings, in the order in which they are to be read. Raises `JournalError` for a URL of no database."""
        self.redactor.add(*self.settings.secrets())
        loaded, specs, found = self._configuration()
        path = database_path(self.settings.database_url)
        seen, told = await database.look(path, self.seconds)
        found += told
        usable = seen is not None and seen.current
        async with self._journal(path if usable else None, found) as (journal, vault):
            why = "the database cannot be used" if journal is None else "the key that opens them is missing"
            connections = self._connections(specs, vault, why, loaded)
            try:
                return await self._all(loaded, specs, found, path, journal, vault, connections)
            finally:
                await connections.close()

    async def _all(
        self,
        loaded: Loaded | None,
        specs: Mapping[str, ConnectionSpec],
        found: list[Finding],
        path: Path,
        journal: Journal | None,
        vault: Vault | None,
        connections: Connections,
    ) -> list[Finding]:
        answers: dict[str, Answer] = {}
        waiting = () if loaded is None else tuple(dict.fromkeys(f.flow.source for f in loaded.flows.values()))
        checks = [
            Check("secret key", partial(database.key, self.settings, path, journal, vault, tuple(specs))),
            Check("disk", partial(database.disk, path)),
            *(self._account(connections, name, answers) for name in specs),
            *self._sources(loaded, connections, waiting, journal, vault),
            *([] if journal is None else self._work(journal, specs, waiting)),
        ]
        if self.url is not None:
            checks.append(Check("server", partial(surroundings.server, self.url, self.settings), calls_out=True))
        chosen = [check for check in checks if not (self.offline and check.calls_out)]
        found += await perform(chosen, self.seconds, self.redactor.text)
        if not self.offline:
            found.append(accounts.clock(answers))
        return [*found, *surroundings.access(self.settings), *surroundings.version(self.registry)]

    def _configuration(self) -> tuple[Loaded | None, dict[str, ConnectionSpec], list[Finding]]:
        file = self.settings.config
        try:
            loaded = load(file, env=self.env, registry=self.registry, lenient=True)
        except ConfigProblems as wrong:
            found = [Finding("configuration", "wrong", str(problem), "mend the file") for problem in wrong.problems]
            found += _warned(wrong.warnings)
            return None, self._salvaged(file), found
        specs = dict(loaded.connections)
        flows, connections = counted(len(loaded.flows), "flow"), counted(len(specs), "connection")
        found = [Finding("configuration", "ok", f"{file}: {flows}, {connections}"), *_warned(loaded.warnings)]
        for name, stopped in loaded.stopped.items():
            told = f"its connector {stopped.connector} cannot be used: {stopped.reason}"
            found.append(Finding(f"connection {name}", "wrong", told, "mend or install the plugin"))
        return loaded, specs, found

    def _salvaged(self, file: Path) -> dict[str, ConnectionSpec]:
        """The connections that are right in a file that is not."""
        try:
            return load_connections(file, env=self.env, registry=self.registry)
        except ConfigProblems:
            return {}

    @contextlib.asynccontextmanager
    async def _journal(
        self, path: Path | None, found: list[Finding]
    ) -> AsyncIterator[tuple[Journal | None, Vault | None]]:
        """The journal, and the vault if there is a key; neither is made."""
        if path is None:
            yield None, None
            return
        journal = open_journal(self.settings.database_url, redact=self.redactor.text, now=self.now)
        try:
            await journal.open()
        except JournalError as error:
            found.append(Finding("database", "wrong", str(error), "see what it says"))
            yield None, None
            return
        try:
            yield journal, self._vault(journal, path)
        finally:
            await journal.close()

    def _vault(self, journal: Journal, path: Path) -> Vault | None:
        file = database.key_file(self.settings, path)
        with contextlib.suppress(OSError, UnicodeDecodeError, VaultError):
            given = self.settings.secret_key
            text = given.get_secret_value() if given else file.read_text("ascii") if file else ""
            return Vault(journal, parse_keys(text), owner_id(), self.now)
        return None

    def _connections(
        self, specs: Mapping[str, ConnectionSpec], vault: Vault | None, why: str, loaded: Loaded | None
    ) -> Connections:
        def context(name: str) -> Context:
            tokens: TokenStore = vault.store_for(name) if vault else NoTokens(NO_TOKENS.format(why=why))
            logger = logging.getLogger(f"crossdock.connector.{name}")
            lent = Context(name=name, tokens=tokens, redactor=self.redactor, now=self.now, logger=logger)
            return self.adjust(lent)

        for spec in specs.values():
            self.redactor.add(*secrets_of(spec.config))
        return Connections(specs, self.registry, context, loaded.stopped if loaded else None)

    def _account(self, connections: Connections, name: str, answers: dict[str, Answer]) -> Check:
        async def asked() -> Sequence[Finding]:
            # Its own time is up a little before the check's, so that what is said is about the vendor.
            answers[name] = await accounts.ask(connections, name, self.now, self.seconds * 0.9, self.redactor.text)
            return [answers[name].finding()]

        return Check(f"connection {name}", asked, calls_out=True)

    def _sources(
        self,
        loaded: Loaded | None,
        connections: Connections,
        waiting: Sequence[str],
        journal: Journal | None,
        vault: Vault | None,
    ) -> list[Check]:
        if loaded is None or journal is None or vault is None:
            return []
        public = self.settings.public_url

        def look(name: str) -> Check:
            events = waited_for(name, loaded.flows)
            asked = partial(webhooks.look, name, connections, events, public, journal, vault, self.now)
            return Check(f"webhooks {name}", asked, calls_out=True)

        return [look(name) for name in waiting if name in loaded.connections]

    def _work(self, journal: Journal, specs: Mapping[str, ConnectionSpec], waiting: Sequence[str]) -> list[Check]:
        work = Work(journal, specs, self.registry, waiting, self.now)
        return [
            Check("closed connections", work.closed),
            Check("last delivery", work.deliveries),
            Check("polls", work.polls),
            Check("queue", work.queue),
            Check("runs", work.people),
            Check("alerts", work.alerts),
        ]


def _warned(warnings: Sequence[str]) -> list[Finding]:
    return [Finding("configuration", "warning", warning, "change it as it says") for warning in warnings]
