"""Perform an action as the runtime does, without the runtime."""

from __future__ import annotations

from typing import Any

from crossdock_sdk import jsonio
from crossdock_sdk.contracts.sink import Action, Receipt, Redo
from crossdock_sdk.errors import AmbiguousError, DiscrepancyError, RejectedError
from crossdock_sdk.models import Record


async def perform(action: Action[Any], data: Record, key: str, *, tries: int = 1) -> Receipt:
    """`before` once, then `apply`; the receipt as the journal gives it back, with `undo["before"]`.

    After an `AmbiguousError` it is asked again the way `action.redo` says, until `tries` are used up. Every
    error of the action is raised as it is; a `DiscrepancyError` has its receipt completed.
    """
    before = await action.before(data)
    try:
        return _journaled(action, await _settled(action, data, key, tries), before)
    except DiscrepancyError as error:
        error.receipt = _journaled(action, error.receipt, before)
        raise


async def _settled(action: Action[Any], data: Record, key: str, tries: int) -> Receipt:
    """The receipt of the first try whose fate is known."""
    try:
        return await action.apply(data, key)
    except AmbiguousError:
        if tries <= 1 or action.redo is Redo.UNSAFE:
            raise
    native = action.redo is Redo.NATIVE_KEY
    if action.redo is Redo.LOOKUP or (native and action.recovers()):
        found = await action.recover(data, key)
        if found is not None:
            return found
    try:
        receipt = await _settled(action, data, key, tries - 1)
    except DiscrepancyError:
        raise
    except RejectedError:
        found = await action.recover(data, key) if action.redo is Redo.UPSERT and action.recovers() else None
        if found is None:
            raise
        return found
    if native and not await action.exists(receipt):
        raise RejectedError(f"the vendor repeats an old reply, but {receipt.id} does not exist any more")
    return receipt


def _journaled(action: Action[Any], receipt: Receipt, before: dict[str, Any] | None) -> Receipt:
    if before is not None:
        receipt = receipt.model_copy(update={"undo": {**receipt.undo, "before": before}})
    return action.receipt.model_validate(jsonio.plain(receipt))
