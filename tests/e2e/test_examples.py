"""The files in examples/ work as they stand."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest
from crossdock.cli import run

EXAMPLES = Path(__file__).parents[2] / "examples"
EXAMPLE = EXAMPLES / "deal-to-invoice.yaml"
NEEDED = re.compile(r"(?<!\$)\$\{(\w+)\}")


def test_the_demo_plays_the_example() -> None:
    assert files("crossdock.cli").joinpath(EXAMPLE.name).read_text(encoding="utf-8") == EXAMPLE.read_text("utf-8")


def test_the_readme_names_every_variable_that_the_example_needs() -> None:
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    needed = set(NEEDED.findall(EXAMPLE.read_text("utf-8")))
    assert "PIPEDRIVE_API_TOKEN" in needed
    assert {name for name in needed if f"`{name}`" not in readme} == set()


def test_the_example_has_no_mistake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NEEDED.findall(EXAMPLE.read_text("utf-8")):
        monkeypatch.setenv(name, "https://acme.example/x" if name.endswith("URL") else "made-up-value")
    assert run(["check", str(EXAMPLE)]) == 0, capsys.readouterr().err
    assert "deal-to-invoice: crm.deal.won → customer → invoice → writeback → (task)" in capsys.readouterr().out
