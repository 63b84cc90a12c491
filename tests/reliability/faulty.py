"""A disk whose operations fail when a test says so."""

from __future__ import annotations

import itertools
from typing import Any

import apsw

_NUMBERS = itertools.count()


class FaultyDisk(apsw.VFS):
    """A VFS, known to SQLite as `name`.

    `failing` is an operation and the SQLite code that it fails with, until it is None again. `fail_at` is the number
    of the one operation, of any kind, that fails, with `lasting` all after it too; `count` is how many there were.
    """

    def __init__(self) -> None:
        self.name = f"faulty-{next(_NUMBERS)}"
        self.failing: tuple[str, int] | None = None
        self.fail_at: int | None = None
        self.lasting = False
        self.count = 0
        super().__init__(self.name, "")

    def hold(self, operation: str) -> None:
        """Count one operation. Raises the error that it is to fail with."""
        self.count += 1
        if self.failing and self.failing[0] == operation:
            raise apsw.exception_for(self.failing[1])
        if self.fail_at and (self.count == self.fail_at or (self.lasting and self.count > self.fail_at)):
            raise apsw.exception_for(apsw.SQLITE_IOERR)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's own name
        self.hold("xOpen")
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self.hold("xDelete")
        super().xDelete(filename, syncdir)


class _File(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._disk.hold("xRead")
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.hold("xWrite")
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.hold("xTruncate")
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.hold("xSync")
        super().xSync(flags)

    def xFileSize(self) -> int:  # noqa: N802
        self._disk.hold("xFileSize")
        return super().xFileSize()
