"""The documentation says what the code does: all keys, metrics, kinds of trouble and connectors are in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from crossdock.config import models
from crossdock.config.telling import Telling
from crossdock.plugins import load_plugins
from crossdock.settings import Settings
from crossdock.web.dashboard.words import KINDS
from crossdock_sdk import errors
from pydantic import BaseModel

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
REGISTRY = load_plugins()
FOREIGN = re.compile(r'<(?:script|img|iframe)[^>]+src="https?:|<link[^>]+href="https?:')
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert (built.returncode, built.stdout + built.stderr) == (0, "")
    for page in tmp_path.rglob("*.html"):
        assert re.findall(r'<(?:script|img|iframe)[^>]+src="https?:|<link[^>]+href="https?:', page.read_text()) == [], (
            page
        )
    assert {path.stem for path in tmp_path.glob("connectors/*.html")} == set(PLUGINS)


def described(model: type[BaseModel]) -> dict[str, str]:
    return {f"{model.__name__}.{name}": info.description or "" for name, info in model.model_fields.items()}


def test_every_key_says_what_it_is_for() -> None:
    kept: list[type[BaseModel]] = [models.RoutingFile, models.Flow, models.Leg, models.Check, models.RetryPolicy]
    kept += [models.Supervise, models.Approve, models.Retention, Telling, Settings]
    kept += [REGISTRY.connections[name].Config for name in PLUGINS]
    silent = {name for model in kept for name, text in described(model).items() if not text}
    # A flow's name is the key under which it stands.
    assert silent == {"Flow.name"}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_every_connector_says_how_it_is_set_up_and_where_its_limits_are(plugin: str) -> None:
    readme = (ROOT / "plugins" / plugin / "README.md").read_text()
    assert "## Set it up\n" in readme
    assert "## Limits\n" in readme
    source, sink = REGISTRY.sources.get(plugin), REGISTRY.sinks.get(plugin)
    named = [event.type for event in source.events] if source else []
    named += [action.name for action in sink.actions] if sink else []
    assert [name for name in named if f"`{name}`" not in readme] == []


def test_every_kind_of_trouble_is_in_the_runbook_and_on_the_pages() -> None:
    raised = {kind.kind for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "kind")}
    runbook = (DOCS / "runbook.md").read_text()
    unknown = {kind for kind in raised | set(KINDS) if f"`{kind}`" not in runbook}
    assert unknown <= {"error", "void"}
    assert raised - set(KINDS) <= {"error", "void"}


def test_what_a_proxy_must_do_is_in_the_files_for_it() -> None:
    for file, wanted in {
        "nginx/crossdock.conf": ("X-Forwarded-For $remote_addr", "Host $host", "proxy_buffering off", "/metrics"),
        "caddy/Caddyfile": ("reverse_proxy 127.0.0.1:8000", "flush_interval -1", "/metrics"),
        "systemd/crossdock.service": ("CROSSDOCK_TRUSTED_PROXIES", "crossdock serve", "TimeoutStopSec=60"),
        "container/Containerfile": ("USER 10001", "CROSSDOCK_DATABASE_URL"),
    }.items():
        text = (ROOT / "deploy" / file).read_text()
        assert [one for one in wanted if one not in text] == [], file
