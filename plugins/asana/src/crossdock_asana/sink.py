"""Writing to Asana: `task.create`, `task.update` and `task.complete`."""

from __future__ import annotations

from typing import Any

from crossdock_sdk import (
    Action,
    NotFoundError,
    ObjectRef,
    Receipt,
    Redo,
    RejectedError,
    Reply,
    Sink,
    Task,
    TaskUpdate,
    looking,
)
from pydantic import Field

from crossdock_asana.change import TaskChange
from crossdock_asana.connection import AsanaConnection, segment
from crossdock_asana.fields import CustomFields, opt_fields
from crossdock_asana.marker import Place, find_marked, marked

Json = dict[str, Any]

_RECEIPT_FIELDS = "name,permalink_url"


class TaskReceipt(Receipt):
    name: str | None = Field(default=None, description="as Asana shows it")


class TaskCreate(Action[Task]):
    """Make a task, found again by `external.gid` (OAuth) or by a last line in its notes (access token)."""

    name = "task.create"
    redo = Redo.LOOKUP
    receipt = TaskReceipt
    object = "task"
    summary = "make a task in a project"
    connection: AsanaConnection

    async def apply(self, data: Task, key: str) -> TaskReceipt:
        """Needs a project, or native `workspace` (with an access token: and an assignee)."""
        body = self._signed(await self._body(data), key)
        reply = await self.connection.api.post("/tasks", json={"data": body}, params={"opt_fields": _RECEIPT_FIELDS})
        return _receipt(reply, reply.require("data"))

    async def recover(self, data: Task, key: str) -> TaskReceipt | None:
        """A task that a person has deleted or moved out of its project counts as never made."""
        with looking(f"task {data.name!r} was made"):
            if not self.connection.sets_external:
                task = await find_marked(self.connection, Place.of(_placed(data)), key)
                return None if task is None else _task_receipt(task)
            try:
                reply = await self.connection.api.get(f"/tasks/external:{key}", params={"opt_fields": _RECEIPT_FIELDS})
            except NotFoundError:
                return None
            return _receipt(reply, reply.require("data"))

    async def named(self, object_id: str, data: Task, key: str) -> TaskReceipt:
        shown = {"opt_fields": _RECEIPT_FIELDS}
        reply = await self.connection.api.get(f"/tasks/{segment(object_id)}", params=shown)
        return _receipt(reply, reply.require("data"))

    async def undo(self, receipt: Receipt) -> None:
        """Move the task to the trash, where it stays for 30 days."""
        if not receipt.created:
            return
        try:
            await self.connection.api.delete(f"/tasks/{segment(receipt.id)}")
        except NotFoundError:
            return

    async def _body(self, data: Task) -> Json:
        body = _placed(data)
        custom = {name: value for name, value in data.custom.items() if value is not None}
        if custom:
            fields = await self._fields(body)
            body["custom_fields"] = fields.to_asana(custom) | body.get("custom_fields", {})
        return body

    async def _fields(self, body: Json) -> CustomFields:
        projects = _projects(body)
        if not projects:
            raise RejectedError("custom fields belong to a project: give `project`", field="project")
        definitions: list[Json] = []
        for project in projects:
            path = f"/projects/{segment(project)}/custom_field_settings"
            async for page in self.connection.pages(path, {"opt_fields": opt_fields("custom_field")}):
                definitions += [s["custom_field"] for s in page if isinstance(s.get("custom_field"), dict)]
        return CustomFields(definitions, f"Asana project {', '.join(projects)}")

    def _signed(self, body: Json, key: str) -> Json:
        if self.connection.sets_external:
            if "gid" in body.get("external", {}):
                raise RejectedError("native.external.gid carries Crossdock's own key: leave it out", field="native")
            return body | {"external": body.get("external", {}) | {"gid": key}}
        Place.of(body)
        return marked(body, key)


class TaskUpdateAction(TaskChange[TaskUpdate]):
    """Change what is named of one task; `native` can clear (`due_on: null`)."""

    name = "task.update"
    summary = "change fields of a task"

    def plain(self, data: TaskUpdate) -> Json:
        named = {
            "name": data.name,
            "notes": data.notes,
            "assignee": data.assignee,
            "completed": data.completed,
            "due_on": data.due_date.isoformat() if data.due_date else None,
        }
        return {name: value for name, value in named.items() if value is not None} | data.native


class TaskComplete(TaskChange[ObjectRef]):
    """Mark one task complete; undo sets it back to what it was."""

    name = "task.complete"
    summary = "mark a task complete"

    def plain(self, data: ObjectRef) -> Json:
        return {"completed": True} | data.native


class AsanaSink(Sink):
    connection_class = AsanaConnection
    actions = (TaskCreate, TaskUpdateAction, TaskComplete)


def _placed(data: Task) -> Json:
    """The body of POST /tasks but for custom fields by name and our own mark; `native` wins."""
    body: Json = {"name": data.name}
    if data.section is not None:
        if data.project is None:
            raise RejectedError("a section belongs to a project: give `project` too", field="project")
        body["memberships"] = [{"project": data.project, "section": data.section}]
    elif data.project is not None:
        body["projects"] = [data.project]
    if data.notes is not None:
        body["notes"] = data.notes
    if data.assignee is not None:
        body["assignee"] = data.assignee
    if data.due_date is not None:
        body["due_on"] = data.due_date.isoformat()
    if data.completed:
        body["completed"] = True
    return body | data.native


def _projects(body: Json) -> list[str]:
    named = list(body.get("projects") or ())
    named += [place["project"] for place in body.get("memberships") or () if place.get("project")]
    return list(dict.fromkeys(named))


def _receipt(reply: Reply, task: Any) -> TaskReceipt:
    if not isinstance(task, dict) or not isinstance(task.get("gid"), str):
        raise reply.unusable("the task has no gid")
    return _task_receipt(task)


def _task_receipt(task: Json) -> TaskReceipt:
    return TaskReceipt(id=task["gid"], url=task.get("permalink_url"), name=task.get("name"))
