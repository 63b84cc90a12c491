"""A connector without a network: its vendor does what a test's script says."""

from __future__ import annotations

import asyncio
import inspect
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, ClassVar

from crossdock_sdk import (
    Action,
    Alert,
    Connection,
    ConnectionConfig,
    Event,
    EventSpec,
    Notifier,
    Receipt,
    Record,
    Redo,
    Sink,
    Source,
    hookimpl,
)
from crossdock_sdk.testing import Standing


class Deal(Record):
    id: str
    title: str = "Deal"
    amount: str = "10"


class Thing(Record):
    text: str
    ref: str | None = None


class Seen(Record):
    """A thing that was made, as an event about it finds it."""

    id: str
    state: str = "done"


class Made(Receipt):
    number: str = ""


class Config(ConnectionConfig):
    realm: str = "one"


@dataclass
class Vendor:
    """What stands at the vendor, what it was asked, and what it does next: `script["<action>.<method>"]` has
    errors to raise, callables to await, or None for all is well; `.before` comes before the effect."""

    standing: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    script: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    deal: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    made: int = 0

    async def play(self, what: str) -> Any:
        if not self.script[what]:
            return None
        next_ = self.script[what].pop(0)
        if isinstance(next_, BaseException):
            raise next_
        answer = next_() if callable(next_) else next_
        return await answer if inspect.isawaitable(answer) else answer

    def calls(self, action: str) -> list[tuple[Any, ...]]:
        return [call for call in self.asked if call[0] == action]


class ScriptedConnection(Connection):
    connector = "scripted"
    Config: ClassVar[type[ConnectionConfig]] = Config
    vendor: ClassVar[Vendor]

    @property
    def account(self) -> str:
        return f"scripted:{self.config.realm}"


class ScriptedSource(Source):
    connection_class = ScriptedConnection
    events = (
        EventSpec("deal.won", {"deal": Deal}, ("deal.id",)),
        EventSpec("thing.done", {"thing": Seen}, ("thing.id",), object="thing"),
        EventSpec("thing.undone", {"thing": Seen}, ("thing.id",), object="thing"),
    )

    def verify(self, request: Any) -> None:
        """Deliveries come from the test itself."""

    def parse(self, request: Any) -> list[Event]:
        return []

    async def hydrate(self, event: Event) -> dict[str, Record]:
        vendor = self.connection.vendor
        if event.type != "deal.won":
            vendor.asked.append((event.type, "read", event.subject))
            await vendor.play("look")
            return {"thing": Seen.model_validate({"id": event.subject, **vendor.seen})}
        await vendor.play("hydrate")
        return {"deal": Deal.model_validate({"id": event.subject, **vendor.deal})}


class Scripted(Action[Thing]):
    """What all its actions do: make a thing once for each key, in the way of their `redo`."""

    object = "thing"
    receipt = Made
    locks: ClassVar[bool] = False

    async def apply(self, data: Thing, key: str) -> Made:
        vendor = self.connection.vendor
        vendor.asked.append((self.name, "apply", data.text, data.ref))
        await vendor.play(f"{self.name}.before")
        known = vendor.keys.get(key)
        if known is None or (self.redo is not Redo.NATIVE_KEY and known not in vendor.standing):
            vendor.made += 1
            known = vendor.keys[key] = f"{self.name}-{vendor.made}"
            vendor.standing[known] = data.text
        elif self.redo is Redo.UPSERT:
            vendor.standing[known] = data.text
        return await vendor.play(f"{self.name}.apply") or Made(id=known, number=f"N-{known}")

    async def exists(self, receipt: Receipt) -> bool:
        await self.connection.vendor.play(f"{self.name}.exists")
        return receipt.id in self.connection.vendor.standing

    async def undo(self, receipt: Receipt) -> None:
        vendor = self.connection.vendor
        vendor.asked.append((self.name, "undo", receipt.id))
        await vendor.play(f"{self.name}.undo.before")
        vendor.standing.pop(receipt.id, None)
        await vendor.play(f"{self.name}.undo")

    def serialize_by(self, data: Thing) -> str | None:
        return data.text if self.locks else None


class Looking(Scripted):
    """An action that can look for what it made."""

    async def recover(self, data: Thing, key: str) -> Made | None:
        vendor = self.connection.vendor
        vendor.asked.append((self.name, "recover"))
        if await vendor.play(f"{self.name}.recover") == "nothing":
            return None
        known = vendor.keys.get(key)
        return Made(id=known, number=f"N-{known}") if known in vendor.standing else None


def _action(named: str, how: Redo, base: type[Scripted] = Scripted, **more: Any) -> type[Scripted]:
    return type(named.title().replace(".", ""), (base,), {"name": named, "redo": how, **more})


class ScriptedSink(Sink):
    connection_class = ScriptedConnection
    actions = (
        _action("key.create", Redo.NATIVE_KEY),
        _action("key2.create", Redo.NATIVE_KEY),
        _action("looked.create", Redo.LOOKUP, Looking),
        _action("put.update", Redo.UPSERT),
        _action("seen.update", Redo.UPSERT, Looking),
        _action("blind.create", Redo.UNSAFE),
        _action("locked.create", Redo.NATIVE_KEY, locks=True),
    )


class ScriptedNotifier(Notifier):
    connection_class = ScriptedConnection

    async def notify(self, alert: Alert) -> None:
        self.connection.vendor.alerts.append(alert)
        self.connection.vendor.told.set()


class Plugin:
    """What the entry point of a package would name; all its connections speak to `vendor`."""

    def __init__(self, vendor: Vendor) -> None:
        bound = {"connection_class": type("Bound", (ScriptedConnection,), {"vendor": vendor})}
        self._parts = [type(part.__name__, (part,), bound) for part in (ScriptedSource, ScriptedSink, ScriptedNotifier)]

    @hookimpl
    def crossdock_sources(self) -> list[Any]:
        return self._parts[:1]

    @hookimpl
    def crossdock_sinks(self) -> list[Any]:
        return self._parts[1:2]

    @hookimpl
    def crossdock_notifiers(self) -> list[Any]:
        return self._parts[2:]


def leg(do: str, text: str = "{{ deal.title }}", ref: str | None = None, **more: Any) -> dict[str, Any]:
    given = {"text": text} | ({"ref": ref} if ref else {})
    return {"do": f"v.{do}", "with": given, **more}


class Stall:
    """What stands at the scripted vendor of the actions `only`, or of all, as a simulator tells it."""

    def __init__(self, vendor: Vendor, *only: str) -> None:
        self.vendor = vendor
        self.only = only or tuple(action.name for action in ScriptedSink.actions)

    def standing(self) -> dict[str, list[Standing]]:
        told: dict[str, list[Standing]] = {name: [] for name in self.only}
        keys = {id_: key for key, id_ in self.vendor.keys.items()}
        for id_, text in self.vendor.standing.items():
            name = id_.rpartition("-")[0]
            if name in told:
                told[name].append(Standing(id_, {"text": text}, not name.endswith(".update"), keys.get(id_)))
        return told
