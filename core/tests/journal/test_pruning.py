"""The contract of a journal: what is taken out of it, and what is kept although it is old."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from crossdock.indexer import Indexer
from crossdock.journal.base import NewAlert, NewEvent, NewRun, ObjectUse, PayloadRemoved, RunFilter

SECRET = "Acme-Payload-7f3a"
CUSTOMER = ObjectUse("books", "customer", "58", "customer")


@pytest.fixture
def cutoff(clock: Any) -> Any:
    """Half a minute ago, whenever it is asked."""
    return lambda: clock() - timedelta(seconds=30)


async def ended(world: Any, key: str = "k", status: str = "succeeded", *steps: Any, **more: Any) -> Any:
    run = await world.begin(key)
    if steps:
        await world.write(run, "running", *steps)
    await world.end(run, status, **more)
    return run


def files_with(text: str, folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if text.encode() in file.read_bytes()]


async def test_old_runs_are_deleted_and_their_events_stay_known_without_data(world: Any, cutoff: Any) -> None:
    journal = world.journal
    old = await ended(world, "a")
    stays = await world.begin("b")
    world.clock.advance(60)
    recent = await ended(world, "c")
    assert await journal.prune(cutoff()) == 1
    assert await journal.run(old.row.id) is None
    assert await journal.steps(old.row.id) == []
    assert (await journal.event(old.row.event_seq)).data == {}
    assert {r.id for r in (await journal.runs()).items} == {stays.row.id, recent.row.id}
    assert await journal.counts() == {"f": {"queued": 1, "succeeded": 1}}
    assert await journal.prune(cutoff()) == 0
    again = await journal.accept("crm", [(NewEvent(old.event.id, "deal.won", "a", {}), [NewRun("x", "f", "a", "p")])])
    assert (again.runs, again.duplicates) == ((), 1)


async def test_an_event_is_forgotten_when_it_is_old_emptied_and_of_no_run(world: Any, cutoff: Any) -> None:
    journal = world.journal
    kept = await ended(world, "a", "dead", leaves=True)
    gone = await ended(world, "b")
    world.clock.advance(60)
    assert await journal.forget_events(cutoff()) == 0
    assert await journal.empty(cutoff()) == 2
    assert await journal.prune(cutoff()) == 1
    assert await journal.forget_events(cutoff() - timedelta(seconds=60)) == 0
    assert await journal.forget_events(cutoff()) == 1
    assert await journal.event(gone.row.event_seq) is None
    assert await journal.event(kept.row.event_seq) is not None


@pytest.mark.parametrize("how", ["empty", "prune"])
async def test_words_of_a_payload_go_with_it_and_those_of_receipts_with_the_run(
    world: Any, cutoff: Any, tmp_path: Path, how: str
) -> None:
    journal, word = world.journal, SECRET.casefold().encode()
    records = {"deal": {"title": f"Title {SECRET}", "organization": {"name": "acme-payload"}}}
    steps = [world.step("hydrate", None, records=records), world.step(receipt={"id": "4711", "number": "INV-99"})]
    for number in range(40):
        await ended(world, f"k{number}", "succeeded", *steps, error={"kind": "x", "message": f"said {SECRET}"})
    await Indexer(journal).catch_up()
    assert len((await journal.runs(RunFilter(text=SECRET))).items) == 40
    await journal.give_back(0)
    assert files_with(word.decode(), tmp_path) == ["crossdock.db"]
    world.clock.advance(60)
    assert await (journal.empty(cutoff()) if how == "empty" else journal.prune(cutoff())) == 40
    await journal.empty_events(cutoff())
    assert (await journal.runs(RunFilter(text=SECRET))).items == ()
    await Indexer(journal).catch_up()
    assert (await journal.runs(RunFilter(text=SECRET))).items == ()
    assert len((await journal.runs(RunFilter(text="INV-99"))).items) == (40 if how == "empty" else 0)
    await journal.give_back(0)
    for gone in (word.decode(), SECRET, *(["inv-99"] if how == "prune" else [])):
        assert files_with(gone, tmp_path) == []


async def test_an_event_that_started_nothing_loses_its_data_and_is_forgotten_later(world: Any, cutoff: Any) -> None:
    journal = world.journal
    await journal.accept("crm", [(NewEvent("idle", "deal.won", "1", {"name": SECRET}), [])])
    assert await journal.empty_events(cutoff()) == 0
    world.clock.advance(60)
    assert await journal.empty_events(cutoff()) == 1
    assert await journal.empty_events(cutoff()) == 0
    assert (await journal.event(1)).data == {}
    assert await journal.forget_events(cutoff()) == 1
    assert await journal.event(1) is None


async def test_the_data_of_an_event_stays_while_one_of_its_runs_has_its_payload(world: Any, cutoff: Any) -> None:
    journal = world.journal
    first = await ended(world, "k", "dead")
    await journal.add_run(NewRun("other", "g", "k", "p"), first.row.event_seq)
    world.clock.advance(60)
    assert await journal.empty(cutoff()) == 1
    assert await journal.empty_events(cutoff()) == 0
    assert (await world.only()).event.data == {"deal": {"id": "k"}}


async def test_a_payload_is_gone_from_the_rows_and_from_the_file(world: Any, cutoff: Any, tmp_path: Path) -> None:
    journal = world.journal
    event = NewEvent("e", "deal.won", "k", {"deal": {"name": SECRET}})
    await journal.accept("crm", [(event, [NewRun("r", "f", "k", "p")])])
    run = await world.only()
    error = {"kind": "rejected", "code": "6240", "message": f"the name {SECRET} exists"}
    steps = [
        world.step("hydrate", None, records={"deal": {"name": SECRET * 300}}),
        world.step("apply", "invoice", receipt={"id": "7", "number": "N-7", "undo": {"before": SECRET}}),
        world.step("apply", "task", error=error, surprise=SECRET),
    ]
    alert = NewAlert("r:dead:3@alerts", {"alert": {"payload": SECRET}}, world.clock())
    await world.write(run, "dead", *steps, error=error, ended=True, alerts=[alert])
    await journal.due_alerts(world.clock(), hold=timedelta(seconds=30))
    await journal.mark_alert(alert.id, retry_at=None)
    assert files_with(SECRET, tmp_path)
    world.clock.advance(60)
    assert await journal.empty(cutoff()) == 1
    assert await journal.empty(cutoff()) == 0
    row = await world.row("r")
    assert (row.status, row.emptied_at, row.error["code"]) == ("dead", world.clock(), "6240")
    hydrate, invoice, task = (step.data for step in await journal.steps("r"))
    assert hydrate == {"records": {"deal": {}}}
    assert invoice == {"receipt": {"id": "7", "number": "N-7", "undo": {}}}
    assert task == {"error": {"kind": "rejected", "code": "6240", "message": "removed by retention"}}
    await journal.give_back(0)
    assert files_with(SECRET, tmp_path) == []


async def test_a_run_without_its_payload_cannot_be_replayed(world: Any, cutoff: Any) -> None:
    first = await ended(world, "k", "dead", leaves=True)
    world.clock.advance(60)
    assert await world.journal.empty(cutoff()) == 1
    replay = NewRun("again", "f", "k", "p", replay_of=first.row.id)
    with pytest.raises(PayloadRemoved, match=r"removed by retention on 2026-03-01, so it cannot be replayed"):
        await world.journal.add_run(replay, first.row.event_seq)
    assert await world.journal.run("again") is None


async def test_a_run_that_has_not_ended_keeps_everything(world: Any, cutoff: Any) -> None:
    run = await world.begin()
    await world.write(run, "held", world.step("hydrate", None, records={"deal": {"name": SECRET}}), release=True)
    world.clock.advance(600)
    journal = world.journal
    assert [await take(cutoff()) for take in (journal.empty, journal.empty_events, journal.prune)] == [0, 0, 0]
    assert (await journal.steps(run.row.id))[0].data == {"records": {"deal": {"name": SECRET}}}


async def test_what_a_replay_that_goes_on_takes_over_is_kept_and_the_chain_goes_as_a_whole(
    world: Any, cutoff: Any
) -> None:
    journal = world.journal
    first = await ended(world, "k", "dead", leaves=True)
    world.clock.advance(60)
    assert await journal.prune(cutoff()) == 0
    await journal.add_run(NewRun("again", "f", "k", "p", replay_of=first.row.id), first.row.event_seq)
    world.clock.advance(60)
    assert [await journal.empty(cutoff()), await journal.prune(cutoff())] == [0, 0]
    await world.end(await world.only())
    assert [await journal.empty(cutoff()), await journal.prune(cutoff())] == [1, 0]
    world.clock.advance(60)
    assert [await journal.empty(cutoff()), await journal.prune(cutoff())] == [1, 2]


async def test_a_recent_replay_of_an_old_run_keeps_it(world: Any, cutoff: Any) -> None:
    journal = world.journal
    first = await ended(world, "k", "rolled_back")
    world.clock.advance(60)
    await journal.add_run(NewRun("again", "f", "k", "p", replay_of=first.row.id), first.row.event_seq)
    await world.end(await world.only())
    assert await journal.prune(cutoff()) == 0
    assert (await journal.replay_of(first.row.id)).id == "again"


async def test_a_run_of_a_key_that_is_at_work_is_kept(world: Any, cutoff: Any) -> None:
    journal = world.journal
    first = await ended(world)
    world.clock.advance(60)
    second = await world.begin()
    assert await journal.prune(cutoff()) == 0
    await world.end(second)
    assert await journal.prune(cutoff()) == 1
    assert await journal.run(first.row.id) is None


@pytest.mark.parametrize("ending", [{"status": "held", "release": True}, {"status": "dead", "ended": True}])
async def test_a_run_that_uses_what_another_may_yet_undo_is_kept(world: Any, cutoff: Any, ending: Any) -> None:
    journal = world.journal
    maker = await world.begin("maker")
    user = await ended(world, "user", objects_used=[CUSTOMER])
    leaving = {"leaves": True} if ending.get("ended") else {}
    await world.write(maker, objects_used=[CUSTOMER], **ending, **leaving)
    world.clock.advance(60)
    assert await journal.prune(cutoff()) == 0
    assert await journal.other_users("books", "customer", "58", maker.row.root) == [user.row.id]


async def test_a_run_that_uses_what_nobody_may_undo_any_more_is_deleted(world: Any, cutoff: Any) -> None:
    await ended(world, "maker", objects_used=[CUSTOMER])
    await ended(world, "user", objects_used=[CUSTOMER])
    world.clock.advance(60)
    assert await world.journal.prune(cutoff()) == 2


async def test_a_run_of_which_a_person_has_yet_to_be_told_is_kept(world: Any, cutoff: Any, clock: Any) -> None:
    journal = world.journal
    told = {name: NewAlert(f"{name}:dead:1@alerts", {"alert": {}}, clock()) for name in ("r1", "r2")}
    for key, name in (("a", "r1"), ("b", "r2")):
        await ended(world, key, "dead", alerts=[told[name]])
    await journal.mark_alert(told["r1"].id, retry_at=None)
    clock.advance(60)
    assert [await journal.empty(cutoff()), await journal.prune(cutoff())] == [2, 1]
    assert [alert.id for alert in await journal.due_alerts(clock(), hold=timedelta(0))] == [told["r2"].id]
    assert await journal.put_alert(told["r1"].id, {}, clock())


async def test_that_a_key_succeeded_is_remembered_for_good(world: Any, cutoff: Any) -> None:
    journal = world.journal
    runs = []
    for fingerprint in ("first", "second"):
        run = await world.begin()
        await world.end(run, fingerprint=fingerprint)
        runs.append(run.row)
    world.clock.advance(60)
    assert await journal.prune(cutoff()) == 2
    found = await journal.last_succeeded("f", "k", "new")
    assert (found.id, found.root, found.fingerprint) == (runs[1].id, runs[1].id, "second")
    assert await journal.last_succeeded("f", "k", runs[1].root) is None
    assert await journal.last_succeeded("f", "other", "new") is None
    third = await ended(world)
    assert (await journal.last_succeeded("f", "k", "new")).id == third.row.id


async def test_a_delivered_alert_of_a_connection_goes_when_it_is_old(world: Any, clock: Any) -> None:
    journal = world.journal
    for name, minute in (("old", 0), ("late", 2), ("waits", 0)):
        at = (clock() + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")
        await journal.put_alert(f"connection:books:{name}", {"alert": {"at": at}}, clock())
    for name in ("old", "late"):
        await journal.mark_alert(f"connection:books:{name}", retry_at=None)
    await journal.forget_alerts(clock() + timedelta(minutes=1))
    fresh = [await journal.put_alert(f"connection:books:{n}", {}, clock()) for n in ("old", "late", "waits")]
    assert fresh == [True, False, False]


async def test_batches_take_no_more_than_they_are_told_to(world: Any, cutoff: Any) -> None:
    journal = world.journal
    for number in range(5):
        await ended(world, f"k{number}")
    world.clock.advance(60)
    assert [await journal.empty(cutoff(), 2) for _ in range(4)] == [2, 2, 1, 0]
    assert [await journal.prune(cutoff(), 2) for _ in range(4)] == [2, 2, 1, 0]
    assert [await journal.forget_events(cutoff(), 3) for _ in range(3)] == [3, 2, 0]


async def test_what_there_is_to_take_is_counted_and_not_taken(world: Any, cutoff: Any) -> None:
    journal = world.journal
    await ended(world, "a")
    await ended(world, "b", "dead", leaves=True)
    await world.begin("c")
    world.clock.advance(60)
    for _ in range(2):
        found = await journal.expired(cutoff(), cutoff())
        assert (found.payloads, found.runs) == (2, 1)
    never: datetime = cutoff() - timedelta(days=1)
    assert (await journal.expired(never, never)).payloads == 0


async def test_a_run_whose_rows_cannot_be_read_is_emptied_too(world: Any, cutoff: Any) -> None:
    run = await ended(world, "k", "dead", world.step("plan"), error={"kind": "x", "message": SECRET})

    def spoil(db: Any) -> None:
        db.execute("UPDATE steps SET data = ?", (f'{{"records": {SECRET}',))

    await world.journal._writer.write(spoil)
    world.clock.advance(60)
    assert await world.journal.empty(cutoff()) == 1
    assert [step.data for step in await world.journal.steps(run.row.id)] == [{}]


async def test_an_alert_that_is_told_only_after_its_runs_payload_is_gone_goes_then(world: Any, cutoff: Any) -> None:
    journal = world.journal
    run = (await ended(world, "late")).row.id
    world.clock.advance(60)
    assert await journal.empty(cutoff()) == 1
    await journal.put_alert(f"{run}:dead:3@slack", {"alert": {}}, world.clock())
    await journal.forget_alerts(cutoff())
    assert [alert.id for alert in await journal.alerts_of(run)] == [f"{run}:dead:3@slack"]
    await journal.mark_alert(f"{run}:dead:3@slack", retry_at=None)
    await journal.forget_alerts(cutoff())
    assert await journal.alerts_of(run) == []
