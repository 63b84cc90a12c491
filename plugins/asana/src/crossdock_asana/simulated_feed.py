"""What happens to the simulated account's tasks, as Asana tells of it: the log behind webhooks and `/events`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from crossdock_asana.events import stamp
from crossdock_asana.simulated_account import PLAIN, Account, Json, RefusedError

_PAGE = 100
_TOKEN_LIVES = timedelta(hours=24)
_LAPSED = (
    "Sync token invalid or too old. If you are attempting to keep resources in sync, you must fetch the full dataset "
    "for this query now and use the new sync token for the next sync."
)


@dataclass(frozen=True, slots=True)
class Happening:
    """One event in full, with names, and the resources in whose feeds it shows: it bubbles up from task to project."""

    event: Json
    resources: frozenset[str]

    def compact(self) -> Json:
        """As webhooks tell it: of every resource only its gid and types."""
        return {name: _compact(value) for name, value in self.event.items() if name != "type"}


class Feed:
    """All that happened, in order. `sync` tokens live 24 hours."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._log: list[Happening] = []
        self._tokens: dict[str, tuple[str, int, datetime]] = {}

    def add(self, happening: Happening) -> None:
        self._log.append(happening)

    def page(self, resource: str, sync: str | None) -> Json:
        """`{data, sync, has_more}`. Refuses with 412 and a fresh token where `sync` is missing, foreign or too old."""
        known = self._tokens.get(sync or "")
        if known is None or known[0] != resource or self._clock() - known[2] >= _TOKEN_LIVES:
            raise RefusedError(412, _LAPSED, beside={"sync": self._token(resource, len(self._log))})
        data: list[Json] = []
        reached = known[1]
        for happening in self._log[known[1] :]:
            if resource in happening.resources:
                if len(data) == _PAGE:
                    return {"data": data, "sync": self._token(resource, reached), "has_more": True}
                data.append(happening.event)
            reached += 1
        return {"data": data, "sync": self._token(resource, reached), "has_more": False}

    def expire(self) -> None:
        """All tokens that were given out are too old from now on."""
        self._tokens.clear()

    def _token(self, resource: str, position: int) -> str:
        token = f"sandbox-sync-{resource}-{len(self._tokens) + 1}-{position}"
        self._tokens[token] = (resource, position, self._clock())
        return token


def happenings(account: Account, at: datetime, action: str, before: Json, after: Json) -> Iterator[Happening]:
    """The events that one write makes: one for each field, and the stories that Asana writes beside them."""
    feeds = frozenset({after["gid"], *(project for project, _ in after["places"])})
    task = {"gid": after["gid"], "resource_type": "task", "resource_subtype": after["resource_subtype"]}
    task["name"] = after["name"]
    user = account.users[0] if account.users else None
    common: Json = {"created_at": stamp(at), "parent": None}
    common["user"] = user and {"gid": user["gid"], "resource_type": "user", "name": user["name"]}
    told: Json = common | {"type": "task", "resource": task, "action": action}
    if action == "deleted":
        yield Happening(told, feeds)
    elif action == "added":
        for parent in _parents(account, after):
            yield Happening(told | {"parent": parent}, feeds)
    else:
        for change in _changes(account, before, after):
            yield Happening(told | {"change": change}, feeds)
            story = {
                "gid": account.new_gid(),
                "resource_type": "story",
                "resource_subtype": f"{change['field']}_changed",
            }
            yield Happening(common | {"type": "story", "resource": story, "action": "added", "parent": task}, feeds)


def _changes(account: Account, before: Json, after: Json) -> Iterator[Json]:
    for name in (*PLAIN, "assignee"):
        if before[name] != after[name]:
            yield {"field": name, "action": "changed"}
    for gid in sorted(set(before["values"]) | set(after["values"])):
        if before["values"].get(gid) != after["values"].get(gid):
            field = {"gid": gid, "resource_type": "custom_field", "name": account.fields[gid]["name"]}
            yield {"field": "custom_fields", "action": "changed", "new_value": field}


def _parents(account: Account, task: Json) -> Iterator[Json]:
    for project, section in task["places"]:
        yield {"gid": project, "resource_type": "project", "name": account.projects[project]["name"]}
        yield {"gid": section, "resource_type": "section"}


def _compact(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {name: _compact(item) for name, item in value.items() if name != "name"}
