"""The pages of the site that are made from the code: path in the site → Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from crossdock.cli import app as commands
from crossdock.config import models
from crossdock.config.telling import Telling
from crossdock.plugins import Registry, load_plugins
from crossdock.settings import Settings
from crossdock.web.access import ROLE
from crossdock.web.app import create_app
from crossdock.web.dashboard.words import KINDS, STATUSES
from pydantic import BaseModel

from docs.tables import code, columns, duration, keys, table

ROOT = Path(__file__).parents[2]
SECTIONS: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("The file", models.RoutingFile, "`connections` and `flows` are names, each with the keys below."),
    ("A flow", models.Flow, "Under `flows`, by its name."),
    ("A leg", models.Leg, "Under `legs` of a flow, by its name, in the order in which they are written."),
    ("A check", models.Check, "In the list `checks` of a flow."),
    ("Retries", models.RetryPolicy, "Under `retry` of a flow."),
    ("The first runs", models.Supervise, "Under `supervise` of a flow; see [supervised flows](../supervised.md)."),
    ("A person's yes", models.Approve, "Under `approve` of a flow: `always`, or these keys."),
    ("Retention", models.Retention, "Under `retention` of the file."),
    ("A notifier", Telling, "On a connection that tells people, beside its connector's own keys."),
)


def pages() -> dict[str, str]:
    """All of them."""
    registry = load_plugins()
    made = {
        "reference/routing.md": routing(),
        "reference/settings.md": settings(),
        "reference/commands.md": cli(),
        "reference/api.md": api(),
        "reference/words.md": words(),
        "writing-a-connector.md": _readme(ROOT / "sdk"),
    }
    return made | {f"connectors/{name}.md": connector(registry, name) for name in connectors()}


def connectors() -> list[str]:
    """The plugins of this repository."""
    return sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))


def routing() -> str:
    told = (
        "# The routing file\n\nEvery key, from the models that read it. `crossdock check` names every mistake in a file"
        " at once, with its line and the nearest right name. A duration is `30s`, `10m`, `2h`, `7d`; `${NAME}` comes"
        " from the environment, in the settings of connections. Expressions stand in `{{ … }}`:"
        " [concepts](../concepts.md)."
    )
    parts = [f"## {title}\n\n{about}\n\n{keys(model, named=True)}" for title, model, about in SECTIONS]
    return "\n\n".join([told, *parts])


def settings() -> str:
    told = "# Settings\n\nWhat the environment says of an installation. All about flows is in the routing file."
    rows = (
        (
            code(f"CROSSDOCK_{name.upper()}"),
            code(info.default) if info.default is not None else "",
            info.description or "",
        )
        for name, info in Settings.model_fields.items()
    )
    return f"{told}\n\n{table(('variable', 'default', ''), rows)}"


def cli() -> str:
    root = typer.main.get_command(commands)
    told = "# Commands\n\nExit 0: done; 1: the work failed; 2: wrong usage or configuration. `--json` is for programs."
    return "\n\n".join([told, *_commands(root, "crossdock")])


def _commands(command: Any, path: str) -> Iterator[str]:
    inner = getattr(command, "commands", {})
    if not inner:
        yield _command(command, path)
    for name, one in inner.items():
        yield from _commands(one, f"{path} {name}")


def _command(command: Any, path: str) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden and one.help]
    usage = " ".join([path, *map(_metavar, arguments)])
    rows = [(code(_metavar(one)), one.help or "") for one in arguments]
    rows += [(", ".join(map(code, one.opts)), one.help) for one in options]
    return f"## {path}\n\n{command.help or ''}\n\n```\n{usage}\n```\n\n{table(('', ''), rows)}"


def _metavar(argument: Any) -> str:
    return str(argument.metavar or str(argument.name).upper())


def api() -> str:
    described = create_app(Settings()).openapi()
    told = (
        "# HTTP API\n\nEvery path that a server has. The same with parameters, bodies and examples is at `/docs` of a"
        " running server, and for programs at `/openapi.json`. Errors are `application/problem+json` (RFC 9457)."
    )
    groups: dict[str, list[tuple[str, ...]]] = {}
    for path, operations in described["paths"].items():
        for method, one in operations.items():
            about = one.get("description") or one.get("summary", "")
            needed = [name for shown in one.get("security", []) for taken in shown.values() for name in taken]
            scopes = ", ".join(code(name) for name in needed if not name.startswith(ROLE))
            role = next((name.removeprefix(ROLE) for name in needed if name.startswith(ROLE)), "viewer")
            row = (code(f"{method.upper()} {path}"), one.get("summary", ""), about.split("\n\n")[0])
            row += (scopes, role if needed else "")
            groups.setdefault((one.get("tags") or ["other"])[0], []).append(row)
    return "\n\n".join(
        [told, *(f"## {tag}\n\n{table(('', '', '', 'scope', 'role'), rows)}" for tag, rows in groups.items())]
    )


def words() -> str:
    told = "# Statuses and kinds of trouble\n\nAs every face says them; the [runbook](../runbook.md) goes on."
    statuses = table(("status", ""), ((code(name), text) for name, text in STATUSES.items()))
    kinds = table(("kind", "what it is", "what mends it"), ((code(k), m.what, m.mend) for k, m in KINDS.items()))
    return f"{told}\n\n## Statuses of a run\n\n{statuses}\n## Kinds of trouble\n\n{kinds}"


def connector(registry: Registry, name: str) -> str:
    """A plugin's own README, and after it what its code declares."""
    parts = [_readme(ROOT / "plugins" / name), "## From the code", *_declared(registry, name)]
    return "\n\n".join(part for part in parts if part)


def _declared(registry: Registry, name: str) -> Iterator[str]:
    yield f"### Settings of `{name}`\n\n" + keys(registry.connections[name].Config)
    source, sink = registry.sources.get(name), registry.sinks.get(name)
    if source:
        rows = [
            (code(e.type), ", ".join(map(code, e.records)), ", ".join(map(code, e.known)), e.summary)
            for e in source.events
        ]
        polled = f"Polled every `{duration(source.polling.every)}`." if source.polling else "Not polled."
        yield "### Events it tells\n\n" + table(("event", "records", "a key may read", ""), rows) + "\n" + polled
    if sink:
        rows = [
            (code(a.name), code(a.redo), columns(a.input_model()), columns(a.receipt), a.summary) for a in sink.actions
        ]
        told = "What must be given is bold. `redo` says how a write whose reply was lost is asked again.\n\n"
        yield "### Actions it takes\n\n" + told + table(("action", "redo", "input", "receipt", ""), rows)


def _readme(folder: Path) -> str:
    """A README as a page of the site: links into the repository lead to the site's own pages."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    depth = "" if folder.name == "sdk" else "../"
    text = re.sub(r"\]\((?:\.\./)+docs/", f"]({depth}", text)
    text = re.sub(r"\]\((?:\.\./)+(?:plugins/)?([a-z]+)/README\.md", rf"]({depth}connectors/\1.md", text)
    return text.replace("connectors/sdk.md", "writing-a-connector.md")
