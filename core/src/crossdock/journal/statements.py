"""SQL lives in `sql/*.sql`, in blocks that begin with `-- name: some_name`; this loads them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

_MARK = "-- name: "


def parse(text: str) -> dict[str, str]:
    """Name → SQL. Raises `ValueError` for a name twice, SQL before the first name, or an empty block."""
    blocks: dict[str, list[str]] = {}
    name = None
    for line in text.splitlines():
        if line.startswith(_MARK):
            name = line.removeprefix(_MARK).strip()
            if name in blocks:
                raise ValueError(f"statement {name} is there twice")
            blocks[name] = []
        elif name is not None:
            blocks[name].append(line)
        elif line.strip():
            raise ValueError(f"SQL before the first '{_MARK.strip()}' line: {line.strip()}")
    found = {name: "\n".join(lines).strip() for name, lines in blocks.items()}
    for empty in (name for name, sql in found.items() if not sql):
        raise ValueError(f"statement {empty} is empty")
    return found


def split(script: str) -> Iterator[str]:
    """The single statements of a script; a trigger's body stays in one piece."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""
    if _has_sql(statement):
        raise ValueError(f"the last statement has no semicolon: {statement.strip()}")


def _has_sql(text: str) -> bool:
    return any(line.strip() and not line.strip().startswith("--") for line in text.splitlines())


@cache
def load(name: str) -> Mapping[str, str]:
    """The statements of `sql/<name>.sql`."""
    return parse((files("crossdock.journal") / "sql" / f"{name}.sql").read_text("utf-8"))
