"""What a run is: the fold of its checkpoints. Pure; what is to happen next is for `crossdock.saga`.

`evolve(run, step)` takes in what happened. Instants and jitter are facts inside the checkpoints, so that the
same checkpoints always give the same run.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

FOR_GOOD = frozenset({"rejected", "not_found", "discrepancy", "config", "mapping"})
"""Kinds of error that another try does not mend."""
UNCOUNTED = frozenset({"auth", "throttled", "outage"})
"""Kinds of error that burn no try of the run."""
CLOSING = frozenset({"auth", "outage"})
"""Those of them for which the connection is closed: the run waits until it may be used again."""
_UNSURE = frozenset({"ambiguous", "unavailable"})
"""Kinds of error that leave open whether what was asked took effect."""
UNASKED = frozenset({"config", "mapping"})
"""Kinds of error that arise before the vendor is asked, and so settle no doubt."""


class Status(StrEnum):
    """The status of a run, as every outside face shows it."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    AWAITING_APPROVAL = "awaiting_approval"
    HELD = "held"
    IN_DOUBT = "in_doubt"
    ROLLING_BACK = "rolling_back"
    SUCCEEDED = "succeeded"
    ROLLED_BACK = "rolled_back"
    DEAD = "dead"
    IGNORED = "ignored"
    CANCELLED = "cancelled"


FINAL = frozenset({Status.SUCCEEDED, Status.ROLLED_BACK, Status.DEAD, Status.IGNORED, Status.CANCELLED})


class Phase(StrEnum):
    """Where one leg stands."""

    PENDING = "pending"
    SENT = "sent"
    """An intent without outcome: performed now, or cut off by a crash."""
    APPLIED = "applied"
    AMISS = "amiss"
    """It took effect, but not as asked."""
    FAILED = "failed"
    UNDONE = "undone"
    KEPT = "kept"
    """Another run uses what this leg made, so undoing it left it alone."""
    STANDS = "stands"
    """Undo failed for good: a person must look."""


_HERE = frozenset({Phase.APPLIED, Phase.STANDS})


class Tries(msgspec.Struct, frozen=True):
    """Failed tries of one thing, and when and how the last one failed."""

    failures: int = 0
    at: datetime | None = None
    jitter: float = 0.0
    retry_after: float | None = None
    uncounted: str | None = None
    """Why the last failure burned no try: `auth`, `throttled` and `outage` are the connection's, not the run's."""

    def failed(self, at: datetime, error: Mapping[str, Any]) -> Tries:
        """One more failure."""
        kind = "outage" if error.get("outage") else error.get("kind")
        uncounted = kind if kind in UNCOUNTED else None
        count = self.failures if uncounted else self.failures + 1
        return Tries(count, at, float(error.get("jitter", 0)), error.get("retry_after"), uncounted)


class LegState(msgspec.Struct, frozen=True):
    """One leg, folded from its checkpoints. (A struct, for a run is folded at every step and `replace` is fast.)"""

    phase: Phase = Phase.PENDING
    generation: int = 0
    doubt: bool = False
    """A try was sent and its fate is unknown. Stays until the vendor's answer settles it."""
    looked: bool = False
    """`recover` found nothing since the last try, so a new try is safe."""
    refused: bool = False
    """A repeat was refused, which settles nothing: the first try may stand. Asking, or a person, settles it."""
    tries: Tries = Tries()
    undo_tries: Tries = Tries()
    receipt: dict[str, Any] | None = None
    input: Any = None
    before: dict[str, Any] | None = None
    """What stood where this leg writes, before its first try; undo restores it."""
    error: dict[str, Any] | None = None
    inherited: bool = False
    verified: bool = False
    """What was taken over has been seen at the vendor."""
    sent_at: datetime | None = None
    lost_at: datetime | None = None
    """When it was last heard of a try that may have taken effect that it was lost; no wish of a person changes it."""
    unproven: bool = False
    """A try was answered with 503. That nothing took effect is the server's word alone."""
    do: str | None = None
    """What wrote this leg, such as `books.invoice.create`; the flow may have something else there by now."""
    account: str | None = None
    """The account at the vendor in which it was written; the connection may name another by now."""
    named: str | None = None
    """The vendor's id of what a person says this leg made; it is still to be read there."""
    undoing: bool = False
    """Undo has begun, and may have taken effect: there is no way forward from here."""
    undo_sent: bool = False
    """An undo has begun whose outcome is not recorded."""
    unseen: bool = False
    """An undo may have taken effect without our seeing it, whatever later ones were answered."""
    amiss: bool = False
    retake: bool = False
    """What stands is to be taken back first, and then written anew: it is amiss, or a person wishes it."""


