"""`crossdock prune`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from crossdock.cli import prune
from crossdock.config.load import load
from crossdock.journal.base import Checkpoint, NewEvent, NewRun, RunUpdate
from crossdock.journal.opening import open_journal
from crossdock.plugins import load_plugins

AGES = {1: "01aaaaaaaaaaaaaaaaaaaaaaaa", 40: "01bbbbbbbbbbbbbbbbbbbbbbbb", 400: "01cccccccccccccccccccccccc"}
DAY, MONTH, YEAR = AGES.values()


@pytest.fixture(autouse=True)
def journal(home: Path) -> Path:
    """Runs that rolled back a day, forty and four hundred days ago."""
    asyncio.run(_fill(home))
    return home / "crossdock.db"


async def _fill(home: Path) -> None:
    flow = load(home / "crossdock.yaml", env={"TOKEN": "secret-token"}, registry=load_plugins()).flows["bill"].flow
    now = datetime.now(UTC)
    at = [now]
    async with open_journal("sqlite:///crossdock.db", redact=str, now=lambda: at[0]) as journal:
        await journal.store_plan(flow.plan_hash(), "bill", flow.to_plan())
        for age, run in AGES.items():
            at[0] = now - timedelta(days=age)
            event = NewEvent(run, "deal.won", run, {"deal": {"id": run}})
            await journal.accept("crm", [(event, [NewRun(run, "bill", run, flow.plan_hash())])])
            [claimed] = await journal.claim("me", 1, at[0], timedelta(seconds=60))
            steps = [
                Checkpoint("hydrate", None, "done", {"records": {"deal": {"title": "Roof"}}}, at[0]),
                Checkpoint("end", None, "rolled_back", {"alert": False}, at[0]),
            ]
            error = {"kind": "rejected", "message": "no Roof"}
            update = RunUpdate("rolled_back", error=error, leg="invoice", ended=True)
            await journal.checkpoint(claimed.claim, steps, update, None)


def runs(cross: Callable[..., Any]) -> dict[str, bool]:
    """The runs that are there, and whether each has its payload."""
    return {r["id"]: r["payload_removed_at"] is None for r in cross("runs", "list", "--json").json["items"]}


def test_ages_are_the_routing_files_unless_they_are_given(cross: Callable[..., Any]) -> None:
    taken = cross("prune", "--json").json
    assert (taken["payloads"], taken["runs"], taken["events"], taken["dry_run"]) == (2, 1, 1, False)
    assert runs(cross) == {DAY: True, MONTH: False}
    assert "the payloads of 0 runs removed, 1 runs deleted" in cross("prune", "--older-than", "30d").out
    assert "the payloads of 1 runs removed, 0 runs deleted" in cross("prune", "--payloads-older-than", "0s").out
    assert runs(cross) == {DAY: False}


def test_the_routing_files_own_ages_count(cross: Callable[..., Any], home: Path) -> None:
    with (home / "crossdock.yaml").open("a") as file:
        file.write("\nretention: {payloads: 12h, runs: 39d}\n")
    taken = cross("prune", "--json").json
    assert (taken["payloads"], taken["runs"]) == (3, 2)


def test_a_dry_run_takes_nothing(cross: Callable[..., Any]) -> None:
    assert cross("prune", "--dry-run", "--json").json == {"payloads": 2, "runs": 1, "dry_run": True}
    assert "would remove the payloads of 2 runs and delete 1 runs" in cross("prune", "--dry-run").out
    assert runs(cross) == dict.fromkeys(AGES.values(), True)


def test_a_run_says_that_its_payload_was_removed_and_is_not_replayed(cross: Callable[..., Any]) -> None:
    assert "Roof" in cross("runs", "show", MONTH).out
    cross("prune")
    shown = cross("runs", "show", MONTH)
    assert "payload removed by retention on" in shown.out
    assert "Roof" not in shown.out
    assert cross("runs", "show", MONTH, "--json").json["payload"] is None
    refused = cross("runs", "replay", MONTH)
    assert refused.code == 1
    assert refused.err.count("\n") == 1
    assert "was removed by retention" in refused.err
    assert cross("runs", "replay", DAY).code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--older-than", "soon"], "--older-than: 'soon' is no duration"),
        (["--older-than", "7d", "--payloads-older-than", "8d"], "a payload cannot outlive its run"),
        (["--config", "nowhere.yaml"], "cannot be read"),
    ],
)
def test_wrong_usage_takes_nothing(cross: Callable[..., Any], arguments: list[str], told: str) -> None:
    wrong = cross("prune", *arguments)
    assert wrong.code == 2
    assert told in wrong.err
    assert len(runs(cross)) == 3


def test_without_a_journal_none_is_made(cross: Callable[..., Any], home: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("CROSSDOCK_DATABASE_URL", "sqlite:///other.db")
    assert cross("prune").code == 2
    assert not (home / "other.db").exists()


def test_long_work_says_how_far_it_is(cross: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    steps: list[int] = []

    @contextlib.contextmanager
    def told(*what: Any, quiet: bool) -> Iterator[Callable[[int], None]]:
        said.append((*what, quiet))
        yield steps.append

    monkeypatch.setattr(prune, "progress", told)
    assert cross("prune").code == 0
    assert said == [("pruning", 3, False)]
    assert (len(steps), sum(steps)) == (2, 3)
