"""A disk that loses its power: what was synced stays, of the rest each sector may or may not have arrived."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512
_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset; `data` None cuts the file there."""

    file: str
    offset: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Sync:
    file: str


@dataclass(frozen=True, slots=True)
class Delete:
    file: str


Operation = Write | Sync | Delete


class PoweredDisk(apsw.VFS):
    """A VFS, known to SQLite as `name`, that writes down all that is done to the files of the databases in it."""

    def __init__(self) -> None:
        self.name = f"powered-{next(_NUMBERS)}"
        self.log: list[Operation] = []
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's own name
        if name is None:
            # A temporary file, which nobody looks for after a cut.
            return apsw.VFSFile("", name, flags)
        return _File(self.log, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self.log.append(Delete(Path(filename).name))


class _File(apsw.VFSFile):
    def __init__(self, log: list[Operation], name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = Path(path).name
        self._log = log
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self._log.append(Write(self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._log.append(Write(self._name, newsize, None))

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self._log.append(Sync(self._name))


@dataclass
class Platter:
    """What is on the disk for sure, and what is on its way, per file."""

    sure: dict[str, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    afloat: dict[str, list[Write]] = field(default_factory=lambda: defaultdict(list))

    def take(self, operation: Operation) -> None:
        match operation:
            case Write():
                self.afloat[operation.file].append(operation)
            case Sync(file):
                for write in self.afloat.pop(file, ()):
                    _apply(self.sure[file], write)
            case Delete(file):
                self.sure.pop(file, None)
                self.afloat.pop(file, None)

    def after_a_cut(self, rng: random.Random) -> dict[str, bytes]:
        """The files as they are found when the power is back; what was afloat arrived in part, and in any order."""
        survives = rng.choice((0.0, 0.5, 0.9, 1.0))
        found = {name: bytearray(body) for name, body in self.sure.items()}
        for name, writes in self.afloat.items():
            body = found.setdefault(name, bytearray())
            for piece in (piece for write in writes for piece in _pieces(write)):
                if rng.random() < survives:
                    _apply(body, piece)
        return {name: bytes(body) for name, body in found.items()}


def cuts(log: Sequence[Operation], at: Sequence[int]) -> Iterator[tuple[int, Platter]]:
    """The platter at each of these numbers of operations, which must rise."""
    platter, done = Platter(), 0
    for count in at:
        for operation in log[done:count]:
            platter.take(operation)
        done = count
        yield count, platter


def _pieces(write: Write) -> Iterator[Write]:
    """What a disk writes at once: a sector. A cut of the file happens whole or not at all."""
    if write.data is None:
        yield write
        return
    at = write.offset
    while at < write.offset + len(write.data):
        end = min((at // SECTOR + 1) * SECTOR, write.offset + len(write.data))
        yield Write(write.file, at, write.data[at - write.offset : end - write.offset])
        at = end


def _apply(body: bytearray, write: Write) -> None:
    if write.data is None:
        del body[write.offset :]
        return
    if len(body) < write.offset:
        body.extend(bytes(write.offset - len(body)))
    body[write.offset : write.offset + len(write.data)] = write.data
