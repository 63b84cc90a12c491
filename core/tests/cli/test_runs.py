from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from crossdock.config.load import load
from crossdock.journal.base import Checkpoint, NewEvent, NewRun, RunUpdate
from crossdock.journal.opening import open_journal
from crossdock.plugins import load_plugins

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "sqlite:///crossdock.db"
FAILED, OTHER, RUNNING = "01aaaaaaaaaaaaaaaaaaaaaaaa", "01aaabbbbbbbbbbbbbbbbbbbbb", "01ccccccccccccccccccccccccc"[:26]
ERROR = {"kind": "rejected", "message": "no item has SKU [X]", "code": "610", "field": "lines[0].sku"}
INPUT = {"native": {"memo": "[b]x[/]"}, "customer_id": "58", "lines": [{"sku": "X", "unit_price": Decimal("19.90")}]}
PAYLOAD = """Payload
{
  "customer_id": "58",
  "lines": [
    {
      "sku": "X",
      "unit_price": 19.90
    }
  ],
  "native": {
    "memo": "[b]x[/]"
  }
}
"""


@pytest.fixture
def journal(home: Path) -> Path:
    """A run that rolled back, one that succeeded, and one that waits; the file of the journal."""
    asyncio.run(_fill(home))
    return home / "crossdock.db"


async def _fill(home: Path) -> None:
    flow = load(home / "crossdock.yaml", env={"TOKEN": "secret-token"}, registry=load_plugins()).flows["bill"].flow
    async with open_journal(URL, redact=str, now=lambda: AT) as journal:
        await journal.store_plan(flow.plan_hash(), "bill", flow.to_plan())
        for number, run in enumerate((FAILED, OTHER, RUNNING)):
            event = NewEvent(f"e{number}", "deal.won", f"k{number}", {"deal": {"id": f"k{number}"}})
            await journal.accept("crm", [(event, [NewRun(run, "bill", f"k{number}", flow.plan_hash())])])
        claims = {one.row.id: one.claim for one in await journal.claim("me", 10, AT, timedelta(seconds=60))}
        made = {"id": "58", "created": True, "url": None, "undo": {}, "name": "Acme"}
        steps = [
            Checkpoint("hydrate", None, "done", {"records": {"deal": {"id": "k0"}}}, AT),
            Checkpoint("plan", None, "done", {"inputs": {"customer": {}, "invoice": {}, "back": {}}}, AT),
            Checkpoint("apply", "customer", "intent", {"key": "x"}, AT),
            Checkpoint("apply", "customer", "done", {"receipt": made}, AT + timedelta(seconds=1)),
            Checkpoint("apply", "invoice", "intent", {"key": "y", "input": INPUT}, AT + timedelta(seconds=2)),
            Checkpoint("apply", "invoice", "failed", {"error": ERROR}, AT + timedelta(seconds=2.5)),
            Checkpoint("undo", "customer", "done", {"id": "58", "touched": True}, AT + timedelta(seconds=3)),
            Checkpoint("end", None, "rolled_back", {"alert": True}, AT + timedelta(seconds=3)),
        ]
        ended = RunUpdate("rolled_back", error=ERROR, leg="invoice", stopped_connection="books", ended=True)
        await journal.checkpoint(claims[FAILED], steps, ended, None)
        done = Checkpoint("end", None, "succeeded", {"alert": False}, AT)
        await journal.checkpoint(claims[OTHER], [done], RunUpdate("succeeded", ended=True), None)
        waits = RunUpdate("waiting", due_at=AT + timedelta(days=9999), release=True)
        await journal.checkpoint(claims[RUNNING], [], waits, None)


def test_runs_are_listed_newest_first_and_page_by_page(cross: Callable[..., Any], journal: Path) -> None:
    first = cross("runs", "list", "--limit", "2", "--json")
    assert [run["id"] for run in first.json["items"]] == [RUNNING, OTHER]
    second = cross("runs", "list", "--limit", "2", "--cursor", first.json["next_cursor"], "--json")
    assert [run["id"] for run in second.json["items"]] == [FAILED]
    assert second.json["next_cursor"] is None


def test_the_list_can_be_narrowed(cross: Callable[..., Any], journal: Path) -> None:
    for narrowed in (("--status", "rolled_back"), ("--key", "k0"), ("--flow", "bill", "--key", "k0")):
        assert [run["id"] for run in cross("runs", "list", *narrowed, "--json").json["items"]] == [FAILED]
    assert cross("runs", "list", "--flow", "other", "--json").json["items"] == []
    at_books = ("--connection", "books", "--leg", "invoice", "--error", "rejected")
    assert [run["id"] for run in cross("runs", "list", *at_books, "--json").json["items"]] == [FAILED]
    both = ("--status", "rolled_back", "--status", "waiting", "--since", "2026-03-01", "--until", "2026-03-02")
    assert [run["id"] for run in cross("runs", "list", *both, "--json").json["items"]] == [RUNNING, FAILED]
    assert [run["id"] for run in cross("runs", "list", "--text", FAILED[:9], "--json").json["items"]] == [FAILED]
    assert [run["id"] for run in cross("runs", "list", "--needs-person", "--json").json["items"]] == [FAILED]
    for none in (("--until", "2026-03-01"), ("--text", "nobody"), ("--since", "0s")):
        assert cross("runs", "list", *none, "--json").json["items"] == []


