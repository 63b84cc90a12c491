"""The loader of SQL files."""

from __future__ import annotations

import contextlib
import sqlite3
from importlib.resources import files
from pathlib import Path

import pytest
from crossdock.journal.gathered import rows_of
from crossdock.journal.statements import load, parse, split


def test_blocks_are_found_by_name() -> None:
    text = "\n-- name: one\nSELECT 1;\n\n-- name: two\n-- why\nSELECT\n  2;\n"
    assert parse(text) == {"one": "SELECT 1;", "two": "-- why\nSELECT\n  2;"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;", "a is there twice"),
        ("SELECT 1;\n-- name: a\nSELECT 2;", "SQL before the first"),
        ("-- name: a\n\n-- name: b\nSELECT 1;", "a is empty"),
    ],
)
def test_a_file_that_is_not_in_order_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_a_script_is_split_at_statements_and_not_inside_triggers() -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON a\nBEGIN\n  DELETE FROM b;\n  DELETE FROM c;\nEND;"
    assert list(split(f"CREATE TABLE a (x);\n{trigger}\n-- the end\n")) == ["CREATE TABLE a (x);", trigger]
    with pytest.raises(ValueError, match="no semicolon"):
        list(split("SELECT 1;\nSELECT 2"))


def test_the_row_of_an_insert_is_repeated() -> None:
    assert rows_of("INSERT INTO a (x)\nVALUES\n(?, (1));", 2) == "INSERT INTO a (x)\nVALUES\n(?, (1)), (?, (1))"
    assert rows_of("INSERT INTO a VALUES\n(?)\nON CONFLICT DO NOTHING;", 3).endswith(
        "(?), (?), (?)\nON CONFLICT DO NOTHING"
    )


def test_every_shipped_statement_is_valid_sql_on_the_shipped_schema(tmp_path: Path) -> None:
    room = files("crossdock.journal")
    db = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    migrations = sorted((f for f in (room / "migrations").iterdir()), key=lambda f: f.name)
    for file in migrations:
        db.executescript(file.read_text("utf-8"))
    checked = 0
    for name in ("runs", "reads", "desk"):
        for sql in load(name).values():
            with contextlib.suppress(sqlite3.ProgrammingError):  # it wants values
                db.execute("EXPLAIN " + sql).close()
            checked += 1
    db.close()
    assert checked > 40


def test_every_shipped_statement_is_used() -> None:
    room = files("crossdock.journal")
    code = "".join(f.read_text("utf-8") for f in room.iterdir() if f.name.endswith(".py"))
    names = [name for file in ("runs", "reads", "desk", "store") for name in load(file)]
    assert [name for name in names if f'"{name}"' not in code] == []
