"""Plays one seed to its end: one thing at a time, in an order that the seed draws.

The real runner's code drives each run, but stops before each step until its turn is drawn: so the steps of many runs
are interleaved in every way, and the same way each time. Time passes when nothing else is left to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from chaos.firm import Firm, firm
from chaos.invariants import assert_as_told
from chaos.story import Story, Won, story
from crossdock.actors import at_terminal
from crossdock.intake import RefusedError
from crossdock.operations import NotPossibleError, Operations
from crossdock.testing import assert_nothing_lost, standing
from crossdock_sdk import WebhookRequest
from crossdock_sdk.testing import shuffled_deliveries

LONGEST = 4000
"""Actions after which a seed that has not come to rest never will."""
_SHM = Path("/dev/shm")
_WISHFUL = 0.1
_OPEN = frozenset({"queued", "running", "waiting", "held", "in_doubt", "rolling_back"})
_DUE = """
SELECT MIN(at) FROM (
  SELECT MIN(ready_at) AS at FROM runs WHERE turn = 1
  UNION ALL SELECT MIN(due_at) FROM alerts
  UNION ALL SELECT MIN(due_at) FROM talks
  UNION ALL SELECT MIN(probe_at) FROM connections
    WHERE status <> 'active' AND EXISTS (
      SELECT 1 FROM runs WHERE waits_for = 'connection:' || connections.name AND turn = 1 AND owner IS NULL)
)
"""
_LOCKED_OUT = """
SELECT 1 FROM connections JOIN runs ON waits_for = 'connection:books' AND turn = 1
WHERE name = 'books' AND connections.status = 'paused' AND reason || COALESCE(error, '') LIKE '%invalid_grant%'
"""
Action = Callable[[], Awaitable[None]]


class UnrestError(AssertionError):
    """A seed does not come to rest."""


class InTurn:
    """A stepper that performs nothing before its turn comes."""

    def __init__(self, stepper: Any, turn: Callable[[], Awaitable[None]]) -> None:
        self._stepper = stepper
        self._turn = turn

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stepper, name)

    async def perform(self, job: Any, work: Any) -> Any:
        await self._turn()
        return await self._stepper.perform(job, work)


class Driver:
    """Draws what happens next."""

    def __init__(self, made: Firm) -> None:
        self._firm = made
        self._random = random.Random(made.story.seed + 1)
        self._turns: list[tuple[asyncio.Task[None], asyncio.Future[None]]] = []
        self._halt: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._to_win = list(made.story.deals)
        self._to_win_again: list[str] = []
        self._stormy = True
        self._reconnects = made.clock()
        self._wishes = made.story.wishes
        self._operations = Operations(made.app.journal, at_terminal("chaos"), made.app.now, made.app.rng)
        made.app.runner._stepper = InTurn(made.app.stepper, self._turn)

    async def play(self) -> None:
        """Until all is at rest. Raises `UnrestError` if that never comes."""
        storm_ends = self._firm.clock() + self._firm.story.storm
        for _ in range(LONGEST):
            if self._stormy and self._firm.clock() >= storm_ends:
                self._stormy = False
                self._firm.calm()
            actions = self._possible()
            if actions:
                self._firm.clock.forward(self._random.uniform(0, 0.3))
                await self._random.choice(actions)()
            elif self._locked_out():
                await self._firm.reconnect()
                self._reconnects = self._firm.clock() + timedelta(minutes=4)
            elif (due := self._next_due()) is not None:
                self._firm.clock.now = max(due, self._firm.clock.now)
            elif self._stormy:
                self._firm.clock.now = storm_ends
            elif self._wishes:
                await self._wish()
            else:
                await self._firm.app.runner._trouble.tell_blocked()
                if not self._possible():
                    return
        raise UnrestError(f"no rest after {LONGEST} actions: {self._where()}")

    def _possible(self) -> list[Action]:
        found: list[Action] = [lambda turn=turn: self._step(*turn) for turn in self._turns]
        if self._to_win:
            found.append(self._win)
        if self._to_win_again:
            found.append(self._win_again)
        if self._firm.inbox:
            found.append(self._deliver)
        if self._wishes and found and self._random.random() < _WISHFUL:
            found.append(self._wish)
        due = self._next_due()
        if due is not None and due <= self._firm.clock():
            found += [self._claim, self._tell, self._probe]
        return found

    def _next_due(self) -> datetime | None:
        (at,) = self._firm.select(_DUE)[0]
        return None if at is None else datetime.fromtimestamp(0, UTC) + timedelta(microseconds=at)

    def _locked_out(self) -> bool:
        return self._firm.clock() >= self._reconnects and bool(self._firm.select(_LOCKED_OUT))

    async def _win(self) -> None:
        deal = self._to_win.pop(0)
        won = await self._firm.simulators["crm"].trigger("deal.won", deal.body)
        self._note(deal, str(won["deal"]["id"]))

    def _note(self, deal: Won, deal_id: str) -> None:
        self._firm.deals[deal_id] = deal
        if deal.again:
            self._to_win_again.append(deal_id)

    async def _win_again(self) -> None:
        """A person drags the deal back, and a little later it is won once more."""
        deal = {"id": self._to_win_again.pop(0)}
        crm = self._firm.simulators["crm"]
        await crm.trigger("deal.reopened", deal)
        self._firm.clock.forward(self._random.choice((1, 90_000)))
        await crm.trigger("deal.won", deal)

    async def _wish(self) -> None:
        """A person replays any run, lets it go on, or cancels it; most of the time that run has failed."""
        self._wishes -= 1
        rows = self._firm.select("SELECT id, status FROM runs ORDER BY status = 'succeeded', ended_at IS NULL, no")
        if not rows:
            return
        row = rows[0] if self._random.random() < 0.7 else self._random.choice(rows)
        cancels = row["status"] in _OPEN and self._random.random() < 0.5
        with contextlib.suppress(NotPossibleError):
            if cancels:
                await self._operations.cancel(row["id"])
            else:
                plan = self._firm.app.loaded.flows["deal-to-invoice"].plan_hash
                await self._operations.replay(row["id"], plan)

    async def _deliver(self) -> None:
        """Deliveries that gathered come in any order, some of them twice, and some not yet."""
        gathered = shuffled_deliveries(self._firm.inbox, self._random.getrandbits(32))
        some = self._random.randint(1, len(gathered))
        brought, left = gathered[:some], gathered[some:]
        self._firm.inbox[:] = left
        for delivery in brought:
            await self._take(delivery)

    async def _take(self, delivery: WebhookRequest) -> None:
        try:
            taken = await self._firm.app.intake.receive("crm", delivery)
        except RefusedError as refused:
            raise AssertionError(f"a delivery is refused: {refused.status} {refused}") from refused
        self._firm.taken.update(taken.runs)

    async def _claim(self) -> None:
        app, few, lease = self._firm.app, self._random.randint(1, 4), self._firm.app.stepper.recorder.lease
        for one in await app.journal.claim(app.runner.owner, few, self._firm.clock(), lease):
            task = asyncio.create_task(app.runner._drive(one))
            task.add_done_callback(lambda _: self._halted())
            await self._until_halt()

    async def _tell(self) -> None:
        await self._firm.app.runner._courier.round()

    async def _probe(self) -> None:
        await self._firm.app.stepper.circuits.probe()

    async def _step(self, task: asyncio.Task[None], turn: asyncio.Future[None]) -> None:
        self._turns.remove((task, turn))
        turn.set_result(None)
        await self._until_halt()
        if task.done() and not task.cancelled():
            task.result()

    async def _turn(self) -> None:
        task, turn = asyncio.current_task(), asyncio.get_running_loop().create_future()
        assert task is not None
        self._turns.append((task, turn))
        self._halted()
        await turn

    def _halted(self) -> None:
        if not self._halt.done():
            self._halt.set_result(None)

    async def _until_halt(self) -> None:
        """Until the run that goes on now waits for its next turn, or is let go of."""
        await self._halt
        self._halt = asyncio.get_running_loop().create_future()

    def _where(self) -> str:
        rows = self._firm.select("SELECT id, key, status, due_at, waits_for, error FROM runs WHERE ended_at IS NULL")
        return "; ".join(str(dict(row)) for row in rows)


async def play(seed: int, folder: Path) -> Firm:
    """Play one seed and hold its end against the promises. Raises `AssertionError` with what was injected."""
    drawn: Story = story(seed)
    async with firm(drawn, folder) as made:
        before = standing(made.simulators)
        try:
            await Driver(made).play()
            await assert_nothing_lost(made.app.journal, made.simulators, before=before)
            await assert_as_told(made.app.journal, made.simulators, made)
            made.ends.update(row["status"] for row in made.select("SELECT status FROM runs"))
            made.ends["faults"] = sum(len(chaos.plan()) for chaos in made.faults.values())
            made.ends["replays"] = len(made.select("SELECT 1 FROM runs WHERE replay_of IS NOT NULL"))
            made.ends["kills"] = sum(len(lethal.kills) for lethal in made.lethal.values())
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}\ninjected:\n{made.plan()}") from error
        return made


def play_alone(seed: int) -> Firm:
    """Play one seed in a folder and an event loop of its own; in memory where there is such a place."""
    with tempfile.TemporaryDirectory(prefix="chaos-", dir=_SHM if _SHM.is_dir() else None) as folder:
        return asyncio.run(play(seed, Path(folder)))
