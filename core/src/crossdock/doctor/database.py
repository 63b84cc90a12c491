"""The database's file, the disk that it is on, and the key that opens what it keeps."""

from __future__ import annotations

import asyncio
import shutil
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from crossdock.doctor.findings import Finding, counted
from crossdock.journal.base import Journal, JournalError
from crossdock.journal.inspection import Inspection, inspect
from crossdock.settings import Settings
from crossdock.vault import Vault, VaultError

WAL = 256 * 1024 * 1024
"""Bytes: four times what a log is cut back to; a larger one means that somebody keeps an old snapshot open."""
LOW, LOWEST = 1_000_000_000, 100_000_000
"""Bytes that are free: a warning below the first, wrong below the second."""
_SHARED = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs"})
"""File systems over a network, on which SQLite's locks and WAL cannot be trusted (SQLite docs, 'wal.html')."""
_MOUNTS = Path("/proc/self/mountinfo")
_BACKUP = "stop the server and restore a backup"


async def look(path: Path, seconds: float) -> tuple[Inspection | None, list[Finding]]:
    """What the file is, if it is one, and what is to be said of it."""
    if not await asyncio.to_thread(path.exists):
        told = f"there is none at {path} yet; crossdock serve makes it"
        return None, [Finding("database", "warning", told, "set CROSSDOCK_DATABASE_URL if it is elsewhere")]
    try:
        seen = await asyncio.to_thread(inspect, path, seconds)
    except JournalError as error:
        return None, [Finding("database", "wrong", f"{path}: {error}", _BACKUP)]
    return seen, [_file(path, seen, seconds), _schema(seen), *await asyncio.to_thread(_around, path)]


def _file(path: Path, seen: Inspection, seconds: float) -> Finding:
    if seen.damage:
        return Finding("database", "wrong", f"{path} is damaged: {'; '.join(seen.damage)}", _BACKUP)
    if not seen.finished:
        told = f"{path}: nothing wrong found in {seconds:g} s, but not all of it was looked at"
        return Finding("database", "warning", told, "give it more time by --timeout")
    return Finding("database", "ok", f"{path}: every page is sound")


def _schema(seen: Inspection) -> Finding:
    told = f"schema {seen.schema} of {seen.known}"
    if seen.foreign:
        fix = "give Crossdock a file of its own by CROSSDOCK_DATABASE_URL"
        return Finding("schema", "wrong", "the file holds the tables of another program", fix)
    if seen.schema > seen.known:
        return Finding("schema", "wrong", f"{told}: a newer Crossdock has made it", "upgrade Crossdock")
    if seen.schema < seen.known:
        return Finding("schema", "warning", told, "start crossdock serve of this version, which brings it up to date")
    return Finding("schema", "ok", told)


def _around(path: Path) -> list[Finding]:
    wal = path.with_name(f"{path.name}-wal")
    size = wal.stat().st_size if wal.exists() else 0
    told = f"{size / 1e6:.1f} MB"
    kind = file_system(path)
    found = [Finding("write-ahead log", "ok", told)]
    if size > WAL:
        fix = "end whatever has kept the database open for long, such as a backup or a shell, then restart the server"
        found = [Finding("write-ahead log", "warning", told, fix)]
    if kind in _SHARED:
        told = f"the database is on {kind}, where locks and the write-ahead log cannot be trusted"
        found.append(Finding("file system", "warning", told, "move it to a local disk"))
    return found


def file_system(path: Path, mounts: str | None = None) -> str | None:
    """The type of the file system that a path is on, by Linux's `mountinfo` (proc(5)); None where that is not told."""
    try:
        text = _MOUNTS.read_text() if mounts is None else mounts
        place = path.resolve()
    except OSError:
        return None
    best: tuple[int, str | None] = (-1, None)
    for line in text.splitlines():
        fields, _, kinds = line.partition(" - ")
        at = Path(fields.split()[4].replace("\\040", " "))
        if place.is_relative_to(at) and len(at.parts) >= best[0]:
            best = (len(at.parts), kinds.split()[0])
    return best[1]


async def disk(path: Path) -> Sequence[Finding]:
    """How much room there is for the database to grow."""
    free, size = await asyncio.to_thread(_room, path)
    told = f"{free / 1e9:.1f} GB free"
    fix = "free some space, or keep less: retention in the routing file, and crossdock prune"
    if free < LOWEST:
        return [Finding("disk", "wrong", told, fix)]
    if free < LOW or free < size:
        return [Finding("disk", "warning", f"{told}, the database has {size / 1e9:.1f} GB", fix)]
    return [Finding("disk", "ok", told)]


def _room(path: Path) -> tuple[int, int]:
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free, path.stat().st_size if path.exists() else 0


def key_file(settings: Settings, path: Path) -> Path | None:
    """Where the vault's key is, if it is in a file."""
    return None if settings.secret_key else path.with_name(f"{path.name}.key")


async def key(
    settings: Settings, path: Path, journal: Journal | None, vault: Vault | None, names: Iterable[str]
) -> list[Finding]:
    """Whether the key is there and opens what is stored for these connections."""
    file = key_file(settings, path)
    where = "CROSSDOCK_SECRET_KEY" if file is None else str(file)
    if file is not None and not await asyncio.to_thread(file.exists):
        if journal is not None and await _stored(journal, names):
            fix = "restore that file, or set CROSSDOCK_SECRET_KEY to what it held"
            return [Finding("secret key", "wrong", f"{file} is gone, and stored tokens cannot be opened", fix)]
        return [Finding("secret key", "ok", f"none yet; crossdock serve makes {file}")]
    if journal is None or vault is None:
        return [Finding("secret key", "ok", f"{where} is there; there is nothing yet that it opens")]
    closed = await _closed(journal, vault, names)
    if closed:
        return [
            Finding("secret key", "wrong", closed, "put the key that encrypted it back, after the new one and a comma")
        ]
    if file is not None and stat.S_IMODE((await asyncio.to_thread(file.stat)).st_mode) & 0o077:
        return [Finding("secret key", "warning", f"others of this machine may read {file}", f"chmod 600 {file}")]
    opened = counted(await _stored(journal, names), "connection")
    return [Finding("secret key", "ok", f"{where} opens the tokens of {opened}")]


async def _stored(journal: Journal, names: Iterable[str]) -> int:
    return sum([await journal.load_token(name) is not None for name in names])


async def _closed(journal: Journal, vault: Vault, names: Iterable[str]) -> str | None:
    """Why something that is stored cannot be opened."""
    for name in names:
        try:
            await vault.load(name)
            for hook in await journal.hooks.of(name):
                if hook.secret is not None:
                    vault.unseal(name, hook.secret)
        except VaultError as error:
            return error.message
    return None
