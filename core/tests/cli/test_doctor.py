from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest


def test_one_line_for_each_check_and_1_if_something_is_wrong(cross: Any, home: Path) -> None:
    ran = cross("doctor", "--timeout", "5")
    assert ran.code == 1
    lines = ran.out.splitlines()
    [crm] = [line for line in lines if "connection crm" in line]
    assert crm.startswith("wrong    connection crm")
    assert "; to mend it: see the way to the vendor" in crm
    assert all(line.startswith(("ok ", "warning ", "wrong ")) for line in lines[:-1])
    assert lines[-1].endswith("2 wrong") or lines[-1].endswith("1 wrong")
    assert "secret-token" not in ran.out + ran.err


def test_offline_and_without_a_fault_it_ends_with_0_and_makes_nothing(cross: Any, home: Path) -> None:
    ran = cross("doctor", "--offline", "--json")
    assert (ran.code, ran.json["ok"]) == (0, True)
    checks = {each["check"]: each for each in ran.json["checks"]}
    assert set(checks["database"]) == {"check", "state", "found", "fix"}
    assert (checks["configuration"]["state"], checks["database"]["state"]) == ("ok", "warning")
    assert not [path for path in home.iterdir() if path.name.startswith("crossdock.db")]


def test_a_fault_is_in_the_json_as_well(cross: Any, home: Path) -> None:
    (home / "crossdock.db").write_text("no database at all, and yet long enough to be read as one" * 99)
    ran = cross("doctor", "--offline", "--json")
    assert (ran.code, ran.json["ok"]) == (1, False)
    [wrong] = [each for each in ran.json["checks"] if each["state"] == "wrong"]
    assert wrong["check"] == "database"
    assert wrong["fix"]


def test_a_broken_file_is_something_wrong_and_no_wrong_usage(cross: Any, home: Path) -> None:
    (home / "crossdock.yaml").write_text("version: 3\n")
    ran = cross("doctor", "--offline")
    assert ran.code == 1
    assert "version 1 only" in ran.out


@pytest.mark.parametrize("arguments", [("--url", "nonsense"), ("--timeout", "0"), ("--nope",)])
def test_wrong_usage_is_2(cross: Any, home: Path, arguments: tuple[str, ...]) -> None:
    ran = cross("doctor", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("crossdock: ")


def test_a_database_url_of_nothing_is_2(cross: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSDOCK_DATABASE_URL", "mysql://x")
    assert cross("doctor", "--offline").code == 2


def test_a_database_of_another_program_is_left_as_it_is(cross: Any, home: Path) -> None:
    db = sqlite3.connect(home / "crossdock.db")
    db.execute("CREATE TABLE theirs (x)")
    db.close()
    ran = cross("doctor", "--offline", "--json")
    [schema] = [each for each in ran.json["checks"] if each["check"] == "schema"]
    assert (ran.code, schema["state"], "another program" in schema["found"]) == (1, "wrong", True)
    db = sqlite3.connect(home / "crossdock.db")
    assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]
    db.close()
