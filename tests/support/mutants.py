"""Crossdock with one of its guards taken away, to see that a test notices.

Nothing of this is in the product. `CROSSDOCK_TEST_MUTANT=<name>` takes the guard away in a test process and in the
processes that it forks. As a program this runs the tests of each mutant, and fails if they pass.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from crossdock import legs, origins, presses, recorder, saga, state
from crossdock.journal import hooks, statements, store
from crossdock_sdk.redaction import Redactor

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "CROSSDOCK_TEST_MUTANT"
_CAUGHT = 1
"""pytest's exit code for tests that failed; any other but 0 means that they were not even run."""


@dataclass(frozen=True)
class Mutant:
    """A guard, how it is taken away, and the tests (pytest's arguments) that must fail then."""

    guard: str
    remove: Callable[[], None]
    tests: tuple[str, ...]


def _replace(room: str, name: str, old: str, new: str) -> None:
    found: Any = statements.load(room)
    if old not in found[name]:
        raise LookupError(f"{room}.{name} does not say {old!r} any more; mend the mutant")
    found[name] = found[name].replace(old, new)


def _no_intent() -> None:
    async def intend(self: Any, job: Any, kind: str, leg: str, data: Any, lock: Any) -> None:
        """Write it with the outcome."""
        checkpoint = recorder.Checkpoint(kind, leg, "intent", data, self.now())
        job.unsaved.append(recorder.Outcome(checkpoint))
        job.run = state.evolve(job.run, checkpoint)

    recorder.Recorder.intend = intend  # type: ignore[method-assign]


def _no_fence() -> None:
    _replace("checkpoints", "claimed", "USING (id, fence, owner)", "USING (id)")


def _no_dedupe() -> None:
    _replace("runs", "insert_events", "(?, ?, ?, ?,", "(?, ?, ? || hex(randomblob(8)), ?,")


def _no_full_sync() -> None:
    _replace("store", "pragmas", "PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL")
    store._SYNCHRONOUS_FULL = 1


def _no_generation() -> None:
    real = state.leg_key
    legs.leg_key = lambda root, leg, generation: real(root, leg, 0)


def _no_lookup() -> None:
    async def recover(self: Any, job: Any, leg: Any, named: Any) -> Any:
        return recorder.Outcome(recorder.Checkpoint("recover", leg.name, "done", {"receipt": None}, self.now()))

    legs.Legs.recover = recover  # type: ignore[method-assign]


def _no_lock() -> None:
    legs._lock = lambda leg, action, data: ()


def _no_order() -> None:
    _replace("runs", "select_ready", "turn = 1 AND ready_at <= :now", "ended_at IS NULL AND ready_at <= :now")


def _no_passing_over() -> None:
    _replace("desk", "due_alerts", "NOT IN (SELECT value FROM json_each(:but_for))", "IS NOT :but_for")


def _no_wait_for_the_origin() -> None:
    real = origins.Origins._newest

    async def newest(self: Any, job: Any, about: Any) -> Any:
        row = await real(self, job, about)
        return msgspec.structs.replace(row, ended_at=row.ended_at or self.now()) if row else None

    origins.Origins._newest = newest  # type: ignore[method-assign]


def _no_lock_of_the_origin() -> None:
    origins.Origins.lock = lambda self, job: (f"lock:{job.row.id}",)  # type: ignore[method-assign]


def _no_doubt_about_the_origin() -> None:
    _replace("reads", "making", "ended_at IS NULL", "FALSE")


def _no_redaction() -> None:
    Redactor.text = lambda self, text: text  # type: ignore[method-assign]


def _no_registration() -> None:
    hooks.StoredHook.expects = lambda self, now: True  # type: ignore[method-assign]
    _replace("hooks", "agree_hook", "AND pending_until > :now AND", "AND")


def _no_single_use() -> None:
    _replace("hooks", "agree_hook", "AND secret IS NULL", "")


def _no_approval() -> None:
    saga._await_approval = lambda plan, run, now: saga._forward(plan, run, now)


def _no_single_press() -> None:
    _replace("talks", "spend", "DO NOTHING", "DO UPDATE SET until = excluded.until")


def _no_standing_of_a_press() -> None:
    presses.state_of = lambda row, steps: _Anything()  # type: ignore[assignment,return-value]


class _Anything:
    def __ne__(self, other: object) -> bool:
        return False


def _no_count_of_what_was_told() -> None:
    _replace("talks", "told", "place <= :place", "place <= :place + 1000")


