"""Every rule about order, retry, doubt, rollback and ending; pure.

`decide(plan, run, now)` says what is to happen next to a run, which `crossdock.state` folds from its
checkpoints. It does no I/O, reads no clock and draws no random number. Whoever performs a decision writes its
outcome as the next checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from crossdock_sdk import LegReport, Redo

from crossdock.config.models import Again, OnFailure, RetryPolicy
from crossdock.heritage import heritage, leaves, leaves_behind
from crossdock.state import CLOSING, FOR_GOOD, LegState, Phase, Run, Status, Tries, undecided, undone_unseen, unsettled

AUTH_PROBE = timedelta(minutes=5)
"""How long a run waits before it tries a connection again whose credentials were refused."""
STILL_ON_ITS_WAY = timedelta(seconds=5)
"""A write whose connection was cut off may still reach the vendor, or be at work there: looking for what it made
at once could find nothing too soon."""
LONGEST_PAUSE = timedelta(hours=1)
"""The longest that a vendor's `Retry-After` is heeded, before it is asked again."""
FIRST_LOOK = timedelta(seconds=5)
"""So long after it was found at work an origin is looked at again; its end is told at once."""
LONGEST_LOOK = timedelta(hours=1)
"""The longest pause between two looks at an origin."""
JITTER = Decimal("0.2")
"""A wait is lengthened by up to this share, so that runs that failed together do not return together."""

_UNDER_WAY = 409
"""What a vendor that keeps keys answers to a repeat while the first request is still at work (Stripe; the IETF's draft
on the Idempotency-Key header, 2.6). It refuses nothing, and settles nothing."""


def backoff(policy: RetryPolicy, failures: int, jitter: float, retry_after: float | None) -> timedelta:
    """How long to wait after that many failures; `jitter` is in [0, 1), `retry_after` in seconds."""
    grown = Decimal(policy.first.total_seconds()) * policy.factor ** max(failures - 1, 0)
    capped = min(grown, Decimal(policy.max.total_seconds()))
    seconds = capped * (1 + JITTER * Decimal(jitter))
    asked = min(Decimal(retry_after or 0), Decimal(LONGEST_PAUSE.total_seconds()))
    return timedelta(seconds=float(max(seconds, asked)))


@dataclass(frozen=True, slots=True)
class LegPlan:
    """What the rules need to know of one enabled leg."""

    name: str
    redo: Redo
    on_failure: OnFailure = "rollback"
    recovers: bool = False
    """Whether the action can look for what an earlier try made."""
    verifies: bool = False
    """Whether it can be asked if what was made is still there."""
    reads: frozenset[str] = frozenset()
    """The legs of the same connection whose receipts its input is made of: while it stands, so must they."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the rules need to know of a flow."""

    legs: tuple[LegPlan, ...]
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    again: Again = "hold"
    follows: bool = False
    """Whether it is about what a run of another flow made."""


@dataclass(frozen=True, slots=True)
class FindOrigin:
    """Look up which run made what the event is about."""


@dataclass(frozen=True, slots=True)
class Hydrate:
    """Read the full records from the source."""


@dataclass(frozen=True, slots=True)
class Inherit:
    """Take over what stands of the run that this one replays."""


@dataclass(frozen=True, slots=True)
class MakePlan:
    """Compute every leg's input, run the guard and the checks; nothing is written yet."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Write this leg; `redo` where an earlier try may have taken effect."""

    leg: str
    redo: bool = False


@dataclass(frozen=True, slots=True)
class Recover:
    """Ask the vendor whether an earlier try of this leg took effect; for `named`, what a person says it made."""

    leg: str
    named: str | None = None


@dataclass(frozen=True, slots=True)
class Verify:
    """Ask the vendor whether what an earlier run made in this leg is still there."""

    leg: str


