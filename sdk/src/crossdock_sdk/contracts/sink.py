"""Sinks: where flows write. A sink is a list of actions; an action is one kind of write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crossdock_sdk.contracts.connection import Connection
from crossdock_sdk.errors import RejectedError
from crossdock_sdk.models import Id, Record

Input = TypeVar("Input", bound=Record)


class Redo(StrEnum):
    """How a write whose fate is unknown can be asked again."""

    NATIVE_KEY = "native_key"
    """The vendor keeps our key: send again with the same key, then check `exists`. Where the vendor's memory is not
    to be relied on, write `recover` too: it is asked first, and nothing is sent if it finds what the write made."""
    UPSERT = "upsert"
    """The write names its object: sending again changes nothing. Write `recover` too: it is asked when a repeat is
    refused, which says nothing about the first try. Without it a person decides."""
    LOOKUP = "lookup"
    """`recover` finds what the write made; it is sent again only if nothing is found."""
    UNSAFE = "unsafe"
    """Nothing to find it by: a person decides."""


class Receipt(BaseModel):
    """What a sink says it did. Later legs and checks read its fields by name (`invoice.number`).

    An action with more to tell subclasses it and names the subclass in `Action.receipt`. `created` is False
    where the action found what it wanted; undo then leaves it alone. `undo` is whatever `Action.undo` needs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    created: bool = True
    url: str | None = Field(default=None, description="deep link into the vendor's own UI")
    undo: dict[str, Any] = Field(default_factory=dict, description="for the action's own undo; not for mappings")


class Action(ABC, Generic[Input]):
    """One kind of write. The type argument is the model of its input: `class InvoiceCreate(Action[Invoice])`.

    A subclass sets `name` and `redo`, and `receipt` if it returns a subclass of `Receipt`. One instance per
    connection. Methods raise only `ConnectorError`s; which one decides what the runtime does next.
    """

    name: ClassVar[str]
    redo: ClassVar[Redo]
    receipt: ClassVar[type[Receipt]] = Receipt
    object: ClassVar[str | None] = None
    """What kind of vendor object the receipt's id names, such as `customer`: two runs whose receipts name the
    same object of a connection share it, and undo leaves a shared object alone."""
    summary: ClassVar[str] = ""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    @classmethod
    def input_model(cls) -> type[Record]:
        """The model given as type argument, in this class or the nearest base that gives one."""
        for klass in cls.__mro__:
            for base in getattr(klass, "__orig_bases__", ()):
                for argument in get_args(base):
                    if isinstance(argument, type) and issubclass(argument, Record):
                        return argument
        raise TypeError(f"{cls.__name__} names no input model: write `class {cls.__name__}(Action[Model])`")

    async def before(self, data: Input) -> dict[str, Any] | None:
        """What stands now where `apply` will write, for an `undo` that restores it; None if undo needs nothing.

        It only reads. The runtime calls it before a try that no earlier try can have anticipated, commits the
        answer with the intent, and hands it to `undo` as `receipt.undo["before"]`: so a crash, or a reply that
        got lost, never lets our own written value pass for the earlier one. Plain JSON data.
        """
        return None

    @abstractmethod
    async def apply(self, data: Input, key: str) -> Receipt:
        """Write. `key` (36 characters of [0-9a-f-]) is the same in every try: give it to the vendor."""

    async def recover(self, data: Input, key: str) -> Receipt | None:
        """The receipt of an earlier `apply` with this key, or None if it took no effect.

        For `Redo.LOOKUP`. Optional for `Redo.NATIVE_KEY`, where None says only that nothing was found, for the
        vendor is then sent the same key again; and for `Redo.UPSERT`, where None says that what stands is not what
        `data` asks for.
        """
        raise TypeError(f"{type(self).__name__} declares {self.redo} and so needs no recover")

    async def named(self, object_id: str, data: Input, key: str) -> Receipt:
        """The receipt of the object that a person names as what `apply` made, where nobody else can tell.

        Write it where the receipt has more fields than an id: later legs and `undo` rest on them. It only reads.
        Raises `NotFoundError` if there is no such object.
        """
        try:
            return self.receipt(id=object_id)
        except ValidationError:
            raise RejectedError(
                f"{self.name} cannot make a {self.receipt.__name__} of an id alone: its connector lacks `named`"
            ) from None

    @classmethod
    def recovers(cls) -> bool:
        """Whether this action writes `recover`."""
        return cls.recover is not Action.recover

    @classmethod
    def verifies(cls) -> bool:
        """Whether this action writes `exists`."""
        return cls.exists is not Action.exists

    async def exists(self, receipt: Receipt) -> bool:
        """Whether what the receipt names still stands at the vendor.

        Needed for `Redo.NATIVE_KEY`, whose vendor answers with an old reply. Every other action that makes something
        may write it: before a replay builds on what an earlier run made, it is asked whether that is still there.
        """
        raise TypeError(f"{type(self).__name__} declares {self.redo} and so needs no exists")

    @abstractmethod
    async def undo(self, receipt: Receipt) -> None:
        """Take the write back. Called again after a crash: undoing what is already undone is a success."""

    def serialize_by(self, data: Input) -> str | None:
        """Two writes of a connection whose value here is equal and not None never run at once."""
        return None


class Sink(ABC):
    """A vendor that we write to: its connection and its actions."""

    connection_class: ClassVar[type[Connection]]
    actions: ClassVar[tuple[type[Action[Any]], ...]]
