"""What people did is noted with what it did, page by page, and loses its payload with the run's."""

from __future__ import annotations

import pytest
from crossdock.actors import Actor, Role
from crossdock.journal.base import Act, InvalidCursor

ANN = Actor("ann", Role.OPERATOR, "page")


def act(world, subject, *, by=ANN, action="replay", kind="run", **more):
    return Act(world.clock(), by, action, kind, subject, **more)


async def test_an_act_is_stored_with_the_step_that_it_came_of(world):
    await world.accept(run="r1")
    noted = act(world, "r1", why="the SKU is mended", before={"status": "held"}, after={"leg": "invoice"})
    assert await world.journal.add_step("r1", world.step("resume", None), world.clock(), noted)
    [found] = (await world.journal.audit.page()).items
    assert (found.actor, found.via, found.action, found.kind, found.subject) == ("ann", "page", "replay", "run", "r1")
    assert (found.why, found.before, found.after) == ("the SKU is mended", {"status": "held"}, {"leg": "invoice"})
    assert found.at == world.clock()


async def test_what_did_not_happen_is_not_noted(world):
    assert not await world.journal.add_step("ghost", world.step("resume", None), world.clock(), act(world, "ghost"))
    assert (await world.journal.audit.page()).items == ()


async def test_pages_by_person_and_by_subject(world):
    bob = Actor("bob", Role.ADMIN, "api")
    for number in range(5):
        await world.journal.audit.note(act(world, f"r{number}", by=bob if number % 2 else ANN))
    await world.journal.audit.note(act(world, "deal-to-invoice", action="pause", kind="flow"))
    first = await world.journal.audit.page(limit=4)
    assert [item.subject for item in first.items] == ["deal-to-invoice", "r4", "r3", "r2"]
    rest = await world.journal.audit.page(limit=4, cursor=first.next_cursor)
    assert [item.subject for item in rest.items] == ["r1", "r0"]
    assert rest.next_cursor is None
    assert [item.subject for item in (await world.journal.audit.page(actor="bob")).items] == ["r3", "r1"]
    assert [item.action for item in (await world.journal.audit.page(kind="flow")).items] == ["pause"]
    assert [item.actor for item in (await world.journal.audit.page(kind="run", subject="r3")).items] == ["bob"]
    assert (await world.journal.audit.page(actor="bob", kind="flow")).items == ()
    with pytest.raises(InvalidCursor):
        await world.journal.audit.page(actor="ann", cursor=first.next_cursor)


async def test_what_was_changed_goes_with_the_payload(world):
    claimed = await world.begin()
    edited = act(world, "r1", why="Acme said so", before={"sku": "A"}, after={"sku": "B"})
    await world.journal.add_step("r1", world.step("resume", None), world.clock(), edited)
    await world.end(claimed)
    world.clock.advance(40 * 86400)
    assert await world.journal.empty(world.clock())
    [found] = (await world.journal.audit.page()).items
    assert (found.action, found.why, found.before, found.after) == ("replay", None, None, None)