_CRASHES = "tests/reliability/test_crashes.py::test_nothing_is_lost"
_FOLLOWING = "core/tests/runtime/test_following.py"
_CONTRACT = "core/tests/journal/test_performing.py"
_HANDSHAKES = "core/tests/hooks/test_handshakes.py"
MUTANTS = {
    "intent": Mutant(
        "an intent is committed before a write", _no_intent, (f"{_CRASHES}[first-http.replied-POST-task-1-kill]",)
    ),
    "fence": Mutant(
        "a claim that is void cannot write",
        _no_fence,
        (f"{_CONTRACT}::test_a_run_whose_lease_ran_out_is_taken_over_and_its_old_claim_is_void",),
    ),
    "dedupe": Mutant(
        "an event is stored once",
        _no_dedupe,
        ("core/tests/journal/test_intake.py::test_fifty_deliveries_of_one_event_at_once_start_one_run",),
    ),
    "sync": Mutant(
        "a commit is on the disk before anybody hears of it",
        _no_full_sync,
        ("tests/reliability/test_power.py::test_what_was_acknowledged_outlives_every_cut[None]",),
    ),
    "generation": Mutant(
        "what was taken back is made anew under another key",
        _no_generation,
        ("core/tests/runtime/test_guards.py::test_a_replay_after_a_rollback_makes_it_anew",),
    ),
    "lookup": Mutant(
        "what may have been made is looked for before it is made again",
        _no_lookup,
        (f"{_CRASHES}[first-http.replied-POST-task-1-kill]",),
    ),
    "lock": Mutant(
        "two writes that must not meet do not",
        _no_lock,
        ("core/tests/runtime/test_guards.py::test_two_runs_that_need_one_lock_never_write_at_once",),
    ),
    "order": Mutant(
        "the runs of a record go one after the other",
        _no_order,
        (f"{_CONTRACT}::test_runs_of_one_key_come_one_after_another",),
    ),
    "passing over": Mutant(
        "a notifier with its hands full keeps no other waiting",
        _no_passing_over,
        ("core/tests/test_alerts.py::test_a_long_backlog_of_one_notifier_is_taken_up_by_and_by_and_delays_no_other",),
    ),
    "origin": Mutant(
        "nobody acts on half of what is made",
        _no_wait_for_the_origin,
        (f"{_FOLLOWING}::test_an_origin_under_way_is_waited_for_and_its_end_is_heard_at_once",),
    ),
    "one at a time": Mutant(
        "what is read last is written last",
        _no_lock_of_the_origin,
        (f"{_FOLLOWING}::test_what_is_read_last_is_written_last_whichever_flow_it_is",),
    ),
    "maker": Mutant(
        "what may have been made here is no stranger's",
        _no_doubt_about_the_origin,
        (f"{_FOLLOWING}::test_a_write_without_an_answer_may_have_made_it",),
    ),
    "redaction": Mutant(
        "no secret is written",
        _no_redaction,
        ("core/tests/runtime/test_guards.py::test_a_secret_that_a_vendor_repeats_is_not_written",),
    ),
    "approval": Mutant(
        "nothing is written before a person has said yes, where the flow wants that",
        _no_approval,
        ("core/tests/runtime/test_approval.py::test_a_run_waits_for_a_yes_and_then_writes_what_was_shown",),
    ),
    "registration": Mutant(
        "a handshake is taken while a registration is under way, and not after",
        _no_registration,
        (f"{_HANDSHAKES}::test_a_handshake_that_comes_too_late_is_refused",),
    ),
    "single-use": Mutant(
        "a registration takes one secret",
        _no_single_use,
        (f"{_HANDSHAKES}::test_a_second_handshake_with_another_secret_is_refused_and_changes_nothing",),
    ),
    "press": Mutant(
        "a button is good once",
        _no_single_press,
        ("core/tests/runtime/test_presses.py::test_one_press_is_one_act_however_often_it_comes",),
    ),
    "standing": Mutant(
        "a button is for the run as it stood",
        _no_standing_of_a_press,
        ("core/tests/runtime/test_presses.py::test_a_run_that_has_moved_is_left_alone",),
    ),
    "told": Mutant(
        "what a message does not tell of is not told",
        _no_count_of_what_was_told,
        ("core/tests/test_conversations.py::test_what_joins_while_the_message_is_written_is_told_by_the_next",),
    ),
}


def remove_guard() -> None:
    """Take away the guard that the environment names, if it names one."""
    name = os.environ.get(VARIABLE)
    if name:
        MUTANTS[name].remove()


def _survives(name: str, mutant: Mutant) -> bool:
    environment = os.environ | {"CROSSDOCK_TEST_CRASHES": "all"}
    for changed, wanted in (({}, 0), ({VARIABLE: name}, _CAUGHT)):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *mutant.tests]
        ended = subprocess.run(
            command, cwd=ROOT, env=environment | changed, capture_output=True, text=True, check=False
        )
        if ended.returncode != wanted:
            told = "its tests pass without it" if changed else "its tests do not pass as they are"
            told = told if ended.returncode in (0, _CAUGHT) else "its tests could not be run"
            sys.stdout.write(f"{name}: {mutant.guard}: {told}\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}\n")
            return True
    sys.stdout.write(f"{name}: {mutant.guard}: noticed\n")
    return False


def main() -> int:
    """Run the mutants named in the arguments, or all; how many of them nobody noticed."""
    wanted = sys.argv[1:] or list(MUTANTS)
    return sum(_survives(name, MUTANTS[name]) for name in wanted)


if __name__ == "__main__":
    sys.exit(main())
