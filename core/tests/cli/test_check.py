from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_a_good_file_is_told_with_its_flows(cross: Callable[..., Any], home: Path) -> None:
    ran = cross("check")
    assert (ran.code, ran.err) == (0, "")
    assert "1 flow, 3 connections" in ran.out
    assert "bill: crm.deal.won → customer → invoice → back → (remark)" in ran.out


def test_every_mistake_is_listed_with_its_line_and_the_right_name(cross: Callable[..., Any], home: Path) -> None:
    file = home / "wrong.yaml"
    wrong = (home / "crossdock.yaml").read_text().replace("books.invoice.create", "books.invoice.crete")
    file.write_text(wrong.replace("deal.products", "deal.product").replace("notify: [say]", "notify: [sai]"))
    ran = cross("check", "wrong.yaml")
    lines = ran.out.splitlines()
    assert (ran.code, ran.err) == (2, f"crossdock: wrong.yaml: {len(lines)} mistakes\n")
    assert all(line.startswith("wrong.yaml:") for line in lines)
    for number, right in ((18, "books.invoice.create"), (23, "deal.products"), (28, "say")):
        assert any(f"wrong.yaml:{number}:" in line and f"did you mean {right}" in line for line in lines), ran.out


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_short_secret_is_one_line_on_the_side(
    cross: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setenv("TOKEN", "tok")
    warning = (
        "crossdock: connections.crm.api_token has 3 characters: too short to be masked in logs and alerts;"
        " use a longer one\n"
    )
    ran = cross("check", *options)
    assert (ran.code, ran.err) == (0, warning)
    (home / "crossdock.yaml").write_text((home / "crossdock.yaml").read_text().replace("[say]", "[sai]"))
    ran = cross("check", *options)
    assert ran.code == 2
    assert ran.err.startswith(warning)
    assert "did you mean say?" in ran.out


def test_a_missing_secret_is_named_and_never_shown(
    cross: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOKEN")
    ran = cross("check")
    assert (ran.code, ran.err) == (2, "crossdock: crossdock.yaml: 1 mistake\n")
    assert "TOKEN" in ran.out


def test_json_is_one_document_both_ways(cross: Callable[..., Any], home: Path) -> None:
    good = cross("check", "--json")
    assert (good.code, good.json["ok"], good.json["connections"]["crm"]) == (0, True, "pipedrive")
    assert [leg["enabled"] for leg in good.json["flows"]["bill"]["legs"]] == [True, True, True, False]
    (home / "crossdock.yaml").write_text("version: 1\nflow: {}\n")
    bad = cross("check", "--json")
    assert (bad.code, bad.err, bad.json["ok"]) == (2, "", False)
    assert bad.json["problems"][0]["line"] == 2
    assert bad.json["problems"][0]["hint"] == "did you mean flows?"


def test_a_file_that_is_not_there_is_said_in_one_line(cross: Callable[..., Any], home: Path) -> None:
    ran = cross("check", "nowhere.yaml")
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert "nowhere.yaml" in ran.err