@dataclass(frozen=True, slots=True)
class Undo:
    """Take this leg's write back."""

    leg: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`; `alert` where a person is told that it takes this long."""

    until: datetime
    status: Status
    alert: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing to do until a person acts."""

    status: Status
    alert: bool


@dataclass(frozen=True, slots=True)
class End:
    """The run is over."""

    status: Status
    alert: bool


Work = Inherit | Verify | FindOrigin | Hydrate | MakePlan | Apply | Recover | Undo
Decision = Work | Wait | Stop | End


def settles(redo: Redo, kind: str) -> bool:
    """Whether this kind of failure of a repeated write says that no earlier try took effect.

    A vendor that keeps our key would have given the old reply. One that does not keep it judges the repeat alone:
    what the record allowed the first time it may refuse now.
    """
    return not (redo is Redo.UPSERT and kind in {"rejected", "not_found"})


def left_open(redo: Redo, error: Mapping[str, Any], *, repeated: bool) -> dict[str, Any]:
    """What the failure of a write says, by how the action can be asked again: `{error}`, and `unsettled` if it
    leaves open what an earlier try did."""
    kind = error["kind"]
    under_way = repeated and redo is Redo.NATIVE_KEY and error.get("status") == _UNDER_WAY
    if under_way or (kind == "unavailable" and redo is Redo.UNSAFE):
        return {"error": {**error, "kind": "ambiguous"}}
    if repeated and not settles(redo, kind):
        return {"error": {**error}, "unsettled": True}
    return {"error": {**error}}


def decide(plan: Plan, run: Run, now: datetime) -> Decision:
    """What is to happen next. The same run and the same `now` always give the same answer."""
    if run.ended:
        return End(run.ended, alert=False)
    if run.replay_of and not run.inherited:
        return Inherit()
    if run.cancelled:
        return _let_stand(plan, run, now) if run.keeping else _roll_back(plan, run, Status.CANCELLED, now)
    if any(
        run.leg(leg.name).undoing and leg.on_failure != "skip" and not run.leg(leg.name).retake for leg in plan.legs
    ):
        return _roll_back(plan, run, Status.ROLLED_BACK, now)
    taken = next((leg for leg in plan.legs if _unverified(leg, run.leg(leg.name))), None)
    if taken is not None:
        return _verify(plan, run, taken, now)
    if not run.planned or run.records is None:
        return _read(plan, run, now)
    if run.changed:
        return _stop(run, Status.HELD)
    if run.again and plan.again != "allow":
        same = run.again["same"] or (plan.again == "ignore" and run.again.get("succeeded", True))
        return End(Status.IGNORED, alert=False) if same and not leaves(run) else _stop(run, Status.HELD)
    if run.approval and run.approval["plan"] != run.approved:
        return _await_approval(plan, run, now)
    return _forward(plan, run, now)


def _await_approval(plan: Plan, run: Run, now: datetime) -> Decision:
    """Nothing is written before a person has said yes to exactly what would be."""
    approval = run.approval or {}
    if approval.get("timeout") is None:
        return _stop(run, Status.AWAITING_APPROVAL)
    patience = timedelta(seconds=float(approval["timeout"]))
    until = approval["at"] + patience * max(run.asked, 1)
    if now < until or not run.asked:
        return Wait(until, Status.AWAITING_APPROVAL, alert=not run.asked)
    if approval["on_timeout"] == "remind":
        return Wait(until + patience, Status.AWAITING_APPROVAL, alert=True)
    ending = _roll_back(plan, run, Status.CANCELLED, now)
    return End(ending.status, alert=True) if isinstance(ending, End) else ending


def _unsettled(leg: LegPlan, state: LegState) -> bool:
    """Whether a try may have taken effect, and it can or must be found out."""
    return undecided(state) or (unsettled(state) and leg.recovers)


def _unverified(leg: LegPlan, state: LegState) -> bool:
    return leg.verifies and state.inherited and not state.verified and state.phase is Phase.APPLIED


def _verify(plan: Plan, run: Run, leg: LegPlan, now: datetime) -> Decision:
    """See that what an earlier run left is there before anything is built on it."""
    tries = run.leg(leg.name).tries
    due = _due(plan, tries)
    if _spent(plan, tries) and tries.at:
        patient = tries.at + plan.retry.max
        if now < patient:
            return Wait(patient, Status.IN_DOUBT, alert=run.alerted != Status.IN_DOUBT)
    elif due and now < due:
        return Wait(due, Status.WAITING)
    return Verify(leg.name)


def _read(plan: Plan, run: Run, now: datetime) -> Decision:
    kind = run.error.get("kind") if run.error else None
    if kind == "void":
        return _stop(run, Status.HELD) if leaves(run) else End(Status.IGNORED, alert=False)
    if kind in FOR_GOOD:
        return End(Status.DEAD, alert=True)
    if _spent(plan, run.read_tries):
        return End(Status.DEAD, alert=True)
    due = _due(plan, run.read_tries)
    if due and now < due:
        return Wait(due, Status.WAITING)
    if plan.follows and run.origin is None:
        # Before the record is read: what nobody here made costs no call, and what is read after a wait is new.
        look = next_look(run)
        return Wait(look, Status.WAITING) if look and now < look else FindOrigin()
    return Hydrate() if run.records is None else MakePlan()


def next_look(run: Run) -> datetime | None:
    """When a run that waits for its origin looks again by itself; None: at once."""
    if run.awaits is None or run.awaits.at is None:
        return None
    grown = FIRST_LOOK * int(4 ** min(run.awaits.looks - 1, 9))
    return run.awaits.at + min(grown, LONGEST_LOOK)


def _take_back(plan: Plan, run: Run, now: datetime) -> Decision | None:
    """What a person wants made again is taken back before anything is written, newest first.

    Where that is refused they are asked again: to go on would make it twice, and to roll back is not what they wished.
    """
    for leg in reversed(plan.legs):
        state = run.leg(leg.name)
        if not state.retake or state.amiss:
            continue
        clearing = _clear(plan, run, leg, now)
        if clearing is not None or _stands(plan, state):
            return clearing or _stop(run, Status.HELD)
    return None


def _forward(plan: Plan, run: Run, now: datetime) -> Decision:
    taking_back = _take_back(plan, run, now)
    if taking_back is not None:
        return taking_back
    for leg in plan.legs:
        state = run.leg(leg.name)
        if state.phase is Phase.APPLIED or (leg.name in run.left_out and not leaves_behind(state)):
            continue
        if _open(plan, state):
            return _try(plan, run, leg, now)
        if _unsettled(leg, state):
            return _settle(plan, run, leg, now)
        if state.retake and (clearing := _clear(plan, run, leg, now)) is not None:
            return clearing
        if leg.on_failure == "hold":
            return _stop(run, Status.HELD)
        if leg.on_failure == "rollback":
            return _roll_back(plan, run, Status.ROLLED_BACK, now)
        clearing = _clear(plan, run, leg, now)
        if clearing is not None:
            return clearing
    wanted = (leg.name for leg in plan.legs if leg.name not in run.left_out)
    skipped = any(run.leg(name).phase is not Phase.APPLIED for name in wanted)
    return End(Status.SUCCEEDED, alert=skipped)


def _open(plan: Plan, state: LegState) -> bool:
    """Whether a leg that is not applied may still become so."""
    return undecided(state) or (state.phase is Phase.PENDING and not _spent(plan, state.tries))


def _try(plan: Plan, run: Run, leg: LegPlan, now: datetime) -> Decision:
    """The next try of a leg that has not taken effect as far as we know."""
    state = run.leg(leg.name)
    if undecided(state):
        return _settle(plan, run, leg, now)
    due = _due(plan, state.tries)
    if due and now < due:
        return Wait(due, Status.WAITING)
    if leg.redo is Redo.LOOKUP and state.input is not None and not state.looked:
        arrived = _arrived(state)
        return Wait(arrived, Status.WAITING) if arrived and now < arrived else Recover(leg.name)
    return Apply(leg.name, redo=state.unproven)


def _settle(plan: Plan, run: Run, leg: LegPlan, now: datetime) -> Decision:
    """Find out whether a try took effect. Never given up: nobody may guess whether an invoice exists."""
    state = run.leg(leg.name)
    if state.named is None and (leg.redo is Redo.UNSAFE or (state.refused and not leg.recovers)):
        return _stop(run, Status.IN_DOUBT)
    asks = leg.redo is Redo.LOOKUP or state.refused or state.named is not None or not undecided(state)
    arrived = _arrived(state) if asks and state.named is None else None
    if arrived and now < arrived:
        return Wait(arrived, Status.WAITING)
    due = _due(plan, state.tries)
    unasked = asks and (state.error or {}).get("kind") in {"ambiguous", "rejected", "unavailable"}
    if _spent(plan, state.tries) and state.tries.at and not unasked:
        patient = state.tries.at + plan.retry.max
        if now < patient:
            return Wait(patient, Status.IN_DOUBT, alert=run.alerted != Status.IN_DOUBT)
    elif due and now < due:
        return Wait(due, Status.WAITING)
    return Recover(leg.name, state.named) if asks else Apply(leg.name, redo=True)


def _arrived(state: LegState) -> datetime | None:
    """When a write that was cut off, or given up by a proxy, has arrived for sure: it is not looked for before."""
    since = (state.sent_at if state.phase is Phase.SENT else None, state.lost_at)
    return max((at + STILL_ON_ITS_WAY for at in since if at), default=None)


def _roll_back(plan: Plan, run: Run, ending: Status, now: datetime) -> Decision:
    """Undo what was made, newest first. What cannot be undone keeps what it rests on, and nothing else.

    Before that it is found out what there is to undo.
    """
    doubtful = next((leg for leg in plan.legs if _unsettled(leg, run.leg(leg.name))), None)
    if doubtful is not None:
        return _settle(plan, run, doubtful, now)
    needed: set[str] = set()
    for leg in reversed(plan.legs):
        state = run.leg(leg.name)
        if leg.name not in needed:
            step = _clear(plan, run, leg, now)
            if step is not None:
                return step
        if leg.name in needed or _stands(plan, state):
            needed |= leg.reads
    if leaves(run):
        return End(Status.DEAD, alert=True)
    return End(ending, alert=ending is not Status.CANCELLED)


def _let_stand(plan: Plan, run: Run, now: datetime) -> Decision:
    """End a run and leave what it made, once it is known what that is; an undo that has begun is brought to its end.

    What is in doubt is settled as ever, which may be by sending it again under its key: nobody may guess.
    """
    doubtful = next((leg for leg in plan.legs if _unsettled(leg, run.leg(leg.name))), None)
    if doubtful is not None:
        return _settle(plan, run, doubtful, now)
    undoing = (leg for leg in reversed(plan.legs) if run.leg(leg.name).undoing)
    clearing = (_clear(plan, run, leg, now) for leg in undoing)
    return next((step for step in clearing if step is not None), End(Status.CANCELLED, alert=False))


def ends_unasked(run: Run) -> bool:
    """Whether a run that a person has cancelled can end without anything being asked of a vendor."""
    if not run.cancelled or (run.replay_of and not run.inherited):
        return False
    at_work = any(unsettled(leg) or undone_unseen(leg) for leg in run.legs.values())
    return not at_work if run.keeping else not leaves(run)


def strays(plan: Plan, run: Run) -> tuple[str, ...]:
    """The legs that stand, or may stand, since an earlier run, and that the flow has no longer."""
    known = {leg.name for leg in plan.legs}
    return tuple(item.leg for item in heritage(run) if item.phase != "fresh" and item.leg not in known)


def _stands(plan: Plan, leg: LegState) -> bool:
    if leg.phase is Phase.STANDS:
        return True
    return leg.phase in {Phase.APPLIED, Phase.AMISS} and _spent(plan, leg.undo_tries)


def _clear(plan: Plan, run: Run, leg: LegPlan, now: datetime) -> Decision | None:
    """The next step to undo one leg; None when nothing more can be done about it."""
    state = run.leg(leg.name)
    if state.phase not in {Phase.APPLIED, Phase.AMISS} or _spent(plan, state.undo_tries):
        return None
    due = _due(plan, state.undo_tries)
    if due and now < due:
        return Wait(due, Status.ROLLING_BACK)
    return Undo(leg.name)


def _stop(run: Run, status: Status) -> Decision:
    return Stop(status, alert=run.alerted != status)


def _spent(plan: Plan, tries: Tries) -> bool:
    return tries.failures > plan.retry.attempts


def held_up(run: Run, until: datetime) -> list[tuple[str | None, dict[str, Any] | None]]:
    """The leg (None: reading the record) that waits until then for a closed connection, and how it failed last."""
    tried: list[tuple[str | None, Tries, dict[str, Any] | None]] = [(None, run.read_tries, run.error)]
    tried += [(name, tries, leg.error) for name, leg in run.legs.items() for tries in (leg.tries, leg.undo_tries)]
    return [(name, why) for name, t, why in tried if t.uncounted in CLOSING and t.at and t.at + AUTH_PROBE == until]


def _due(plan: Plan, tries: Tries) -> datetime | None:
    """When the next try may start; None: at once."""
    if tries.at is None:
        return None
    if tries.uncounted in CLOSING:
        return tries.at + AUTH_PROBE
    if tries.uncounted:
        return tries.at + backoff(plan.retry, 1, tries.jitter, tries.retry_after)
    return tries.at + backoff(plan.retry, tries.failures, tries.jitter, tries.retry_after)


def why_held(run: Run) -> dict[str, Any] | None:
    """What a run that no leg stopped waits for a person about, as an error; None if it does not."""
    told = []
    if run.changed:
        legs = ", ".join(run.changed)
        told.append(
            f"{legs} stands as it was written before, and something else would be written now:"
            " let the run go on to keep it, replay it from that leg to make it anew, or cancel it to take it back"
        )
    if run.again is not None:
        stands = "; ".join(run.again.get("stands", ()))
        earlier = f"an earlier run of this key ({run.again['run']})"
        told.append(f"{stands}: by {earlier}" if stands else f"{earlier} succeeded or left something")
    kind = "changed" if run.changed else "again"
    if not told and run.approval and run.approval["plan"] != run.approved:
        return {"kind": "approval", "message": f"it waits for a person's yes: {run.approval['reason']}"}
    return {"kind": kind, "message": "; and ".join(told)} if told else None


def why_ended(run: Run, status: Status) -> dict[str, Any] | None:
    """What a run ended over that no leg stopped, as an error; None if nothing went wrong by itself."""
    if status is not Status.CANCELLED or run.cancelled:
        return None
    return {"kind": "not_approved", "message": f"nobody said yes in time: {(run.approval or {}).get('reason')}"}


def culprit(plan: Plan, run: Run) -> str | None:
    """The leg at which the run went wrong, or None if that was before any leg."""
    failing = [leg.name for leg in plan.legs if run.leg(leg.name).error is not None]
    if not failing:
        return None
    wrong = (name for name in failing if run.leg(name).phase in {Phase.FAILED, Phase.AMISS})
    stuck = (name for name in failing if run.leg(name).phase in {Phase.PENDING, Phase.SENT})
    return next(wrong, next(stuck, failing[0]))


def reports(plan: Plan, run: Run) -> tuple[LegReport, ...]:
    """What stands and what does not, leg by leg, for an alert or a page."""
    outside = (LegPlan(name, Redo.UPSERT) for name in strays(plan, run))
    return tuple(_report(plan, leg, run) for leg in (*plan.legs, *outside))


def _report(plan: Plan, leg: LegPlan, run: Run) -> LegReport:
    state = run.leg(leg.name)
    receipt = state.receipt or {}
    words = {
        Phase.APPLIED: "stands",
        Phase.AMISS: "stands",
        Phase.STANDS: "stands",
        Phase.UNDONE: "undone",
        Phase.KEPT: "kept",
        Phase.FAILED: "failed",
    }
    word = words.get(state.phase, "not reached")
    unseen = undone_unseen(state)
    if unseen or unsettled(state):
        word = "in doubt"
    elif state.phase is Phase.PENDING and state.tries.failures:
        word = "failed"
    if word == "failed" and leg.on_failure == "skip":
        word = "skipped"
    note = str(state.error["message"]) if state.error else None
    if word == "not reached" and leg.name in run.left_out:
        word, note = "skipped", run.left_out[leg.name]
    if unseen:
        note = f"whether it was undone is not known: {note}" if note else "it is being undone"
    if state.phase is Phase.KEPT:
        note = "another run uses it"
    elif receipt and not receipt.get("created", True):
        note = "it was there before; left untouched"
    return LegReport(leg=leg.name, state=word, id=receipt.get("id"), url=receipt.get("url"), note=note)
