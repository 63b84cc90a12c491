"""Changing a task so that it can be changed back: what `task.update` and `task.complete` share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from crossdock_sdk import (
    Action,
    NotFoundError,
    ObjectRef,
    Receipt,
    Redo,
    RejectedError,
    Reply,
    TransientError,
    looking,
)

from crossdock_asana.connection import AsanaConnection, segment
from crossdock_asana.fields import CustomFields, held, opt_fields

Json = dict[str, Any]
Change = TypeVar("Change", bound=ObjectRef)

_CUSTOM = "custom_fields."
_DUE = ("due_on", "due_at")
_COMPARABLE = frozenset({"name", "notes", "completed", "assignee", *_DUE})
"""Properties that Asana gives back as they were sent."""


class TaskChange(Action[Change]):
    """A partial PUT of one task.

    `before` and `undo["written"]` are {property: value}, with `custom_fields.<gid>` for those. A due date has
    two properties of which Asana takes one at a time; the value of either is here the instant or else the day.
    """

    redo = Redo.UPSERT
    connection: AsanaConnection

    @abstractmethod
    def plain(self, data: Change) -> Json:
        """The PUT's properties, but for custom fields by readable name."""

    def serialize_by(self, data: Change) -> str | None:
        return f"task:{data.id}"

    async def before(self, data: Change) -> Json:
        task, wanted = await self._beside(data)
        return {name: _value(task, name) for name in wanted}

    async def apply(self, data: Change, key: str) -> Receipt:
        """Only what is named is written. The task's custom fields are read where they go by name."""
        wanted = self._named(data)
        if data.custom:
            wanted = _custom(data, await self._read(data.id, [_CUSTOM])) | wanted
        return _receipt(data.id, await self._put(data.id, wanted), wanted)

    async def recover(self, data: Change, key: str) -> Receipt | None:
        """The receipt if the task holds all that `data` names.

        Raises `TransientError` where Asana may hold it in another form than it was sent in.
        """
        with looking(f"our values stand on task {data.id}"):
            try:
                task, wanted = await self._beside(data)
            except NotFoundError:
                return None
            astray = [name for name, sent in wanted.items() if not await self._holds(task, name, sent)]
        if any(name in _COMPARABLE or name.startswith(_CUSTOM) for name in astray):
            return None
        if astray:
            told = ", ".join(astray)
            raise TransientError(f"Asana task {data.id}: whether our {told} stands cannot be told; look at the task")
        return _receipt(data.id, task, wanted)

    async def _holds(self, task: Json, name: str, sent: Any) -> bool:
        if name == "assignee" and sent is not None:
            # By e-mail address or `me`; the task tells a gid.
            user = await self.connection.api.get(f"/users/{segment(str(sent))}", params={"opt_fields": "gid"})
            sent = user.require("data", "gid")
        now = _value(task, name)
        return bool(now.strip() == sent.strip() if isinstance(now, str) and isinstance(sent, str) else now == sent)

    async def named(self, object_id: str, data: Change, key: str) -> Receipt:
        return _receipt(data.id, *await self._beside(data))

    async def undo(self, receipt: Receipt) -> None:
        """Restore what still holds our value. Raises `RejectedError` for what a person changed since."""
        before, written = receipt.undo.get("before") or {}, receipt.undo["written"]
        try:
            task = await self._read(receipt.id, written)
            back, left = _reversal(written, before, task)
            if back:
                await self._put(receipt.id, back)
        except NotFoundError:
            return
        if left:
            reasons = "; ".join(left.values())
            raise RejectedError(f"task {receipt.id} is not all put back: {reasons}", field=", ".join(left))

    def _named(self, data: Change) -> Json:
        """The properties that can be told without reading. Raises `RejectedError` for what may not be written."""
        plain = dict(self.plain(data))
        if "external" in plain:
            raise RejectedError(
                "`external` carries Crossdock's own key: leave it out of native", field="native.external"
            )
        custom = plain.pop("custom_fields", {})
        if not isinstance(custom, dict):
            raise RejectedError("native.custom_fields needs {gid: value}", field="native.custom_fields")
        named = plain | {f"{_CUSTOM}{gid}": value for gid, value in custom.items()}
        if not named and not data.custom:
            raise RejectedError("nothing to change: name at least one field", field="data")
        return named

    async def _beside(self, data: Change) -> tuple[Json, Json]:
        """The task as it is, and the properties that `data` names as Asana takes them."""
        named = self._named(data)
        task = await self._read(data.id, [*named, *([_CUSTOM] if data.custom else [])])
        return task, _custom(data, task) | named

    async def _read(self, task: str, names: Iterable[str]) -> Json:
        shown = {"opt_fields": _shown(names)}
        return _task(await self.connection.api.get(f"/tasks/{segment(task)}", params=shown))

    async def _put(self, task: str, properties: Json) -> Json:
        body: Json = {}
        for name, value in properties.items():
            if name.startswith(_CUSTOM):
                body.setdefault("custom_fields", {})[name.removeprefix(_CUSTOM)] = value
            else:
                body[name] = value
        shown = {"opt_fields": _shown(properties)}
        return _task(await self.connection.api.put(f"/tasks/{segment(task)}", json={"data": body}, params=shown))