class Awaits(msgspec.Struct, frozen=True):
    """An unfinished run that made what this one is about, or may have made it; `at` None: look again at once."""

    run: str
    at: datetime | None
    looks: int = 1
    made: bool = True


class Run(msgspec.Struct, frozen=True):
    """One run, folded from its checkpoints."""

    id: str
    root: str
    """The first run of a chain of replays; vendor keys are made from it."""
    legs: Mapping[str, LegState] = {}
    records: dict[str, Any] | None = None
    planned: bool = False
    planned_inputs: dict[str, Any] = {}
    read_tries: Tries = Tries()
    again: dict[str, Any] | None = None
    """An earlier run that succeeded for the same key: `{run, same}`."""
    accounts: Mapping[str, str] = {}
    """Connection → the account at the vendor in which this run reads and writes."""
    changed: tuple[str, ...] = ()
    """Legs that stand since an earlier run, as it wrote them: the flow would write something else now."""
    origin: dict[str, Any] | None = None
    """Of a flow that follows another: the run that made what this one is about, with its receipts by leg."""
    followed: str | None = None
    """The origin of the run that this one replays."""
    awaits: Awaits | None = None
    left_out: Mapping[str, str] = {}
    """Legs that are not written, and why: the origin has no receipt that they read, and need not have one."""
    error: dict[str, Any] | None = None
    cancelled: bool = False
    keeping: bool = False
    """Whoever cancelled it wants what it made left as it is."""
    retaken: tuple[str, ...] = ()
    """Legs that a person wants taken back and written anew, where they stand since an earlier run."""
    alerted: str | None = None
    """The stop (`held`, `in_doubt`) that a person has been told of since the run last moved."""
    troubled: bool = False
    """A person has been told, ever, that it failed or waits for them; to be asked for a yes is no trouble."""
    stopped: str | None = None
    ended: Status | None = None
    replay_of: str | None = None
    inherited: bool = False
    """What stands of the run that this one replays has been taken over."""
    approval: dict[str, Any] | None = None
    """Why a person's yes is needed: `{plan, reason, at}`, and `timeout` in seconds with `on_timeout` where there is
    one. `plan` is the hash of all that would be written."""
    approved: str | None = None
    """The plan to which a person has said yes."""
    asked: int = 0
    """How often people have been asked for that."""
    edits: tuple[dict[str, Any], ...] = ()
    """What people changed in the records: `{path, before, after}` each."""
    steps: int = 0

    def leg(self, name: str) -> LegState:
        return self.legs.get(name, _UNTOUCHED)


_UNTOUCHED = LegState()


class Step(Protocol):
    """A checkpoint as the journal gives it back."""

    @property
    def kind(self) -> str: ...
    @property
    def leg(self) -> str | None: ...
    @property
    def phase(self) -> str: ...
    @property
    def data(self) -> Mapping[str, Any]: ...
    @property
    def at(self) -> datetime: ...


