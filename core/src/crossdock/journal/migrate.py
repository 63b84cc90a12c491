"""Bringing a database up to the schema of this code, all migrations in one transaction."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.resources import files

from crossdock.journal.errors import JournalError
from crossdock.journal.statements import load, split
from crossdock.journal.store import begin

_NAME = re.compile(r"(\d{4})_\w+\.sql")
_SQL = load("store")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step of the schema."""

    number: int
    name: str
    script: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.script.encode()).hexdigest()


@cache
def shipped() -> tuple[Migration, ...]:
    """The migrations of this code, in order. Raises `ValueError` if their numbers have a gap."""
    found = []
    for file in (files("crossdock.journal") / "migrations").iterdir():
        match = _NAME.fullmatch(file.name)
        if match:
            found.append(Migration(int(match[1]), file.name, file.read_text("utf-8")))
    found.sort(key=lambda migration: migration.number)
    if [m.number for m in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"migrations are not numbered 1, 2, 3 …: {[m.name for m in found]}")
    return tuple(found)


def migrate(
    db: sqlite3.Connection, migrations: Sequence[Migration], at: int, patience: timedelta = timedelta(seconds=10)
) -> list[str]:
    """Apply what is missing; the names applied. `at` is the instant to record, `patience` for others who write.

    Raises `JournalError` if the database is newer than the code, made by other migrations, or not ours.
    """
    begin(db, patience)
    try:
        applied = _apply(db, migrations, at)
    except BaseException:
        db.execute(_SQL["rollback"])
        raise
    db.execute(_SQL["commit"])
    return applied


def _apply(db: sqlite3.Connection, migrations: Sequence[Migration], at: int) -> list[str]:
    if db.execute(_SQL["has_migrations"]).fetchone() is None and db.execute(_SQL["other_tables"]).fetchone():
        raise JournalError("the database holds somebody else's tables; give Crossdock a file of its own")
    db.execute(_SQL["create_migrations"])
    done = db.execute(_SQL["applied_migrations"]).fetchall()
    _check(done, migrations)
    missing = migrations[len(done) :]
    for migration in missing:
        for statement in split(migration.script):
            db.execute(statement)
        row = (migration.number, migration.name, migration.checksum, at)
        db.execute(_SQL["record_migration"], row)
    return [migration.name for migration in missing]


def _check(done: Sequence[sqlite3.Row], migrations: Sequence[Migration]) -> None:
    if len(done) > len(migrations):
        newest = done[-1]["name"]
        raise JournalError(
            f"the database has schema {newest}, which this version of Crossdock does not know; upgrade Crossdock"
        )
    for row, migration in zip(done, migrations, strict=False):
        if (row["name"], row["checksum"]) != (migration.name, migration.checksum):
            raise JournalError(
                f"migration {row['name']} was applied with other content than this version of Crossdock has;"
                " use the version that made the database, or restore a backup"
            )