def test_a_time_that_is_none_is_wrong_usage(cross: Callable[..., Any], journal: Path) -> None:
    ran = cross("runs", "list", "--since", "yesterday")
    assert ran.code == 2
    assert "--since: 'yesterday' is no instant; write how long ago" in ran.err


def test_the_table_shows_status_and_error(cross: Callable[..., Any], journal: Path) -> None:
    out = cross("runs", "list").out
    row = next(line for line in out.splitlines() if FAILED in line)
    assert "rolled_back" in row
    assert "no item has SKU [X]" in row


def test_a_run_tells_its_story(cross: Callable[..., Any], journal: Path) -> None:
    ran = cross("runs", "show", FAILED)
    assert ran.code == 0
    for said in (
        "crm told of deal.won k0",
        "wrote 58, name Acme",
        "write failed (rejected): no item has SKU [X] (code 610, field lines[0].sku)",
        "undone 58",
        "rolled back; a person is told",
    ):
        assert said in ran.out
    states = {leg["leg"]: leg["state"] for leg in cross("runs", "show", FAILED, "--json").json["legs"]}
    assert states == {"customer": "undone", "invoice": "failed", "back": "not reached"}


def test_what_the_failed_leg_was_given_is_shown_exactly(cross: Callable[..., Any], journal: Path) -> None:
    assert cross("runs", "show", FAILED).out.endswith(f"\n{PAYLOAD}")


def test_the_payload_is_shown_whatever_became_of_the_connections(
    cross: Callable[..., Any], journal: Path, home: Path
) -> None:
    (home / "crossdock.yaml").unlink()
    assert cross("runs", "show", FAILED).out.endswith(f"\n{PAYLOAD}")


def test_a_run_that_stopped_before_any_leg_shows_its_records(cross: Callable[..., Any], journal: Path) -> None:
    asyncio.run(_stop(RUNNING))
    assert cross("runs", "show", RUNNING).out.endswith('\nPayload\n{\n  "deal": {\n    "id": "k2"\n  }\n}\n')


async def _stop(run: str) -> None:
    async with open_journal(URL, redact=str, now=lambda: AT + timedelta(days=10_000)) as journal:
        later = AT + timedelta(days=10_000)
        (held,) = await journal.claim("me", 10, later, timedelta(seconds=60))
        assert held.row.id == run
        steps = [
            Checkpoint("hydrate", None, "done", {"records": {"deal": {"id": "k2"}}}, later),
            Checkpoint("plan", None, "failed", {"error": {"kind": "mapping", "message": "no"}}, later),
            Checkpoint("end", None, "dead", {"alert": True}, later),
        ]
        await journal.checkpoint(held.claim, steps, RunUpdate("dead", ended=True), None)


def test_a_run_to_which_nothing_happened_shows_no_payload(cross: Callable[..., Any], journal: Path) -> None:
    for run in (OTHER, RUNNING):
        assert "Payload" not in cross("runs", "show", run).out
        assert cross("runs", "show", run, "--json").json["payload"] is None


