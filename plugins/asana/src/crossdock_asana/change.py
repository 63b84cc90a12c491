"""Changing a task so that it can be changed back: what `task.update` and `task.complete` share."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final, TypeVar

from crossdock_sdk import Action, NotFoundError, ObjectRef, Receipt, Redo, RejectedError

from crossdock_asana.connection import AsanaConnection, segment
from crossdock_asana.fields import CustomFields, held, opt_fields

Json = dict[str, Any]
Change = TypeVar("Change", bound=ObjectRef)

_CUSTOM = "custom_fields."
_REMEMBERED = 1000
_LOST: Final = object()


class TaskChange(Action[Change]):
    """A partial PUT of one task.

    `receipt.undo` has `before` and `written`, each {property: value} (`custom_fields.<gid>` for those),
    and `lost`: properties whose earlier value went with a crashed process, for they already held ours when we
    looked again. That is why a write that would bear repeating is declared a look-up: only `recover` can tell
    such a property from one that the write never changed.
    """

    redo = Redo.LOOKUP
    connection: AsanaConnection

    def __init__(self, connection: AsanaConnection) -> None:
        super().__init__(connection)
        self._earlier: OrderedDict[str, Json] = OrderedDict()

    @abstractmethod
    def plain(self, data: Change) -> Json:
        """The PUT's properties, but for custom fields by readable name."""

    def serialize_by(self, data: Change) -> str | None:
        return f"task:{data.id}"

    async def apply(self, data: Change, key: str) -> Receipt:
        """Only what is named is written. Raises `RejectedError` if nothing is."""
        if key not in self._earlier:
            self._remember(key, {})
        task, wanted = await self._compare(data)
        before, lost = self._before(key, task, wanted)
        self._remember(key, before | dict.fromkeys(lost, _LOST))
        written = await self._put(data.id, wanted)
        return _receipt(data.id, written, wanted, before, lost)

    async def recover(self, data: Change, key: str) -> Receipt | None:
        """The write took effect if the task holds all that it wrote."""
        task, wanted = await self._compare(data)
        matching = [name for name, value in wanted.items() if _value(task, name) == value]
        if key not in self._earlier:
            self._remember(key, dict.fromkeys(matching, _LOST))
        if len(matching) < len(wanted):
            return None
        before, lost = self._before(key, task, wanted)
        return _receipt(data.id, task, wanted, before, lost)

    async def undo(self, receipt: Receipt) -> None:
        """Restore what still holds our value; `RejectedError` names what a person must see to."""
        before, written = receipt.undo.get("before", {}), receipt.undo.get("written", {})
        try:
            task = await self._read(receipt.id, before)
        except NotFoundError:
            return
        stale = {name: value for name, value in before.items() if _value(task, name) != value}
        ours = {name: value for name, value in stale.items() if _value(task, name) == written.get(name)}
        if ours:
            await self._put(receipt.id, _without_clash(ours))
        problems = [
            f"{_label(task, name)} was {value!r}, then ours {written.get(name)!r}, now {_value(task, name)!r}"
            for name, value in stale.items()
            if name not in ours
        ]
        problems += [f"the earlier value of {name} was lost in a crash" for name in receipt.undo.get("lost", ())]
        if problems:
            raise RejectedError(f"task {receipt.id} is left to a person: {'; '.join(problems)}")

    async def _compare(self, data: Change) -> tuple[Json, Json]:
        """The task as it stands, and the properties that it should have."""
        plain = dict(self.plain(data))
        if "external" in plain:
            raise RejectedError(
                "`external` carries Crossdock's own key: leave it out of native", field="native.external"
            )
        native_custom = dict(plain.pop("custom_fields", {}))
        if not plain and not native_custom and not data.custom:
            raise RejectedError("nothing to change: name at least one field", field="data")
        task = await self._read(data.id, [*plain, *([_CUSTOM] if native_custom or data.custom else [])])
        fields = CustomFields(task.get("custom_fields") or (), f"Asana task {data.id}")
        custom = fields.to_asana(data.custom) | native_custom
        if isinstance(plain.get("assignee"), str):
            plain["assignee"] = await self._user(plain["assignee"])
        return task, plain | {f"{_CUSTOM}{gid}": value for gid, value in custom.items()}

    async def _user(self, ref: str) -> str:
        if ref.isascii() and ref.isdigit():
            return ref
        try:
            reply = await self.connection.api.get(f"/users/{segment(ref)}", params={"opt_fields": "gid"})
        except RejectedError as error:
            raise RejectedError(f"assignee {ref}: {error.message}", field="assignee", status=error.status) from None
        return str(reply.require("data", "gid"))

    async def _read(self, task: str, names: Iterable[str]) -> Json:
        reply = await self.connection.api.get(f"/tasks/{segment(task)}", params={"opt_fields": _shown(names)})
        if not isinstance(reply.require("data"), dict):
            raise reply.unusable("`data` is not a task")
        found: Json = reply.require("data")
        return found

    async def _put(self, task: str, properties: Json) -> Json:
        body = {name: value for name, value in properties.items() if not name.startswith(_CUSTOM)}
        custom = {name.removeprefix(_CUSTOM): value for name, value in properties.items() if name not in body}
        payload = {"data": body | ({"custom_fields": custom} if custom else {})}
        shown = {"opt_fields": _shown(properties)}
        reply = await self.connection.api.put(f"/tasks/{segment(task)}", json=payload, params=shown)
        if not isinstance(reply.require("data"), dict):
            raise reply.unusable("`data` is not a task")
        written: Json = reply.require("data")
        return written

    def _before(self, key: str, task: Json, wanted: Json) -> tuple[Json, list[str]]:
        """What to restore: {property: value before us}, and the properties whose value before us is lost."""
        earlier = self._earlier.get(key, {})
        before = {name: _value(task, name) for name, value in wanted.items() if _value(task, name) != value}
        same = [name for name in earlier if name not in before]
        lost = [name for name in same if earlier[name] is _LOST]
        before |= {name: earlier[name] for name in same if earlier[name] is not _LOST}
        if "due_on" in before and task.get("due_at"):
            before["due_at"] = task["due_at"]
        return before, lost

    def _remember(self, key: str, values: Json) -> None:
        self._earlier[key] = values
        while len(self._earlier) > _REMEMBERED:
            self._earlier.popitem(last=False)


