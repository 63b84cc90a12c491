"""The simulated Asana account: its records, and what Asana refuses to write into them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from crossdock_sdk.models import slug

from crossdock_asana.events import stamp
from crossdock_asana.simulated_values import check_custom_value, is_gid, shown_custom_value

Json = dict[str, Any]


class RefusedError(Exception):
    """What Asana answers instead of doing it: a status, the message of its one error, and what stands beside it."""

    def __init__(
        self,
        status: int,
        message: str,
        headers: Mapping[str, str] | None = None,
        beside: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
        self.beside = dict(beside or {})


_TEXTS = frozenset({"name", "notes", "html_notes", "resource_subtype", "approval_status", "assignee_status"})
_BOOLEANS = frozenset({"completed", "liked"})
_DAYS = frozenset({"due_on", "start_on"})
_INSTANTS = frozenset({"due_at", "start_at"})
_OTHERS = frozenset({"assignee", "custom_fields", "external", "assignee_section", "parent"})
_CREATE_ONLY = frozenset({"projects", "memberships", "tags", "followers", "workspace"})
_WRITABLE = _TEXTS | _BOOLEANS | _DAYS | _INSTANTS | _OTHERS
PLAIN = (
    "name",
    "notes",
    "resource_subtype",
    "completed",
    "liked",
    "due_on",
    "start_on",
    "due_at",
    "start_at",
)


class Account:
    """One workspace: users, projects, custom fields, tasks and trash. `app` is an OAuth client or None.

    `tell(action, before, after)` hears of each task that is `added`, `changed` or `deleted`, before and after it.
    """

    def __init__(self, clock: Callable[[], datetime], tell: Callable[[str, Json, Json], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._next_gid = 1_209_000_000_000_001
        self.workspace: Json = {"gid": "1200", "name": "Crossdock sandbox"}
        self.users: list[Json] = []
        self.projects: dict[str, Json] = {}
        self.fields: dict[str, Json] = {}
        self.tasks: dict[str, Json] = {}
        self.trash: list[Json] = []

    def new_gid(self) -> str:
        self._next_gid += 1
        return str(self._next_gid)

    def add_user(self, name: str, email: str) -> Json:
        self.users.append({"gid": self.new_gid(), "name": name, "email": email})
        return self.users[-1]

    def add_project(self, name: str, sections: Iterable[str] = (), gid: str | None = None) -> Json:
        named = list(sections) or ["Untitled section"]
        made = [{"gid": self.new_gid(), "name": section} for section in named]
        project: Json = {"gid": gid or self.new_gid(), "name": name, "sections": made, "fields": []}
        self.projects[project["gid"]] = project
        return project

    def add_field(self, name: str, kind: str, options: Iterable[str] = (), precision: int = 2) -> Json:
        field: Json = {"gid": self.new_gid(), "name": name, "type": kind, "precision": precision}
        field["options"] = [{"gid": self.new_gid(), "name": label, "enabled": True} for label in options]
        self.fields[field["gid"]] = field
        return field

    def find_task(self, ref: str, app: str | None) -> Json:
        """A task by gid or `external:…`, the latter only for the app that set it."""
        if ref.startswith("external:"):
            wanted = ref.removeprefix("external:")
            for task in self.tasks.values():
                if app in task["external"] and task["external"][app].get("gid") == wanted:
                    return task
        elif not is_gid(ref):
            raise RefusedError(400, f"task: Not a recognized ID: {ref}")
        elif ref in self.tasks:
            return self.tasks[ref]
        raise RefusedError(404, f"task: Unknown object: {ref}")

    def find_project(self, ref: str) -> Json:
        if not is_gid(ref):
            raise RefusedError(400, f"project: Not a recognized ID: {ref}")
        if ref not in self.projects:
            raise RefusedError(404, f"project: Unknown object: {ref}")
        return self.projects[ref]

    def find_user(self, ref: str) -> Json:
        """A user by gid, e-mail address, or `me` (the first one)."""
        for user in self.users:
            if ref in {user["gid"], user["email"]} or ref == "me":
                return user
        raise RefusedError(404, f"user: Unknown object: {ref}")

    def create_task(self, data: Json, app: str | None) -> Json:
        _check_shape(data, _WRITABLE | _CREATE_ONLY)
        if not data.get("name"):
            raise RefusedError(400, "name: Missing input")
        places = self._places(data)
        if data.get("parent"):
            # As public reports have it: the projects of a task made under a parent are dropped without a word.
            self.find_task(data["parent"], app)
            places = []
        if not places and not data.get("workspace") and not data.get("parent"):
            raise RefusedError(400, "You should specify one of workspace, parent, projects")
        if data.get("workspace") not in {None, self.workspace["gid"]}:
            raise RefusedError(400, f"workspace: Unknown object: {data['workspace']}")
        task: Json = dict.fromkeys(PLAIN)
        task |= {
            "gid": "",
            "notes": "",
            "completed": False,
            "liked": False,
            "resource_subtype": "default_task",
        }
        task |= {"assignee": None, "completed_at": None, "places": places, "values": {}, "external": {}}
        task |= {"parent": data.get("parent"), "created_at": stamp(self._clock())}
        self._write(task, data, app)
        task["gid"] = self.new_gid()
        self.tasks[task["gid"]] = task
        self._tell("added", task, task)
        return task

    def update_task(self, task: Json, data: Json, app: str | None) -> None:
        for name in sorted(_CREATE_ONLY & set(data)):
            raise RefusedError(400, f"{name}: Cannot write this property")
        _check_shape(data, _WRITABLE)
        changed = {**task, "values": dict(task["values"]), "external": dict(task["external"])}
        self._write(changed, data, app)
        before = dict(task)
        task.update(changed)
        self._tell("changed", before, task)

    def delete_task(self, task: Json) -> None:
        self.trash.append(self.tasks.pop(task["gid"]))
        self._tell("deleted", task, task)

    def _places(self, data: Json) -> list[tuple[str, str]]:
        """(project gid, section gid) pairs that `projects` and `memberships` ask for."""
        asked: list[tuple[str, str | None]] = []
        for index, gid in enumerate(data.get("projects", ())):
            asked.append((self._named(gid, f"projects: [{index}]"), None))
        for index, place in enumerate(data.get("memberships", ())):
            if not isinstance(place, dict) or "project" not in place:
                raise RefusedError(400, f"memberships: [{index}]: project: Missing required field")
            asked.append((self._named(place["project"], f"memberships: [{index}]: project"), place.get("section")))
        found: dict[str, str] = {}
        for project, section in asked:
            known = [s["gid"] for s in self.projects[project]["sections"]]
            if section is not None and section not in known:
                raise RefusedError(400, f"memberships: [0]: section: Unknown object: {section}")
            found[project] = section or found.get(project) or known[0]
        return list(found.items())

    def _named(self, gid: Any, where: str) -> str:
        if not isinstance(gid, str):
            raise RefusedError(400, f"{where}: Not a valid GID type: {type(gid).__name__}")
        if not is_gid(gid):
            raise RefusedError(400, f"{where}: Not a recognized ID: {gid}")
        if gid not in self.projects:
            raise RefusedError(400, f"{where}: Unknown object: {gid}")
        return gid

    def _write(self, task: Json, data: Json, app: str | None) -> None:
        if data.get("due_on") and data.get("due_at"):
            raise RefusedError(400, "You may only provide one of due_on or due_at!")
        if "completed" in data and data["completed"] != task["completed"]:
            task["completed_at"] = stamp(self._clock()) if data["completed"] else None
        for name in PLAIN:
            if name in data:
                task[name] = data[name]
        if "html_notes" in data:
            task["notes"] = html.unescape(re.sub(r"<[^>]*>", "", data["html_notes"]))
        if "due_on" in data:
            task["due_at"] = None
        if data.get("due_at"):
            task["due_on"] = data["due_at"][:10]
        if "assignee" in data:
            task["assignee"] = self._assignee(data["assignee"])
        if "external" in data:
            self._write_external(task, data["external"], app)
        self._write_custom(task, data.get("custom_fields", {}))
        task["modified_at"] = stamp(self._clock())

    def _assignee(self, ref: str | None) -> str | None:
        if ref is None:
            return None
        try:
            return str(self.find_user(ref)["gid"])
        except RefusedError:
            raise RefusedError(400, f"assignee: Not a user in Organization: {ref}") from None

    def _write_external(self, task: Json, external: Any, app: str | None) -> None:
        if app is None:
            raise RefusedError(403, "external: Custom external data is only available to OAuth applications.")
        if not isinstance(external, dict) or set(external) - {"gid", "data"}:
            raise RefusedError(400, "external: Value is not an object with gid and data")
        if len(external.get("gid", "")) > 1024 or len(external.get("data", "")) > 32_768:
            raise RefusedError(400, "external: Value is too long")
        task["external"][app] = task["external"].get(app, {}) | external

    def _write_custom(self, task: Json, values: Any) -> None:
        if not isinstance(values, dict):
            raise RefusedError(400, f"custom_fields: Value is not a JSON object: {values}")
        attached = {gid for project, _ in task["places"] for gid in self.projects[project]["fields"]}
        for gid, value in values.items():
            if gid not in attached:
                raise RefusedError(400, f"Custom field with ID {gid} is not on given object")
            try:
                task["values"][gid] = check_custom_value(self.fields[gid], value, {u["gid"] for u in self.users})
            except ValueError as error:
                raise RefusedError(400, f"custom_fields: {gid}: {error}") from None

    def task_json(self, task: Json, app: str | None) -> Json:
        """The full record, opt-in fields included; what of it is shown is for the request to say."""
        attached = {gid: None for project, _ in task["places"] for gid in self.projects[project]["fields"]}
        shown: Json = {"gid": task["gid"], "resource_type": "task"} | {name: task[name] for name in PLAIN}
        shown |= {name: task[name] for name in ("created_at", "modified_at", "completed_at")}
        shown["assignee"] = next((_user_json(u) for u in self.users if u["gid"] == task["assignee"]), None)
        shown["parent"] = {"gid": task["parent"], "resource_type": "task"} if task["parent"] else None
        shown["workspace"] = {**self.workspace, "resource_type": "workspace"}
        shown["projects"] = [self._project_json(project) for project, _ in task["places"]]
        shown["memberships"] = [self._membership_json(*place) for place in task["places"]]
        shown["custom_fields"] = [self.field_json(gid) | self._value_json(task, gid) for gid in attached]
        shown["permalink_url"] = f"https://app.asana.com/1/{self.workspace['gid']}/task/{task['gid']}"
        if app in task["external"]:
            shown["external"] = task["external"][app]
        return shown

    def _project_json(self, gid: str) -> Json:
        return {"gid": gid, "resource_type": "project", "name": self.projects[gid]["name"]}

    def _membership_json(self, project: str, section: str) -> Json:
        name = next(s["name"] for s in self.projects[project]["sections"] if s["gid"] == section)
        return {
            "project": self._project_json(project),
            "section": {"gid": section, "resource_type": "section", "name": name},
        }

    def field_json(self, gid: str) -> Json:
        """A custom field's definition."""
        field = self.fields[gid]
        shown = {"gid": gid, "resource_type": "custom_field", "name": field["name"]}
        shown |= {
            "type": field["type"],
            "resource_subtype": field["type"],
            "representation_type": field["type"],
        }
        if field["type"] in {"enum", "multi_enum"}:
            shown["enum_options"] = [{**o, "resource_type": "enum_option"} for o in field["options"]]
        if field["type"] == "number":
            shown |= {"precision": field["precision"], "format": "none"}
        return shown

    def _value_json(self, task: Json, gid: str) -> Json:
        return shown_custom_value(self.fields[gid], task["values"].get(gid))

    def summary(self, task: Json) -> Json:
        """A task for `state()`: custom fields by readable name, external data of every app."""
        shown = self.task_json(task, None)
        kept = ("gid", "name", "notes", "completed", "due_on", "permalink_url")
        summary = {name: shown[name] for name in kept}
        summary["assignee"] = (shown["assignee"] or {}).get("email")
        summary["projects"] = [p["gid"] for p in shown["projects"]]
        summary["sections"] = [m["section"]["name"] for m in shown["memberships"]]
        summary["custom"] = {slug(f["name"]): f["display_value"] for f in shown["custom_fields"]}
        summary["external"] = next(iter(task["external"].values()), None)
        return summary