def test_who_looks_needs_no_secrets(cross: Callable[..., Any], journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKEN")
    assert cross("runs", "show", FAILED, "--json").json["legs"][0]["state"] == "undone"


def test_an_id_may_be_cut_short_while_it_is_clear(cross: Callable[..., Any], journal: Path) -> None:
    assert cross("runs", "show", "01aaaaaa", "--json").json["id"] == FAILED
    unclear = cross("runs", "show", "01aaa")
    assert (unclear.code, "2 runs" in unclear.err) == (1, True)
    assert cross("runs", "show", "02").code == 1


def test_a_replay_follows_the_flow_as_it_is_now(cross: Callable[..., Any], journal: Path, home: Path) -> None:
    file = home / "crossdock.yaml"
    file.write_text(file.read_text().replace("{{ deal.title }}", "{{ deal.title | upper }}"))
    new = cross("runs", "replay", FAILED, "--json").json
    assert (new["replay_of"], new["status"]) == (FAILED, "queued")
    flow = load(file, env={"TOKEN": "secret-token"}, registry=load_plugins()).flows["bill"].flow
    assert asyncio.run(_plan_of(new["id"])) == flow.plan_hash()


async def _plan_of(run: str) -> str:
    async with open_journal(URL, redact=str) as journal:
        row = await journal.run(run)
        assert row is not None
        assert await journal.plan(row.plan_hash)
        return row.plan_hash


def test_a_replay_says_whether_a_run_goes_on_or_has_a_successor(cross: Callable[..., Any], journal: Path) -> None:
    assert cross("runs", "replay", "01ccc").out == ("run 01ccc goes on; a running server takes it up within a second\n")
    said = cross("runs", "replay", FAILED).out
    successor = cross("runs", "show", FAILED, "--json").json["replayed_by"]
    assert said.startswith(f"run {FAILED} is queued as {successor} (queued);")


def test_what_cannot_be_replayed_or_cancelled_is_failed_work(cross: Callable[..., Any], journal: Path) -> None:
    for command, run, said in (
        ("replay", OTHER, "succeeded"),
        ("cancel", FAILED, "ended already"),
        ("cancel", "0" * 26, "no run has the id"),
        ("show", "0" * 26, "no run has the id"),
    ):
        ran = cross("runs", command, run)
        assert (ran.code, ran.err.count("\n")) == (1, 1)
        assert said in ran.err


def test_a_cancel_reaches_the_journal(cross: Callable[..., Any], journal: Path) -> None:
    ran = cross("runs", "cancel", RUNNING)
    assert ran.code == 0
    assert RUNNING in ran.out
    steps = cross("runs", "show", RUNNING, "--json").json["steps"]
    assert [step["kind"] for step in steps] == ["cancel"]


def test_a_cancel_that_keeps_what_was_made_says_so_to_the_journal(cross: Callable[..., Any], journal: Path) -> None:
    assert cross("runs", "cancel", RUNNING, "--keep", "--why", "it is right").code == 0
    [step] = cross("runs", "show", RUNNING, "--json").json["steps"]
    assert (step["kind"], step["data"]["keep"]) == ("cancel", True)


def test_a_replay_from_a_leg_is_refused_where_nothing_of_it_stands(cross: Callable[..., Any], journal: Path) -> None:
    for leg, said in (("invoice", "nothing that invoice or a later leg made stands"), ("invoce", "mean invoice?")):
        ran = cross("runs", "replay", FAILED, "--from", leg)
        assert (ran.code, ran.err.count("\n")) == (1, 1)
        assert said in ran.err


def test_an_edit_of_a_run_without_records_says_that_it_has_none(cross: Callable[..., Any], journal: Path) -> None:
    ran = cross("runs", "replay", RUNNING, "--edit", "deal.title=X")
    assert (ran.code, "has no records to edit" in ran.err) == (1, True)


def test_a_filter_that_is_none_is_said_before_any_journal_is_looked_for(cross: Callable[..., Any], home: Path) -> None:
    for given, said in (("flw=x", "write NAME=VALUE"), ("since=yestrday", "no instant"), ("status=ded", "mean dead?")):
        ran = cross("runs", "replay", "--filter", given)
        assert (ran.code, said in ran.err, "journal" in ran.err) == (2, True, False), ran.err


def test_who_has_no_journal_and_no_server_to_ask_is_told_how_to_get_one(cross: Callable[..., Any], home: Path) -> None:
    assert "crossdock serve" in cross("users", "list").err
    assert "--url" not in cross("users", "list").err
    assert "Value error" not in cross("users", "add", "ann", "--role", "boss").err


def test_a_misspelt_status_is_wrong_usage(cross: Callable[..., Any], journal: Path) -> None:
    ran = cross("runs", "list", "--status", "rolled_bak")
    assert (ran.code, "did you mean rolled_back?" in ran.err) == (2, True)


def test_looking_makes_no_journal(cross: Callable[..., Any], home: Path) -> None:
    ran = cross("runs", "list")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "crossdock serve" in ran.err
    assert "--url" in ran.err
    assert not (home / "crossdock.db").exists()


def test_a_server_that_is_not_there_is_one_line(cross: Callable[..., Any], home: Path) -> None:
    ran = cross("runs", "list", "--url", "http://127.0.0.1:1")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert "http://127.0.0.1:1" in ran.err


async def test_a_server_gives_the_same_answers(
    journal: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from crossdock.cli.desk import open_desk
    from crossdock.runtime import Crossdock
    from crossdock.settings import Settings
    from crossdock.web.app import create_app
    from crossdock_sdk.testing import serve

    settings = Settings(config=home / "crossdock.yaml", database_url=URL, admin_token="the-admin-token")
    runtime = Crossdock(settings, env={"TOKEN": "secret-token"})
    async with serve(create_app(runtime=runtime)) as url:
        async with open_desk(settings, url) as far, open_desk(settings, None) as near:
            assert await far.show(FAILED) == await near.show(FAILED)
            assert (await far.list({"key": "k0"}))["items"] == (await near.list({"key": "k0"}))["items"]
            replay = await far.replay(FAILED, {"edits": [], "why": None, "reread": False})
            assert replay["replay_of"] == FAILED
        with pytest.raises(Exception, match="give a token"):
            async with open_desk(settings.model_copy(update={"admin_token": None}), url) as shut:
                await shut.list({})
