"""`crossdock runs replay --filter …`: many runs, shown first, then followed to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from crossdock.cli import options
from crossdock.cli.errors import FAILED, misused
from crossdock.cli.output import emit, progress, safe, table

if TYPE_CHECKING:
    from crossdock.cli.desk import Desk

LOOK = 0.3
"""Seconds between looks at how far the server has come."""


@dataclass(frozen=True, slots=True)
class Many:
    """What is to be replayed, and how; `yes`: without asking."""

    filters: Sequence[str]
    edits: Sequence[tuple[str, str]]
    cap: int
    pace: float
    stop_after: int | None
    why: str | None
    yes: bool
    json: bool

    def asked(self) -> dict[str, Any]:
        """As the API takes it. Raises a wrong usage for a filter that is none."""
        from crossdock.cli.wanted import of_filters

        edits = [{"path": path, "value": text} for path, text in self.edits]
        known = {"action": "replay", "wanted": of_filters(self.filters), "runs": [], "cap": self.cap, "pace": self.pace}
        return known | {"stop_after": self.stop_after, "edits": edits, "why": self.why}


def replay_many(many: Many, url: str | None, config: options.Config) -> None:
    """Show what would be replayed, ask, and follow it. Ends with 1 if any of it failed."""
    from crossdock.cli.desk import open_desk

    asked = many.asked()

    async def act() -> dict[str, Any] | None:
        async with open_desk(options.settings(config), url) as desk:
            prospect = await desk.preview_bulk(asked)
            if not many.json:
                _show(prospect)
            if not prospect["fit"]:
                return None
            if not many.yes:
                typer.confirm(f"Replay {prospect['fit']} runs?", abort=True, err=many.json)
            return await _followed(desk, await desk.begin_bulk(asked), many)

    job = asyncio.run(act())
    if job is None:
        raise misused("no run that matches can be replayed")
    if many.json:
        emit(job)
    else:
        typer.echo(
            f"{job['ended_well']} ended well, {job['failed']} failed, {job['skipped']} left out of {job['total']}"
            + (f"; stopped: {job['reason']}" if job["status"] == "stopped" else "")
        )
    if job["failed"] or job["status"] == "stopped":
        raise typer.Exit(FAILED)


async def _followed(desk: Desk, job: dict[str, Any], many: Many) -> dict[str, Any]:
    done = 0
    with progress("replaying", job["total"], quiet=many.json) as advance:
        while job["status"] == "working" or job["at_work"]:
            await asyncio.sleep(LOOK)
            job = await desk.show_bulk(job["id"])
            before, done = done, job["ended_well"] + job["failed"] + job["skipped"]
            advance(done - before, f"replaying, {job['failed']} failed")
            if job["status"] == "stopped":
                break
    return job


def _show(prospect: dict[str, Any]) -> None:
    rows = [(safe(run["id"]), safe(run["label"] or run["key"]), run["status"]) for run in prospect["first"]]
    table(("run", "what", "status"), rows)
    if prospect["fit"] > len(rows):
        typer.echo(f"… and {prospect['fit'] - len(rows)} more")
    for reason, number in prospect["left_out"].items():
        typer.echo(f"{number} left out: {reason}")