def _receipt(task_id: str, task: Json, wanted: Json, before: Json, lost: list[str]) -> Receipt:
    written = {name: _value(task, name, wanted.get(name)) for name in before}
    undo = {"before": before, "written": written, "lost": lost}
    return Receipt(id=task_id, url=task.get("permalink_url"), undo=undo)


def _shown(names: Iterable[str]) -> str:
    """`opt_fields` that bring these properties, the link, and what setting them sets beside."""
    asked = ["permalink_url"]
    for name in names:
        if name.startswith(_CUSTOM):
            asked.append(opt_fields("custom_fields", values=True))
        elif name == "due_on":
            asked += ["due_on", "due_at"]
        else:
            asked.append(f"{name}.gid" if name in {"assignee", "assignee_section"} else name)
    return ",".join(dict.fromkeys(asked))


def _value(task: Json, name: str, missing: Any = None) -> Any:
    """A property of a task in the form that Asana takes back; `missing` if the record does not show it."""
    if name.startswith(_CUSTOM):
        field = _custom_field(task, name)
        return missing if field is None else held(field)
    value = task.get(name, missing)
    return value.get("gid") if isinstance(value, dict) else value


def _custom_field(task: Json, name: str) -> Json | None:
    gid = name.removeprefix(_CUSTOM)
    return next((field for field in task.get("custom_fields") or () if field.get("gid") == gid), None)


def _label(task: Json, name: str) -> str:
    field = _custom_field(task, name) if name.startswith(_CUSTOM) else None
    return str(field.get("name", name)) if field else name


def _without_clash(properties: Json) -> Json:
    """Asana takes `due_on` or `due_at`, not both; the instant says more than its day."""
    if properties.get("due_at"):
        return {name: value for name, value in properties.items() if name != "due_on"}
    return properties
