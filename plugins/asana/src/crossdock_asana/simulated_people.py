"""What a person does in the simulated account's UI, as `trigger` tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crossdock_asana.fields import CustomFields
from crossdock_asana.simulated_account import Account, Json

_EDITABLE = ("name", "notes", "assignee", "due_on", "due_at")


class People:
    """`acts` by the event's name; each takes the body and returns what happened."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.acts: dict[str, Callable[[Json], Json]] = {
            "task.create": self._create,
            "task.complete": lambda body: self._change(body, {"completed": True}),
            "task.reopen": lambda body: self._change(body, {"completed": False}),
            "task.edit": self._edit,
            "task.delete": self._trash,
            "project.create": self._create_project,
            "custom_field.create": self._create_field,
        }

    def _create(self, body: Json) -> Json:
        data = {name: body[name] for name in _EDITABLE if name in body} | {"projects": [str(body["project"])]}
        task = self._account.create_task(data, None)
        return {"task": self._account.summary(task)}

    def _edit(self, body: Json) -> Json:
        stray = set(body) - {"id", "custom", *_EDITABLE}
        if stray:
            raise KeyError(f"a task has no {', '.join(sorted(stray))} to edit")
        data: dict[str, Any] = {name: body[name] for name in _EDITABLE if name in body}
        if body.get("custom"):
            task = self._account.find_task(str(body["id"]), None)
            attached = [gid for project, _ in task["places"] for gid in self._account.projects[project]["fields"]]
            fields = CustomFields((self._account.field_json(gid) for gid in attached), "the task")
            data["custom_fields"] = fields.to_asana(body["custom"])
        return self._change(body, data)

    def _change(self, body: Json, data: Json) -> Json:
        task = self._account.find_task(str(body["id"]), None)
        self._account.update_task(task, data, None)
        return {"task": self._account.summary(task)}

    def _trash(self, body: Json) -> Json:
        task = self._account.find_task(str(body["id"]), None)
        self._account.delete_task(task)
        return {"task": self._account.summary(task)}

    def _create_project(self, body: Json) -> Json:
        return {"project": self._account.add_project(body["name"], body.get("sections", ()), body.get("gid"))}

    def _create_field(self, body: Json) -> Json:
        options, precision = body.get("options", ()), body.get("precision", 2)
        field = self._account.add_field(body["name"], body["type"], options, precision)
        if body.get("project"):
            self._account.find_project(body["project"])["fields"].append(field["gid"])
        return {"custom_field": field}
