"""What must hold of this firm, beside what holds of every one (`crossdock.testing`): its deals, totals and messages."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chaos.firm import Firm
from crossdock.journal.base import Journal
from crossdock.state import FINAL, Phase, Run, fold
from crossdock_sdk.testing import Simulator

RESTING = {str(status) for status in FINAL} | {"held", "in_doubt"}
STANDING = {Phase.APPLIED, Phase.AMISS, Phase.STANDS, Phase.KEPT}
FAILED = {"rolled_back", "dead", "held", "in_doubt"}
_SEEDED_CUSTOMER = "1"


@dataclass(frozen=True)
class Thing:
    """An object that stands at a vendor, with all its text, in which our key is found."""

    connection: str
    kind: str
    id: str
    text: str
    row: Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """A run as its checkpoints tell it. `keys`: leg → the keys that it was written under."""

    row: Any
    run: Run
    steps: tuple[Any, ...]
    keys: Mapping[str, set[str]]

    @property
    def name(self) -> str:
        return f"run {self.row.id[-6:]} (deal {self.row.key}, {self.row.status})"


async def assert_as_told(journal: Journal, simulators: Mapping[str, Simulator], firm: Firm) -> None:
    """Raises `AssertionError` with everything that is wrong; `firm` tells what was won, promised and said."""
    runs = []
    for (run_id,) in firm.select("SELECT id FROM runs ORDER BY no"):
        row, steps = await journal.run(run_id), await journal.steps(run_id)
        assert row is not None
        keys: dict[str, set[str]] = defaultdict(set)
        for step in steps:
            if step.kind == "apply" and step.phase == "intent":
                keys[str(step.leg)].add(step.data["key"])
        runs.append(Told(row, fold(Run(id=run_id, root=row.root, replay_of=row.replay_of), steps), tuple(steps), keys))
    things = list(standing(simulators))
    checks = (
        _accepted_are_there(firm, runs),
        _at_rest(firm, runs),
        _once(things, runs),
        _named(things, runs),
        _succeeded(firm, things, runs),
        _rolled_back(firm, things, runs),
        _within_policy(firm, runs),
        _alerts(firm, runs),
        _no_defects(firm),
    )
    wrong = [said for check in checks for said in check]
    assert not wrong, "\n  ".join(["not so at rest:", *wrong])


def standing(simulators: Mapping[str, Simulator]) -> Iterator[Thing]:
    """What stands at the vendors and was not there before."""
    books, board = simulators["books"].state(), simulators["board"].state()
    for row in books["customers"]:
        if row["Active"] and row["Id"] != _SEEDED_CUSTOMER:
            yield Thing("books", "customer", row["Id"], str(row), row)
    for row in books["invoices"]:
        yield Thing("books", "invoice", row["Id"], str(row), row)
    for row in board["tasks"]:
        yield Thing("board", "task", row["gid"], str(row), row)


def _accepted_are_there(firm: Firm, runs: list[Told]) -> Iterator[str]:
    known = {told.row.id for told in runs}
    yield from (f"run {run} was promised to the CRM and is gone" for run in firm.taken - known)
    counted = Counter(told.row.event_seq for told in runs if told.row.replay_of is None)
    yield from (f"event {seq} has {count} runs" for seq, count in counted.items() if count != 1)
    for (events,) in firm.select("SELECT COUNT(*) FROM events"):
        if events != len(counted):
            yield f"{events} events are stored and {len(counted)} have a run"
    unheard = firm.deals.keys() - {told.row.key for told in runs}
    yield from (f"deal {deal} was won and has no run" for deal in unheard)


def _at_rest(firm: Firm, runs: list[Told]) -> Iterator[str]:
    for told in runs:
        row = told.row
        behind = _behind(told, runs)
        if row.status not in RESTING and not behind:
            yield f"{told.name} is not at rest: {row.error}"
        if row.owner is not None:
            yield f"{told.name} is in somebody's hands"
        if row.status in {str(status) for status in FINAL} and row.waits_for:
            yield f"{told.name} has ended and waits for {row.waits_for}"
    for (lock,) in firm.select("SELECT name FROM locks JOIN runs ON runs.no = run_no WHERE ended_at IS NOT NULL"):
        yield f"an ended run keeps {lock}"


def _behind(told: Told, runs: list[Told]) -> bool:
    """Whether an earlier run of the same deal waits for a person."""
    return any(other.row.key == told.row.key and other.row.status in {"held", "in_doubt"} for other in runs)


def _once(things: list[Thing], runs: list[Told]) -> Iterator[str]:
    for told in runs:
        for leg, keys in told.keys.items():
            for key in keys:
                made = [thing for thing in things if key in thing.text]
                if len(made) > 1:
                    yield f"{told.name} made {leg} {len(made)} times: {[thing.id for thing in made]}"
            made = [thing for thing in things if any(key in thing.text for key in keys)]
            if len(made) > 1:
                yield f"{told.name} has {len(made)} of {leg} under {len(keys)} keys: {[thing.id for thing in made]}"


def _receipts(runs: list[Told]) -> Iterator[tuple[Told, str, Any]]:
    for told in runs:
        for name, leg in told.run.legs.items():
            if leg.receipt is not None and leg.phase in STANDING:
                yield told, name, leg


def _named(things: list[Thing], runs: list[Told]) -> Iterator[str]:
    named = {(name, leg.receipt["id"]) for _, name, leg in _receipts(runs)}
    for thing in things:
        if (thing.kind, thing.id) not in named:
            yield f"{thing.kind} {thing.id} stands and no receipt names it: {thing.text}"


def _succeeded(firm: Firm, things: list[Thing], runs: list[Told]) -> Iterator[str]:
    there = {(thing.kind, thing.id): thing.row for thing in things}
    for told in (one for one in runs if one.row.status == "succeeded"):
        legs = told.run.legs
        skipped = {
            name for name in ("customer", "invoice", "writeback", "task") if told.run.leg(name).phase != "applied"
        }
        if skipped - {"task"}:
            yield f"{told.name} left out {skipped}"
            continue
        for name in ("customer", "invoice", *({"task"} - skipped)):
            if (name, legs[name].receipt["id"]) not in there:
                yield f"{told.name} says {name} {legs[name].receipt['id']} and it is not there"
        invoice = there.get(("invoice", legs["invoice"].receipt["id"]))
        if invoice is None:
            continue
        if invoice["TotalAmt"] != firm.deals[told.row.key].worth:
            yield f"{told.name}: invoice over {invoice['TotalAmt']}, deal worth {firm.deals[told.row.key].worth}"
        if invoice["CustomerRef"]["value"] != legs["customer"].receipt["id"]:
            yield f"{told.name}: the invoice is another customer's"
        if not firm.deals[told.row.key].sound:
            yield f"{told.name}: that deal could not be invoiced"


def _rolled_back(firm: Firm, things: list[Thing], runs: list[Told]) -> Iterator[str]:
    for told in (one for one in runs if one.row.status in {"rolled_back", "ignored", "cancelled"}):
        for leg, keys in told.keys.items():
            for thing in things:
                if any(key in thing.text for key in keys) and not _kept_for_another(told, leg, thing, runs):
                    yield f"{told.name}: {leg} {thing.id} stands, and no other run has used it"
    numbers = {d["id"]: d["custom"].get("invoice_number") for d in firm.simulators["crm"].state()["deals"]}
    for deal_id, number in numbers.items():
        of_deal = [told for told in runs if told.row.key == str(deal_id)]
        written = {
            told.run.leg("invoice").receipt["number"]
            for told in of_deal
            if told.run.leg("writeback").phase in STANDING and told.run.leg("invoice").receipt
        }
        if (number is not None or written) and number not in written:
            yield f"deal {deal_id} has invoice number {number}, runs wrote {written or 'none that stands'}"


def _kept_for_another(told: Told, leg: str, thing: Thing, runs: list[Told]) -> bool:
    """Whether undo left it because another run had used it by then, be it one that was rolled back later."""
    others = (other.run.leg(leg).receipt for other in runs if other.row.id != told.row.id)
    shared = any(receipt is not None and receipt["id"] == thing.id for receipt in others)
    return shared and told.run.leg(leg).phase is Phase.KEPT


def _within_policy(firm: Firm, runs: list[Told]) -> Iterator[str]:
    attempts = firm.app.loaded.flows["deal-to-invoice"].flow.retry.attempts
    for told in runs:
        failures: Counter[tuple[str, str]] = Counter()
        for step in told.steps:
            if step.kind == "resume":
                failures.clear()
            if step.phase == "done":
                failures[step.kind, str(step.leg)] = 0
            error = step.data.get("error") if step.phase == "failed" else None
            if error is None or error.get("outage") or error["kind"] in {"auth", "throttled"}:
                continue
            failures[step.kind, str(step.leg)] += 1
            doubtful = step.kind == "recover" or _in_doubt_once(told, step.leg)
            if failures[step.kind, str(step.leg)] > attempts + 1 and not doubtful:
                yield f"{told.name}: {step.kind} {step.leg} failed {failures[step.kind, str(step.leg)]} times"


def _in_doubt_once(told: Told, leg: str | None) -> bool:
    """Whether a write of this leg may have taken effect unseen; a doubt is asked about for as long as it takes."""
    cut_off = any(leg in step.data["cut_off"] for step in told.steps if step.kind == "takeover")
    errors = (s.data["error"] for s in told.steps if s.leg == leg and s.phase == "failed" and "error" in s.data)
    return cut_off or any(error["kind"] in {"ambiguous", "unavailable"} for error in errors)


def _alerts(firm: Firm, runs: list[Told]) -> Iterator[str]:
    alerts = [json.loads(row["data"])["alert"] for row in firm.select("SELECT data FROM alerts ORDER BY no")]
    for told in runs:
        notes = ("connection:", f"{told.row.id}:recovered:")
        mine = [a for a in alerts if a["run"] == told.row.id and not a["id"].startswith(notes)]
        ending = [a for a in mine if a["status"] == told.row.status]
        skipped = told.row.status == "succeeded" and told.run.leg("task").phase != "applied"
        wanted = 1 if told.row.status in FAILED or skipped else 0
        if told.row.status in RESTING and len(ending) != wanted:
            yield f"{told.name} has {len(ending)} alerts of that: {[a['title'] for a in mine]}"
        stops = sum(step.data.get("alert") is True for step in told.steps if step.kind in {"stop", "end"})
        if len([a for a in mine if ":behind:" not in a["id"]]) != stops:
            yield f"{told.name} stopped {stops} times for a person: {[a['title'] for a in mine]}"
        yield from (
            f"{told.name}: {a['title']}: {a['error']}" for a in mine if ":defect:" in a["id"] or ":stuck:" in a["id"]
        )
    for (alert,) in firm.select("SELECT id FROM alerts WHERE due_at IS NOT NULL"):
        yield f"alert {alert} has not arrived"
    messages = json.dumps(firm.simulators["alerts"].state()["messages"], default=str)
    counted = {row["alert"] for row in firm.select("SELECT alert FROM talk_alerts")}
    untold = [a for a in alerts if a["title"] not in messages]
    yield from (f"nobody was told: {a['title']}" for a in untold if f"{a['id']}@alerts" not in counted)
    for row in firm.select("SELECT threads FROM talks WHERE joined > 0"):
        if f"{row['threads']} runs of " not in messages:
            yield f"no message counts the {row['threads']} runs that failed alike"
    for (name,) in firm.select("SELECT DISTINCT waits_for FROM runs WHERE waits_for LIKE 'connection:%'"):
        yield f"runs still wait for {name}"


def _no_defects(firm: Firm) -> Iterator[str]:
    for name, chaos in firm.faults.items():
        yield from (f"the simulator of {name} failed: {defect!r}" for defect in chaos.defects)
