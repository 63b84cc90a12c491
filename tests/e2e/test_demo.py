"""`crossdock demo` from the outside."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from crossdock.cli import demo, run


def play(folder: Path, *arguments: str) -> tuple[int, Any]:
    """Exit code, and standard output as the one JSON document that it must be."""
    command = [sys.executable, "-m", "crossdock", "demo", "--once", "--json", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout, parse_float=Decimal)


def test_a_won_deal_becomes_one_invoice_to_the_cent_and_nothing_else(tmp_path: Path) -> None:
    code, told = play(tmp_path, "--no-task")
    assert (code, told["ok"]) == (0, True), told["checks"]
    assert [(leg["leg"], leg["state"]) for leg in told["legs"]] == [
        ("customer", "stands"),
        ("invoice", "stands"),
        ("writeback", "stands"),
    ]
    (invoice,) = told["systems"]["books"]["invoices"]
    (deal,) = told["systems"]["crm"]["deals"]
    assert invoice["total"] == told["deal"]["value"] == Decimal("1410.02")
    assert deal["invoice_number"] == invoice["number"]
    assert told["systems"]["board"]["tasks"] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("crm", ["pipedrive", "salesforce"])
def test_the_whole_story_from_won_to_done(tmp_path: Path, crm: str) -> None:
    code, told = play(tmp_path, "--crm", crm)
    assert (code, told["ok"]) == (0, True), told["checks"]
    (invoice,) = told["systems"]["books"]["invoices"]
    assert (invoice["lines"], invoice["total"]) == (3, Decimal("1410.02"))
    assert (told["paid"]["flow"], told["paid"]["status"]) == ("invoice-paid", "succeeded")
    (deal,) = told["systems"]["crm"]["deals"]
    assert (deal["invoice_number"], deal["invoice_status"]) == (invoice["number"], "paid")
    (task,) = told["systems"]["board"]["tasks"]
    assert task["completed"] is True
    assert invoice["number"] in task["notes"]


def test_a_deal_that_is_a_cent_off_is_told_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(demo.DEAL, "value", Decimal("1410.03"))
    assert run(["demo", "--once", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    wrong = {check["what"] for check in told["checks"] if not check["ok"]}
    assert told["run"]["status"] == "dead"
    assert told["ok"] is False
    assert {"one run, and it succeeded", "nobody had to be told"} <= wrong
    assert told["systems"]["books"] == {"customers": [], "invoices": []}


def test_a_person_sees_each_leg_and_what_stands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--once"]) == 0
    out = capsys.readouterr().out
    for said in (
        "customer",
        "invoice    wrote 1, number 1001, total 1410.02",
        "writeback",
        "What stands",
        "ok  one invoice",
    ):
        assert said in out


def test_an_unknown_crm_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--once", "--crm", "pipedrve"]) == 2
    assert "did you mean pipedrive?" in capsys.readouterr().err
