"""Looking for an earlier try's write before a vendor that keeps our key is sent it again."""

from __future__ import annotations

from typing import Any

import pytest
from crossdock.legs import made_already
from crossdock_sdk import (
    Action,
    AmbiguousError,
    AuthError,
    DiscrepancyError,
    NotFoundError,
    ObjectRef,
    Receipt,
    Redo,
    RejectedError,
    TransientError,
)

DATA = ObjectRef(id="7")


class Make(Action[ObjectRef]):
    """Its `recover` returns or raises `found`."""

    name = "make"
    redo = Redo.NATIVE_KEY

    def __init__(self, found: Any) -> None:
        super().__init__(None)
        self.found = found

    async def apply(self, data: ObjectRef, key: str) -> Receipt:
        return Receipt(id="new")

    async def recover(self, data: ObjectRef, key: str) -> Receipt | None:
        if isinstance(self.found, Exception):
            raise self.found
        found: Receipt | None = self.found
        return found

    async def exists(self, receipt: Receipt) -> bool:
        return True

    async def undo(self, receipt: Receipt) -> None:
        return None


@pytest.mark.parametrize("found", [Receipt(id="1"), None])
async def test_what_recover_finds_is_what_was_made(found: Receipt | None) -> None:
    assert await made_already(Make(found), DATA, "key") == found


@pytest.mark.parametrize("other", [{"recover": Action.recover}, {"redo": Redo.UPSERT}])
async def test_nothing_is_looked_for_where_sending_again_is_all_that_is_declared(other: dict[str, Any]) -> None:
    action = type("Other", (Make,), other)(AssertionError("asked"))
    assert await made_already(action, DATA, "key") is None


@pytest.mark.parametrize("kind", [RejectedError, NotFoundError])
async def test_a_refusal_to_look_is_no_refusal_of_the_write(kind: type[RejectedError]) -> None:
    with pytest.raises(TransientError, match="no such field") as told:
        await made_already(Make(kind("no such field", code="4001", status=400)), DATA, "key")
    assert (told.value.code, told.value.status) == ("4001", 400)


@pytest.mark.parametrize(
    "error",
    [DiscrepancyError("another total", receipt=Receipt(id="1")), AuthError("revoked"), AmbiguousError("lost")],
)
async def test_every_other_error_is_left_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as told:
        await made_already(Make(error), DATA, "key")
    assert told.value is error


async def test_what_is_no_receipt_is_a_bug_of_the_connector() -> None:
    with pytest.raises(TypeError, match="recover returned a dict"):
        await made_already(Make({"id": "1"}), DATA, "key")