def _receipt(task_id: str, task: Json, wanted: Json) -> Receipt:
    written = {name: _value(task, name, sent) for name, sent in wanted.items()}
    return Receipt(id=task_id, url=task.get("permalink_url"), undo={"written": written})


def _custom(data: ObjectRef, task: Json) -> Json:
    """What `data` names of the task's custom fields, as Asana takes it. Raises `RejectedError`."""
    fields = CustomFields(task.get("custom_fields") or (), f"Asana task {data.id}")
    return {f"{_CUSTOM}{gid}": value for gid, value in fields.to_asana(data.custom).items()}


def _reversal(written: Json, before: Mapping[str, Any], task: Json) -> tuple[Json, dict[str, str]]:
    """What puts `before` back where our value stands, and for every other property why it must stay."""
    back: Json = {}
    left: dict[str, str] = {}
    for name, ours in written.items():
        now, label = _value(task, name), _label(task, name)
        if name not in before:
            left[label] = f"{label} is {now!r}, and what it was before our write is not known"
        elif before[name] in (now, ours):
            continue
        elif now == ours:
            back |= _restored(name, before[name])
        else:
            left[label] = f"{label} was {before[name]!r}, then ours {ours!r}, now {now!r}"
    return back, left


def _restored(name: str, value: Any) -> Json:
    if name in _DUE:
        name = "due_at" if "T" in (value or "") else "due_on"
    return {name: value}


def _shown(names: Iterable[str]) -> str:
    """`opt_fields` that bring these properties and the link."""
    asked = ["permalink_url"]
    for name in names:
        if name.startswith(_CUSTOM):
            asked.append(opt_fields("custom_fields", values=True))
        elif name in _DUE:
            asked += _DUE
        else:
            asked.append(f"{name}.gid" if name in {"assignee", "assignee_section"} else name)
    return ",".join(dict.fromkeys(asked))


def _task(reply: Reply) -> Json:
    task = reply.require("data")
    if not isinstance(task, dict) or not isinstance(task.get("gid"), str):
        raise reply.unusable("`data` is not a task")
    return task


def _value(task: Json, name: str, missing: Any = None) -> Any:
    """A property of a task in the form that Asana takes back; `missing` if the record does not show it."""
    if name.startswith(_CUSTOM):
        field = _custom_field(task, name)
        return missing if field is None else held(field)
    if name in _DUE:
        return task.get("due_at") or task.get("due_on", missing)
    value = task.get(name, missing)
    return value.get("gid") if isinstance(value, dict) else value


def _custom_field(task: Json, name: str) -> Json | None:
    gid = name.removeprefix(_CUSTOM)
    return next((field for field in task.get("custom_fields") or () if field.get("gid") == gid), None)


def _label(task: Json, name: str) -> str:
    field = _custom_field(task, name) if name.startswith(_CUSTOM) else None
    return str(field.get("name", name)) if field else name