def _user_json(user: Json) -> Json:
    return {"gid": user["gid"], "resource_type": "user", "name": user["name"], "email": user["email"]}


def _check_shape(data: Json, known: frozenset[str]) -> None:
    for name, value in data.items():
        if name not in known:
            raise RefusedError(400, f"{name}: Unrecognized field")
        if value is None and name not in {
            "name",
            "completed",
            "custom_fields",
            "external",
            "projects",
            "memberships",
        }:
            continue
        problem = _shape_problem(name, value)
        if problem:
            raise RefusedError(400, f"{name}: {problem}")


def _shape_problem(name: str, value: Any) -> str | None:
    if name in _TEXTS and not isinstance(value, str):
        return f"Not a string: {value}"
    if name in _BOOLEANS and not isinstance(value, bool):
        return f"Not a boolean: {value}"
    if name in _DAYS and not _parses(date.fromisoformat, value):
        return f"Date must be in ISO-8601 (yyyy-mm-dd) format, not: {value}"
    if name in _INSTANTS and not _parses(datetime.fromisoformat, value):
        return f"Not an ISO-8601 date-time: {value}"
    if name in {"projects", "memberships", "tags", "followers"} and not isinstance(value, list):
        return "Not an array"
    if name in {"assignee", "assignee_section", "parent", "workspace"} and not isinstance(value, str):
        return f"Not a valid GID type: {type(value).__name__}"
    return None


def _parses(parse: Callable[[str], object], value: Any) -> bool:
    try:
        parse(value)
    except (TypeError, ValueError):
        return False
    return True
