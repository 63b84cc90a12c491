"""Migrations: in order, once, all or nothing, and never backwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from crossdock.journal.base import JournalError
from crossdock.journal.migrate import Migration, migrate, shipped
from crossdock.journal.sqlite import SqliteJournal

FIRST = Migration(1, "0001_first.sql", "CREATE TABLE a (x);\nINSERT INTO a VALUES (1);")
SECOND = Migration(2, "0002_second.sql", "ALTER TABLE a ADD COLUMN y;")
BROKEN = Migration(2, "0002_broken.sql", "CREATE TABLE b (x);\nINSERT INTO nowhere VALUES (1);")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


def tables(db: sqlite3.Connection) -> set[str]:
    return {row["name"] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def test_what_is_missing_is_applied_in_order_and_once(db: sqlite3.Connection) -> None:
    assert migrate(db, [FIRST], at=5) == ["0001_first.sql"]
    assert migrate(db, [FIRST, SECOND], at=6) == ["0002_second.sql"]
    assert migrate(db, [FIRST, SECOND], at=7) == []
    recorded = [tuple(row) for row in db.execute("SELECT number, checksum, applied_at FROM migrations")]
    assert recorded == [(1, FIRST.checksum, 5), (2, SECOND.checksum, 6)]
    assert [tuple(row) for row in db.execute("SELECT x, y FROM a")] == [(1, None)]


def test_a_migration_that_fails_leaves_nothing_of_any(db: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(db, [FIRST, BROKEN], at=0)
    assert tables(db) == set()
    assert migrate(db, [FIRST, SECOND], at=0) == ["0001_first.sql", "0002_second.sql"]


def test_a_database_newer_than_the_code_is_refused(db: sqlite3.Connection) -> None:
    migrate(db, [FIRST, SECOND], at=0)
    with pytest.raises(JournalError, match=r"0002_second\.sql, which this version .* upgrade Crossdock"):
        migrate(db, [FIRST], at=0)


def test_a_migration_that_was_edited_after_it_was_applied_is_refused(db: sqlite3.Connection) -> None:
    migrate(db, [FIRST], at=0)
    edited = Migration(1, FIRST.name, FIRST.script + " -- and more")
    with pytest.raises(JournalError, match=r"0001_first\.sql was applied with other content"):
        migrate(db, [edited, SECOND], at=0)
    assert "y" not in {row["name"] for row in db.execute("SELECT name FROM pragma_table_info('a')")}


def test_somebody_elses_database_is_left_alone(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE theirs (x)")
    with pytest.raises(JournalError, match="somebody else's tables"):
        migrate(db, [FIRST], at=0)
    assert tables(db) == {"theirs"}


def test_the_shipped_migrations_are_numbered_without_gap() -> None:
    assert [m.number for m in shipped()] == list(range(1, len(shipped()) + 1))
    assert shipped()[0].name == "0001_initial.sql"


async def test_an_opened_journal_refuses_a_newer_database_and_can_be_opened_after(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with SqliteJournal(path, redact=str):
        pass
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO migrations VALUES (99, '0099_future.sql', '', 0)")
    db.close()
    with pytest.raises(JournalError, match=r"0099_future\.sql"):
        await SqliteJournal(path, redact=str).open()