def leg_key(root: str, leg: str, generation: int) -> str:
    """The idempotency key of a leg: the same in every try, new only after a confirmed rollback."""
    digest = hashlib.sha256(f"{root}\0{leg}\0{generation}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16]))


def undecided(leg: LegState) -> bool:
    """Whether nobody knows if a try of this leg took effect."""
    return leg.phase is Phase.SENT or (leg.doubt and leg.phase is Phase.PENDING)


def stays(leg: LegState) -> bool:
    """Whether what this leg made is there, and is to be left as it is."""
    return leg.phase is Phase.APPLIED and not leg.retake


def cut_off(leg: LegState) -> bool:
    """Whether a try was cut off and nobody has noted when."""
    return leg.phase is Phase.SENT and leg.sent_at is not None and (leg.lost_at is None or leg.lost_at < leg.sent_at)


def unsettled(leg: LegState) -> bool:
    """Whether a try of this leg may have taken effect, be it only that a server's word is all there is against it."""
    return undecided(leg) or (leg.phase is Phase.PENDING and leg.unproven)


def undone_unseen(leg: LegState) -> bool:
    """Whether nobody knows if what this leg made has been undone."""
    applied = leg.phase in {Phase.APPLIED, Phase.AMISS}
    return (leg.unseen and (applied or leg.phase is Phase.STANDS)) or (applied and leg.undo_sent)


def fold(run: Run, steps: Iterable[Step]) -> Run:
    """The run after all its checkpoints."""
    for step in steps:
        run = evolve(run, step)
    return run


def evolve(run: Run, step: Step) -> Run:
    """The run after one more checkpoint. Unknown kinds are notes and change nothing but the count."""
    handler = _EVOLVE.get(step.kind)
    moved = handler(run, step) if handler else run
    return replace(moved, steps=run.steps + 1)


def _hydrated(run: Run, step: Step) -> Run:
    if step.phase == "done":
        accounts = {**run.accounts, **step.data.get("from", {})}
        return replace(run, records=step.data["records"], read_tries=Tries(), accounts=accounts)
    return _read_failed(run, step)


def _read_failed(run: Run, step: Step) -> Run:
    error = step.data["error"]
    tries = run.read_tries.failed(step.at, error)
    return replace(run, read_tries=tries, error=error)


def _planned(run: Run, step: Step) -> Run:
    if step.phase == "failed":
        return _read_failed(run, step)
    approval = step.data.get("approval")
    return replace(
        run,
        planned=True,
        approval=approval and {**approval, "at": step.at},
        accounts={**(approval["accounts"] if approval else {}), **run.accounts},
        asked=0,
        planned_inputs=step.data.get("inputs", {}),
        again=step.data.get("again"),
        changed=tuple(step.data.get("changed", ())),
        left_out=step.data.get("left_out", {}),
        read_tries=Tries(),
        error=None,
    )


def _traced(run: Run, step: Step) -> Run:
    if step.phase == "failed":
        return _read_failed(run, step)
    if step.phase == "awaited":
        name = step.data["run"]
        looks = run.awaits.looks + 1 if run.awaits and run.awaits.run == name else 1
        return replace(run, awaits=Awaits(name, step.at, looks, step.data["made"]))
    accounts = {**step.data.get("accounts", {}), **run.accounts}
    return replace(run, origin=dict(step.data), awaits=None, accounts=accounts, read_tries=Tries(), error=None)


def _awaited(run: Run, _: Step) -> Run:
    """What it waited for has ended."""
    return replace(run, awaits=replace(run.awaits, at=None)) if run.awaits else run


def _applied(run: Run, step: Step) -> Run:
    name = step.leg or ""
    leg = run.leg(name)
    if step.phase == "intent":
        given = step.data
        sent = replace(leg, phase=Phase.SENT, input=given.get("input"), before=given.get("before"), sent_at=step.at)
        sent = replace(sent, do=given.get("do", leg.do), account=given.get("account", leg.account))
        sent = replace(sent, doubt=leg.doubt or leg.phase is Phase.SENT)
        return _using(_with(run, name, sent), sent.do, sent.account)
    if step.phase == "done":
        return _moved(_with(run, name, _applied_as(leg, step.data["receipt"])))
    return _apply_failed(run, name, leg, step)


def _applied_as(leg: LegState, receipt: dict[str, Any]) -> LegState:
    settled = replace(leg, phase=Phase.APPLIED, doubt=False, refused=False, unproven=False, named=None)
    return replace(settled, receipt=receipt, error=None, tries=Tries())


def _apply_failed(run: Run, name: str, leg: LegState, step: Step) -> Run:
    error = step.data["error"]
    kind = error.get("kind")
    after = replace(leg, error=error, tries=leg.tries.failed(step.at, error), looked=False)
    if "input" in step.data:
        after = replace(after, input=step.data["input"])
    if kind == "discrepancy" and step.data.get("receipt"):
        after = replace(after, phase=Phase.AMISS, doubt=False, amiss=True, receipt=step.data["receipt"])
    elif step.data.get("unsettled"):
        after = replace(after, phase=Phase.PENDING, doubt=True, refused=True)
    elif kind in FOR_GOOD and not ((leg.doubt or leg.unproven) and kind in UNASKED):
        after = replace(after, phase=Phase.FAILED, doubt=False)
    else:
        unproven = leg.unproven or kind == "unavailable"
        after = replace(after, phase=Phase.PENDING, doubt=leg.doubt or kind == "ambiguous", unproven=unproven)
        after = replace(after, lost_at=step.at if kind in _UNSURE else leg.lost_at)
    return _with(run, name, after)


def _recovered(run: Run, step: Step) -> Run:
    name = step.leg or ""
    leg = run.leg(name)
    if step.phase == "failed":
        error = step.data["error"]
        named = None if error.get("kind") in FOR_GOOD else leg.named
        return _with(run, name, replace(leg, error=error, tries=leg.tries.failed(step.at, error), named=named))
    receipt = step.data.get("receipt")
    if receipt is None and leg.named is not None and step.data.get("named") != leg.named:
        return run  # a look that was under way when a person named the object
    if receipt is None and leg.refused:
        return _moved(_with(run, name, replace(leg, phase=Phase.FAILED, doubt=False, refused=False)))
    if receipt is None:
        return _moved(_with(run, name, replace(leg, phase=Phase.PENDING, doubt=False, looked=True, unproven=False)))
    settled = _applied_as(leg, receipt)
    return _moved(_with(run, name, settled))


def _resolved(run: Run, step: Step) -> Run:
    """A person has looked at the vendor. What the vendor has answered meanwhile counts for more."""
    name = step.leg or ""
    leg = run.leg(name)
    if not unsettled(leg):
        return run
    exists = step.data["exists"]
    after = replace(leg, refused=False, tries=Tries(), error=None, named=exists)
    if exists is None:
        after = replace(after, phase=Phase.PENDING, doubt=False, looked=True, unproven=False)
    return _moved(_with(run, name, after))


def _undone(run: Run, step: Step) -> Run:
    name = step.leg or ""
    leg = run.leg(name)
    if step.phase == "intent":
        sent = replace(leg, undoing=True, undo_sent=True, unseen=leg.unseen or leg.undo_sent)
        return _with(run, name, sent)
    if step.phase != "failed" and leg.retake and not run.cancelled:
        return _with(run, name, LegState(generation=leg.generation + 1))
    if step.phase != "failed":
        phase = Phase.KEPT if step.phase == "kept" else Phase.UNDONE
        return _with(run, name, replace(leg, phase=phase, undo_sent=False))
    error = step.data["error"]
    tries = leg.undo_tries.failed(step.at, error)
    phase = Phase.STANDS if error.get("kind") in FOR_GOOD else leg.phase
    unseen = leg.unseen or error.get("kind") in _UNSURE
    after = replace(leg, phase=phase, undo_tries=tries, error=error, undo_sent=False, unseen=unseen)
    return _with(run, name, after)


def _verified(run: Run, step: Step) -> Run:
    """What an earlier run left is there, or somebody has taken it away since, and it is made anew."""
    name = step.leg or ""
    leg = run.leg(name)
    if step.phase == "failed":
        error = step.data["error"]
        return _with(run, name, replace(leg, error=error, tries=leg.tries.failed(step.at, error)))
    if not step.data["there"]:
        return _with(run, name, LegState(generation=leg.generation + 1))
    return _moved(_with(run, name, replace(leg, verified=True, tries=Tries(), error=None)))


def _inherited(run: Run, step: Step) -> Run:
    name = step.leg
    if name is None:
        return replace(run, inherited=True, followed=step.data.get("origin"), approved=step.data.get("approved"))
    leg = replace(run.leg(name), generation=int(step.data["generation"]), inherited=True)
    leg = replace(leg, do=step.data.get("do"), account=step.data.get("account"))
    if step.phase == "stands":
        leg = replace(leg, phase=Phase.APPLIED, receipt=step.data["receipt"], input=step.data.get("input"))
        leg = replace(leg, retake=name in run.retaken)
    elif step.phase == "amiss":
        leg = replace(leg, phase=Phase.AMISS, receipt=step.data["receipt"], input=step.data.get("input"))
        leg = replace(leg, amiss=True, retake=True)
    elif step.phase == "doubt":
        leg = replace(leg, doubt=True, input=step.data.get("input"), before=step.data.get("before"))
    inherited = _with(run, name, leg)
    return _using(inherited, leg.do, leg.account) if step.phase != "fresh" else inherited


def _reconnected(run: Run, _: Step) -> Run:
    """The connection is in use again: what its credentials held up may be tried at once."""
    legs = {
        name: replace(leg, tries=_freed(leg.tries), undo_tries=_freed(leg.undo_tries)) for name, leg in run.legs.items()
    }
    return replace(run, legs=legs, read_tries=_freed(run.read_tries))


def _taken_over(run: Run, step: Step) -> Run:
    """Whoever performed it is gone, and what it had sent may still be on its way from that moment on."""
    legs = {n: replace(leg, lost_at=step.at) if leg.phase is Phase.SENT else leg for n, leg in run.legs.items()}
    return replace(run, legs=legs)


def _freed(tries: Tries) -> Tries:
    return replace(tries, at=None, uncounted=None) if tries.uncounted in CLOSING else tries


def _person_acted(run: Run, step: Step) -> Run:
    if step.kind == "cancel":
        legs = {name: replace(leg, tries=replace(leg.tries, at=None)) for name, leg in run.legs.items()}
        keeping = bool(step.data.get("keep"))
        return replace(run, legs=legs, cancelled=True, keeping=keeping, stopped=None, alerted=None)
    legs = {n: _retried(leg) for n, leg in run.legs.items()}
    moved = _awaited(replace(run, legs=legs, stopped=None, alerted=None, again=None, changed=()), step)
    return replace(moved, read_tries=Tries(), error=None)


def _edited(run: Run, step: Step) -> Run:
    """A person has changed the records, which are not read again: what was shown is what is written."""
    moved = _person_acted(run, step)
    accounts = {**run.accounts, **step.data.get("from", {})}
    changes = (*run.edits, *step.data.get("edits", ()))
    records = step.data["records"]
    return _planned_anew(replace(_retaking(moved, step), records=records, accounts=accounts, edits=changes))


def _retaken(run: Run, step: Step) -> Run:
    """A person wants some of what was made taken back and made again."""
    return _planned_anew(_retaking(_person_acted(run, step), step))


def _retaking(run: Run, step: Step) -> Run:
    names = tuple(step.data.get("retake", ()))
    legs = {n: _to_retake(leg) if n in names and leg.phase in _HERE else leg for n, leg in run.legs.items()}
    return replace(run, legs=legs, retaken=names)


def _to_retake(leg: LegState) -> LegState:
    return replace(leg, phase=Phase.APPLIED, retake=True, undo_tries=Tries())


def _planned_anew(run: Run) -> Run:
    return replace(run, planned=False, planned_inputs={}, approval=None)


def _approved(run: Run, step: Step) -> Run:
    """Good for the plan that the person saw: if another has been made meanwhile they are asked again."""
    return replace(run, approved=step.data["plan"], stopped=None, alerted=None)


def _rejected(run: Run, step: Step) -> Run:
    said = f"{step.data.get('by') or 'a person'} rejected it" + (f": {why}" if (why := step.data.get("why")) else "")
    return replace(run, cancelled=True, stopped=None, alerted=None, error={"kind": "not_approved", "message": said})


def _retried(leg: LegState) -> LegState:
    if leg.phase is Phase.FAILED:
        return LegState(generation=leg.generation + 1)
    if leg.phase is Phase.AMISS:
        return replace(leg, retake=True, undo_tries=Tries())
    if leg.retake and leg.phase in _HERE:
        return _to_retake(leg)
    return replace(leg, tries=Tries(), refused=False) if leg.phase in {Phase.PENDING, Phase.SENT} else leg


def _stopped(run: Run, step: Step) -> Run:
    if step.kind == "end":
        return replace(run, ended=Status(step.phase))
    alerted = step.phase if step.data.get("alert") else run.alerted
    waits = step.phase == Status.AWAITING_APPROVAL
    troubled = run.troubled or (bool(step.data.get("alert")) and not waits)
    return replace(run, stopped=step.phase, alerted=alerted, asked=run.asked + waits, troubled=troubled)


_EVOLVE = {
    "origin": _traced,
    "awaited": _awaited,
    "hydrate": _hydrated,
    "plan": _planned,
    "apply": _applied,
    "recover": _recovered,
    "resolve": _resolved,
    "undo": _undone,
    "inherit": _inherited,
    "verify": _verified,
    "cancel": _person_acted,
    "resume": _person_acted,
    "edit": _edited,
    "retake": _retaken,
    "approve": _approved,
    "reject": _rejected,
    "reconnect": _reconnected,
    "takeover": _taken_over,
    "stop": _stopped,
    "end": _stopped,
}


def _with(run: Run, name: str, leg: LegState) -> Run:
    return replace(run, legs={**run.legs, name: leg})


def _using(run: Run, do: str | None, account: str | None) -> Run:
    """The run after its first use of a connection, which settles the account for all that follows."""
    connection = (do or "").partition(".")[0]
    if account is None or connection in run.accounts:
        return run
    return replace(run, accounts={**run.accounts, connection: account})


def _moved(run: Run) -> Run:
    return replace(run, alerted=None, stopped=None)
