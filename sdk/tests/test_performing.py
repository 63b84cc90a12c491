"""Actions performed without the runtime, in its order."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from crossdock_sdk import (
    Action,
    AmbiguousError,
    DiscrepancyError,
    NotFoundError,
    ObjectRef,
    Receipt,
    Redo,
    RejectedError,
)
from crossdock_sdk.testing import perform

DATA = ObjectRef(id="7")


class Numbered(Receipt):
    number: str


class Rename(Action[ObjectRef]):
    """Overwrites one name; the first replies are `lost`, before or after the write."""

    name = "rename"
    redo = Redo.UPSERT
    receipt = Numbered

    def __init__(self, *lost: str) -> None:
        super().__init__(None)
        self.lost = list(lost)
        self.value = "old"
        self.calls: list[str] = []

    async def before(self, data: ObjectRef) -> dict[str, Any]:
        self.calls.append("before")
        return {"name": self.value}

    async def apply(self, data: ObjectRef, key: str) -> Numbered:
        self.calls.append("apply")
        when = self.lost.pop(0) if self.lost else None
        if when != "before":
            self.value = key
        if when:
            raise AmbiguousError("the reply was lost")
        return Numbered(id=data.id, number="1", undo={"written": {"name": key}, "on": date(2026, 12, 1)})

    async def recover(self, data: ObjectRef, key: str) -> Numbered | None:
        self.calls.append("recover")
        return Numbered(id=data.id, number="1") if self.value == key else None

    async def exists(self, receipt: Receipt) -> bool:
        self.calls.append("exists")
        return receipt.id != "gone"

    async def undo(self, receipt: Receipt) -> None:
        self.value = receipt.undo["before"]["name"]


def asked_again_by(redo: Redo, *lost: str) -> Rename:
    action: Rename = type("Other", (Rename,), {"redo": redo})(*lost)
    return action


async def test_the_receipt_comes_back_as_from_storage_with_what_stood_before() -> None:
    action = Rename()
    receipt = await perform(action, DATA, "new")
    assert type(receipt) is Numbered
    assert receipt.undo == {"written": {"name": "new"}, "on": "2026-12-01", "before": {"name": "old"}}
    await action.undo(receipt)
    assert action.value == "old"


async def test_an_action_without_before_has_none_in_its_receipt() -> None:
    plain = type("Plain", (Rename,), {"before": Action.before})()
    assert "before" not in (await perform(plain, DATA, "new")).undo


async def test_a_lost_reply_is_raised_unless_there_are_more_tries() -> None:
    with pytest.raises(AmbiguousError):
        await perform(Rename("after"), DATA, "new")
    with pytest.raises(AmbiguousError):
        await perform(Rename("after", "after"), DATA, "new", tries=2)
    with pytest.raises(AmbiguousError):
        await perform(asked_again_by(Redo.UNSAFE, "after"), DATA, "new", tries=2)


@pytest.mark.parametrize(
    ("redo", "lost", "calls"),
    [
        (Redo.UPSERT, ["after"], ["before", "apply", "apply"]),
        (Redo.UPSERT, ["before", "after"], ["before", "apply", "apply", "apply"]),
        (Redo.LOOKUP, ["after"], ["before", "apply", "recover"]),
        (Redo.LOOKUP, ["before"], ["before", "apply", "recover", "apply"]),
        (Redo.NATIVE_KEY, ["after"], ["before", "apply", "recover"]),
        (Redo.NATIVE_KEY, ["before"], ["before", "apply", "recover", "apply", "exists"]),
    ],
)
async def test_what_stood_before_is_read_once_and_the_rest_asked_again_as_declared(
    redo: Redo, lost: list[str], calls: list[str]
) -> None:
    action = asked_again_by(redo, *lost)
    receipt = await perform(action, DATA, "new", tries=3)
    assert action.calls == calls
    assert receipt.undo["before"] == {"name": "old"}


async def test_a_native_key_needs_no_recover() -> None:
    action = type("Plain", (Rename,), {"redo": Redo.NATIVE_KEY, "recover": Action.recover})("after")
    await perform(action, DATA, "new", tries=2)
    assert action.calls == ["before", "apply", "apply", "exists"]


async def test_an_old_reply_that_names_nothing_is_refused() -> None:
    with pytest.raises(RejectedError, match="gone does not exist"):
        await perform(asked_again_by(Redo.NATIVE_KEY, "before"), ObjectRef(id="gone"), "new", tries=2)


async def test_a_discrepancy_can_be_undone_too() -> None:
    class Astray(Rename):
        async def apply(self, data: ObjectRef, key: str) -> Numbered:
            raise DiscrepancyError("stored another name", receipt=await super().apply(data, key))

    with pytest.raises(DiscrepancyError) as caught:
        await perform(Astray(), DATA, "new")
    assert caught.value.receipt.undo["before"] == {"name": "old"}


async def test_an_error_of_before_stops_before_the_write() -> None:
    class Gone(Rename):
        async def before(self, data: ObjectRef) -> dict[str, Any]:
            raise NotFoundError("7 does not exist")

    action = Gone()
    with pytest.raises(NotFoundError):
        await perform(action, DATA, "new")
    assert action.value == "old"


async def test_what_is_no_plain_json_is_refused() -> None:
    class Odd(Rename):
        async def before(self, data: ObjectRef) -> dict[str, Any]:
            return {"name": object()}

    with pytest.raises(TypeError, match="no JSON form"):
        await perform(Odd(), DATA, "new")
