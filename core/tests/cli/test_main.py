from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

from crossdock import __version__
from crossdock.cli.errors import explained
from crossdock_sdk import RejectedError


def test_version_is_told(cross: Callable[..., Any]) -> None:
    assert cross("--version").out == f"crossdock {__version__}\n"


def test_version_loads_nothing_heavy() -> None:
    code = (
        "import sys; from crossdock.cli import run; run(['--version']);"
        "print(sorted({'fastapi', 'pydantic', 'httpx', 'uvicorn', 'jinja2', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "[]"


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "crossdock", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"crossdock {__version__}\n"


def test_no_command_shows_the_help_and_is_wrong_usage(cross: Callable[..., Any]) -> None:
    for group in ((), ("runs",)):
        ran = cross(*group)
        assert ran.code == 2
        assert "Commands:" in ran.out


def test_an_unknown_command_is_one_line_and_wrong_usage(cross: Callable[..., Any]) -> None:
    ran = cross("serv")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert "serve" in ran.err


def test_a_port_that_is_none_is_one_line_that_says_where_it_is_described(cross: Callable[..., Any]) -> None:
    ran = cross("serve", "--port", "99999")
    assert (ran.code, ran.out) == (2, "")
    assert "'--port'" in ran.err
    assert ran.err.endswith("less than or equal to 65535; see crossdock serve --help\n")


def test_a_wrong_setting_is_wrong_usage(cross: Callable[..., Any], home: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("CROSSDOCK_CONCURRENCY", "many")
    ran = cross("check")
    assert ran.code == 2
    assert "CROSSDOCK_CONCURRENCY" in ran.err


def test_a_vendors_refusal_is_one_line_and_failed_work() -> None:
    told = explained(RejectedError("no such\nthing"))
    assert told is not None
    assert (told.code, told.lines) == (1, ("no such thing",))


def test_a_bug_keeps_its_traceback() -> None:
    assert explained(KeyError("x")) is None
