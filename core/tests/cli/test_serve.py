from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

Spawn = Callable[..., "subprocess.Popen[str]"]


def ready(process: subprocess.Popen[str]) -> tuple[str, str]:
    """The line that says that it is ready, and the URL in it."""
    assert process.stdout is not None
    line = process.stdout.readline()
    return line, next(word for word in line.split() if word.startswith("http://"))


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def until(process: subprocess.Popen[str], said: str) -> str:
    """The log line with `said` in it; fails if the process ends before."""
    assert process.stderr is not None
    for line in process.stderr:
        if said in line:
            return line
    raise AssertionError(f"the process ended and never said {said!r}")


def test_it_serves_and_stops_gracefully(spawn: Spawn) -> None:
    process = spawn("serve", "--port", "0")
    line, url = ready(process)
    for said in ("crossdock.yaml", "sqlite:///crossdock.db", "1 flow"):
        assert said in line
    assert httpx.get(f"{url}/healthz", trust_env=False).json() == {"status": "ok"}
    process.send_signal(signal.SIGTERM)
    code, out, _ = finished(process)
    assert (code, out) == (0, "")


def test_a_hangup_reloads_and_a_broken_file_changes_nothing(spawn: Spawn, home: Path) -> None:
    process = spawn("serve", "--port", "0", CROSSDOCK_WATCH="0")
    _, url = ready(process)
    file = home / "crossdock.yaml"
    good = file.read_text()
    file.write_text(good.replace("  bill:", "  invoicing:"))
    process.send_signal(signal.SIGHUP)
    until(process, "is reloaded")
    assert flows(url) == ["invoicing"]
    file.write_text("version: 2\n")
    process.send_signal(signal.SIGHUP)
    assert "version" in until(process, "refused")
    assert flows(url) == ["invoicing"]
    process.send_signal(signal.SIGINT)
    assert finished(process)[0] == 0


def flows(url: str) -> list[str]:
    return [flow["name"] for flow in httpx.get(f"{url}/api/v1/flows", trust_env=False).json()["items"]]


def test_a_short_secret_is_warned_of_once(spawn: Spawn, home: Path) -> None:
    process = spawn("serve", "--port", "0", TOKEN="tok", CROSSDOCK_WATCH="0")
    ready(process)
    assert "connections.crm.api_token has 3 characters" in until(process, "too short")
    process.send_signal(signal.SIGHUP)
    until(process, "is reloaded")
    process.send_signal(signal.SIGTERM)
    code, _, rest = finished(process)
    assert (code, "too short" in rest) == (0, False)


def test_a_secret_in_a_flow_stops_the_start_and_the_reload(spawn: Spawn, home: Path) -> None:
    file = home / "crossdock.yaml"
    good = file.read_text()
    process = spawn("serve", "--port", "0", CROSSDOCK_WATCH="0")
    _, url = ready(process)
    file.write_text(good.replace("content: x", "content: by secret-token").replace("  bill:", "  other:"))
    process.send_signal(signal.SIGHUP)
    said = until(process, "refused")
    assert "flows.other.legs.remark.with.content: contains the secret of connections.crm.api_token" in said
    assert "secret-token" not in said
    assert flows(url) == ["bill"]
    process.send_signal(signal.SIGTERM)
    assert finished(process)[0] == 0
    code, _, err = finished(spawn("serve", "--port", "0"))
    assert (code, "contains the secret of connections.crm.api_token" in err) == (2, True)


def test_a_port_in_use_is_one_line_and_nothing_is_touched(spawn: Spawn, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = finished(spawn("serve", "--port", str(port)))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert str(port) in err
    assert not (home / "crossdock.db").exists()


def test_all_config_problems_are_listed(spawn: Spawn, home: Path) -> None:
    file = home / "crossdock.yaml"
    file.write_text(file.read_text().replace("deal.products", "deal.product").replace("notify: [say]", "notify: [sai]"))
    code, out, err = finished(spawn("serve", "--port", "0"))
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert all(said in err for said in ("deal.products", "sai", "crossdock.yaml:"))


@pytest.mark.parametrize(
    ("env", "code", "said"),
    [
        ({"CROSSDOCK_DATABASE_URL": "mysql://x"}, 2, "CROSSDOCK_DATABASE_URL"),
        ({"CROSSDOCK_DATABASE_URL": "sqlite:///no/such/folder.db"}, 1, "no/such/folder.db"),
    ],
)
def test_a_wrong_database_is_one_line(spawn: Spawn, env: dict[str, str], code: int, said: str) -> None:
    ended, out, err = finished(spawn("serve", "--port", "0", **env))
    assert (ended, out, err.count("\n")) == (code, "", 1)
    assert said in err


def test_off_loopback_without_a_token_is_said(spawn: Spawn) -> None:
    process = spawn("serve", "--host", "0.0.0.0", "--port", "0")
    assert "CROSSDOCK_ADMIN_TOKEN" in until(process, "closed")
    ready(process)
    process.send_signal(signal.SIGTERM)
    assert finished(process)[0] == 0
