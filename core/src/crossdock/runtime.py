"""One application, assembled: journal, connections, stepper, runner, intake. Nothing here is global."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import os
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from crossdock_sdk import Connection, Context, Redactor
from crossdock_sdk.contracts.connection import secrets_of

from crossdock import __version__, gauges
from crossdock.alerts import Links
from crossdock.bulk import BulkWorker
from crossdock.calling import Caller
from crossdock.checking import Checker
from crossdock.circuits import Circuits
from crossdock.config.load import Loaded, load
from crossdock.config.problems import ConfigProblems
from crossdock.connections import Connections
from crossdock.courier import Courier
from crossdock.handshakes import Handshakes
from crossdock.ids import owner_id
from crossdock.indexer import Indexer
from crossdock.intake import Intake
from crossdock.journal.opening import database_path, open_journal
from crossdock.legs import Legs
from crossdock.metrics import RuntimeMetrics
from crossdock.origins import Origins
from crossdock.plugins import Registry, load_plugins
from crossdock.polling import Poller
from crossdock.presses import Presses
from crossdock.program import Programs
from crossdock.recorder import Recorder
from crossdock.redaction import Scrubber
from crossdock.retelling import Retelling
from crossdock.retention import Keeper, remembered
from crossdock.runners.local import LocalRunner
from crossdock.settings import Settings
from crossdock.stepper import Stepper
from crossdock.telemetry import Meters, Telemetry
from crossdock.tokens import Tokens
from crossdock.vault import Vault, secret_key

_log = logging.getLogger("crossdock")

LOOK = timedelta(seconds=1)
"""How often it is looked whether it is time for retention."""


class Crossdock:
    """The runtime of one routing file and one journal. `start`, then `stop`; `reload` in between.

    `clock`, `rng` and `adjust`, which changes what each connection is lent, are for tests; `registry` replaces the
    installed plugins.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        env: Mapping[str, str] = os.environ,
        registry: Registry | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: random.Random | None = None,
        adjust: Callable[[Context], Context] = lambda context: context,
    ) -> None:
        self.settings = settings
        self.now = clock
        self.rng = rng or random.SystemRandom()
        self._adjust = adjust
        self._env = env
        self.registry = registry or load_plugins(simulators=False)
        self.redactor = Redactor()
        self.redactor.add(*settings.secrets())
        self.telemetry = Telemetry("crossdock", self.redactor, env=env)
        self.metrics = RuntimeMetrics(__version__)
        self.meters = Meters(self.metrics.registry, "crossdock", self.redactor, clock, env=env)
        self.loaded: Loaded
        self.problems: tuple[str, ...] = ()
        """Why the newest routing file was refused; empty when the one in force is the newest."""
        self.started = False
        self._warned: set[str] = set()
        self._seen: tuple[int, int] | None = None
        self._reloading = asyncio.Lock()
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Assemble it, take up what was left, and work. Raises `ConfigProblems`, `JournalError`."""
        await self.assemble()
        await self.runner.start()
        await self.poller.start()
        self._spawn(self._bulk_worker().work())
        self._spawn(self.meters.run())
        self._spawn(self._retain())
        self._spawn(self.indexer.work())
        if self.settings.watch:
            self._spawn(self._watch())
        self.started = True

    async def assemble(self) -> None:
        """Load the configuration and open the journal, without any work. Raises as `start`."""
        self.begun, self._seen = self.now(), self._stamp()
        loaded = load(self.settings.config, env=self._env, registry=self.registry, lenient=True)
        self.loaded = loaded
        self.journal = open_journal(self.settings.database_url, redact=self.redactor.text, now=self.now)
        await self.journal.open()
        owner = owner_id()
        given = self.settings.secret_key
        path = database_path(self.settings.database_url)
        key = secret_key(given.get_secret_value() if given else None, path)
        self.form_token = hmac.new(key[0], b"crossdock forms 1", hashlib.sha256).hexdigest()
        """What forms carry where nobody has to sign in, the same in all processes; no other site can know it."""
        self.vault = Vault(self.journal, key, owner, self.now)
        self.connections = Connections(loaded.connections, self.registry, self._context, loaded.stopped)
        self.programs = Programs(self.journal, self.registry, self.connections.connectors)
        links, lease = Links(self.settings.public_url), timedelta(seconds=self.settings.lease)
        recorder = Recorder(self.journal, self.telemetry, self.metrics, self.now, links, lease)
        timeout = timedelta(seconds=self.settings.step_timeout)
        scrub = Scrubber(self.redactor).text
        caller = Caller(self.telemetry, self.metrics, self.now, self.rng, timeout, self.redactor.text, scrub)
        legs = Legs(self.journal, recorder, self.connections, caller, self.now)
        circuits = Circuits(self.journal, self.now)
        origins = Origins(self.journal, self.connections, self.now)
        self.stepper = Stepper(self.journal, recorder, circuits, self.connections, caller, legs, origins, self.now)
        self.intake = Intake(
            self.journal,
            self.connections,
            Handshakes(self.journal, self.vault, self.redactor, self.now),
            lambda: self.loaded.flows,
            self.telemetry,
            self.metrics,
            self.now,
            self.rng,
        )
        tokens = Tokens(key, self.now)
        retelling = Retelling(self.journal, links, tokens)
        courier = Courier(self.journal, self.connections, self.metrics, self.now, retelling)
        self.runner = LocalRunner(
            self.journal,
            self.stepper,
            self.programs,
            courier,
            self.now,
            concurrency=self.settings.concurrency,
            owner=owner,
        )
        self.checker = Checker(self.journal, self.connections, self.now, self.redactor.text, self.runner.wake)
        self.presses = Presses(
            self.journal,
            self.connections,
            tokens,
            lambda: self.loaded.flows,
            self.now,
            self.rng,
            wake=self.runner.wake,
        )
        self.poller = Poller(
            self.journal,
            self.connections,
            self.intake,
            lambda: self.loaded.flows,
            self.telemetry,
            self.metrics,
            self.now,
            self.rng,
            owner=owner,
            timeout=timeout,
            wake=self.runner.wake,
            known=lambda: remembered(self.loaded.routing.retention),
        )
        gauges.watch(self)
        await self._put_in_force(loaded)
        self.indexer = Indexer(self.journal)
        self.keeper = Keeper(self.journal, lambda: self.loaded.routing.retention, self.now)

    def _bulk_worker(self) -> BulkWorker:
        def plan_of(flow: str) -> str | None:
            compiled = self.loaded.flows.get(flow)
            return compiled.plan_hash if compiled else None

        return BulkWorker(self.journal, plan_of, self.runner.wake, self.now, self.rng, self.runner.owner)

    async def stop(self) -> None:
        """Finish the steps in hand, give back the rest, close everything."""
        self.started = False
        for task in tuple(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.presses.stop()
        await self.poller.stop()
        await self.runner.stop(self.settings.grace_period)
        await self.meters.stop()
        await self.connections.close()
        await self.journal.close()
        await asyncio.to_thread(self.telemetry.shutdown)

    async def reload(self) -> tuple[str, ...]:
        """Take the routing file as it is now; returns what is wrong with it, and then the old one goes on."""
        async with self._reloading:
            # A hangup and the watcher may come together, and the older of two files must not be put in force last.
            return await self._reload()

    async def _reload(self) -> tuple[str, ...]:
        try:
            loaded = load(self.settings.config, env=self._env, registry=self.registry, lenient=True)
        except ConfigProblems as wrong:
            self.problems = tuple(str(problem) for problem in wrong.problems)
            for problem in self.problems:
                _log.error("the new routing file is refused, the old one goes on: %s", problem)
            return self.problems
        self.problems = ()
        await self._put_in_force(loaded)
        await self.runner.reloaded()
        self._spawn(self._retire(self.connections.retired()))
        _log.info(
            "the routing file is reloaded: %s flows, %s connections",
            len(loaded.flows),
            len(loaded.connections),
        )
        return ()

    async def _put_in_force(self, loaded: Loaded) -> None:
        """Store the plans that new runs will keep, then use them; closed connections are tried anew."""
        for flow in loaded.flows.values():
            await self.journal.store_plan(flow.plan_hash, flow.flow.name, flow.flow.to_plan())
        # Not only once a connection is in use: one vendor's data may hold what opens another.
        for spec in loaded.connections.values():
            self.redactor.add(*secrets_of(spec.config))
        self.loaded = loaded
        self._warn(loaded.warnings)
        for name, stopped in loaded.stopped.items():
            _log.error("connection %s is stopped, and the flows that need it wait: %s", name, stopped.reason)
        self.connections.replace(loaded.connections, self.registry, loaded.stopped)
        self.programs.forget()
        gauges.expect(self)
        await self.stepper.circuits.reloaded(self.connections.names())

    def _warn(self, warnings: Sequence[str]) -> None:
        for warning in warnings:
            if warning not in self._warned:
                _log.warning("%s", warning)
        self._warned.update(warnings)

    async def _retire(self, retired: Sequence[Connection]) -> None:
        await self.runner.quiesced()
        await self.connections.close_retired(retired)

    def _context(self, name: str) -> Context:
        lent = Context(
            name=name,
            tokens=self.vault.store_for(name),
            redactor=self.redactor,
            now=self.now,
            tracer_provider=self.telemetry.tracer_provider,
            logger=logging.getLogger(f"crossdock.connector.{name}"),
        )
        return self._adjust(lent)

    async def _retain(self) -> None:
        """Take out of the journal what is older than the routing file allows."""
        while True:
            await asyncio.sleep(LOOK.total_seconds())
            try:
                await self.keeper.look()
            except Exception:
                _log.exception("retention met an error of its own and goes on")

    async def _watch(self) -> None:
        """Reload when the routing file changes on disk."""
        while True:
            await asyncio.sleep(self.settings.watch)
            stamp = self._stamp()
            if stamp is None or stamp == self._seen:
                continue
            try:
                await self.reload()
                self._seen = stamp
            except Exception:
                # Such as a full disk; the file is looked at again until it is taken in or refused.
                _log.exception("the routing file could not be taken in, the old one goes on")

    def _stamp(self) -> tuple[int, int] | None:
        with contextlib.suppress(OSError):
            stat = self.settings.config.stat()
            return stat.st_mtime_ns, stat.st_size
        return None

    def _spawn(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)  # type: ignore[arg-type]
        self._background.add(task)
        task.add_done_callback(self._background.discard)
