"""`crossdock prune`."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossdock.cli import options
from crossdock.cli.errors import misused
from crossdock.cli.output import emit, progress

if TYPE_CHECKING:
    from crossdock.config.models import Retention
    from crossdock.retention import Keeper
    from crossdock.settings import Settings


def prune(
    older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="Delete runs that ended so long ago, such as 90d.  [default: retention.runs]"),
    ] = None,
    payloads_older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="Remove payloads of runs that ended so long ago.  [default: …payloads]"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what there is to take, and take nothing.")] = False,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Take old payloads and runs out of the journal, now; a server does so every hour by itself."""
    settings = options.settings(config)
    policy = _policy(settings, _age("--older-than", older_than), _age("--payloads-older-than", payloads_older_than))
    found = asyncio.run(_prune(settings, policy, dry_run=dry_run, quiet=json))
    if json:
        emit(found | {"dry_run": dry_run})
    else:
        typer.echo(_told(found, dry_run=dry_run))


def _age(option: str, given: str | None) -> timedelta | None:
    from crossdock.config.durations import parse_duration

    try:
        return None if given is None else parse_duration(given)
    except ValueError as error:
        raise misused(f"{option}: {error}") from None


def _policy(settings: Settings, runs: timedelta | None, payloads: timedelta | None) -> Retention:
    """What is asked for; the rest is as the routing file says, but that no payload outlives its run."""
    from crossdock.config.load import load_retention
    from crossdock.config.models import Retention

    if runs is not None and payloads is not None:
        if payloads > runs:
            raise misused("--payloads-older-than is longer than --older-than; a payload cannot outlive its run")
        return Retention(payloads=payloads, runs=runs)
    kept = load_retention(settings.config, env=os.environ)
    if payloads is not None:
        return Retention(payloads=payloads, runs=max(kept.runs, payloads))
    return kept if runs is None else Retention(payloads=min(kept.payloads, runs), runs=runs)


async def _prune(settings: Settings, policy: Retention, *, dry_run: bool, quiet: bool) -> dict[str, Any]:
    from crossdock.cli.desk import open_journal_of
    from crossdock.retention import Keeper

    async with open_journal_of(settings) as journal:
        keeper: Keeper = Keeper(journal, lambda: policy, lambda: datetime.now(UTC))
        expired = await keeper.expired()
        if dry_run:
            return asdict(expired)
        with progress("pruning", expired.payloads + expired.runs, quiet=quiet) as advance:
            return asdict(await keeper.round(spare=0, taken=advance))


def _told(found: dict[str, Any], *, dry_run: bool) -> str:
    payloads, runs = found["payloads"], found["runs"]
    if dry_run:
        return f"would remove the payloads of {payloads} runs and delete {runs} runs; nothing is taken"
    back = f"{found['events']} events forgotten, {found['bytes']} bytes given back to the disk"
    return f"the payloads of {payloads} runs removed, {runs} runs deleted, {back}"
