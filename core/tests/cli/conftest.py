"""Commands in this process (`cross`), and as processes of their own (`spawn`)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from crossdock.cli import run

ROUTING = """
version: 1
connections:
  crm: {connector: pipedrive, base_url: "http://127.0.0.1:9", api_token: "${TOKEN}"}
  books:
    {connector: quickbooks, realm_id: "1", client_id: a, client_secret: secret-1, refresh_token: secret-2,
     environment: sandbox}
  say: {connector: log}
flows:
  bill:
    when: crm.deal.won
    ignore: [deal.custom.lead_score]
    checks:
      - {that: "{{ invoice.total == deal.value }}", say: total and value differ}
    legs:
      customer: {do: books.customer.find_or_create, with: {name: "{{ deal.title }}"}}
      invoice:
        do: books.invoice.create
        with:
          customer_id: "{{ customer.id }}"
          discount_percent: "{{ deal.custom.discount }}"
          lines:
            each: "{{ deal.products }}"
            as: p
            with: {sku: "{{ p.code }}", quantity: "{{ p.quantity }}", unit_price: "{{ p.unit_price }}"}
      back: {do: crm.deal.update, with: {id: "{{ deal.id }}", custom: {number: "{{ invoice.number }}"}}}
      remark: {enabled: false, do: crm.note.create, with: {content: x, deal_id: "{{ deal.id }}"}}
    notify: [say]
"""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document; fails if there is anything beside it."""
        return json.loads(self.out)


@pytest.fixture
def cross(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command line in this process."""

    def cross(*arguments: str) -> Ran:
        code = run(list(arguments))
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return cross


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a routing file and none of this machine's settings."""
    for name in list(os.environ):
        if name.startswith(("CROSSDOCK_", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TOKEN", "secret-token")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crossdock.yaml").write_text(ROUTING)
    return tmp_path


@pytest.fixture
def spawn(home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command as a process of its own; whatever still runs at the end is stopped."""
    started: list[subprocess.Popen[str]] = []

    def spawn(*arguments: str, **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "crossdock", *arguments]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, cwd=home, env={**os.environ, **env}, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process

    yield spawn
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
