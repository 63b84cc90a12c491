"""The files in examples/ work as they stand."""

from __future__ import annotations

import difflib
import re
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from crossdock.cli import run

EXAMPLES = Path(__file__).parents[2] / "examples"
EXAMPLE = EXAMPLES / "deal-to-invoice.yaml"
SALESFORCE = EXAMPLES / "deal-to-invoice-salesforce.yaml"
NEEDED = re.compile(r"(?<!\$)\$\{(\w+)\}")


def test_the_demo_plays_the_example() -> None:
    assert files("crossdock.cli").joinpath(EXAMPLE.name).read_text(encoding="utf-8") == EXAMPLE.read_text("utf-8")


def test_the_readme_names_every_variable_that_the_example_needs() -> None:
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    needed = {name for path in (EXAMPLE, SALESFORCE) for name in NEEDED.findall(path.read_text("utf-8"))}
    assert "PIPEDRIVE_API_TOKEN" in needed
    assert {name for name in needed if f"`{name}`" not in readme} == set()


def test_the_two_crms_differ_in_their_connection_alone() -> None:
    pipedrive, salesforce = (yaml.safe_load(path.read_text("utf-8")) for path in (EXAMPLE, SALESFORCE))
    assert pipedrive["connections"].pop("crm") != salesforce["connections"].pop("crm")
    assert pipedrive == salesforce
    lines = difflib.ndiff(*(path.read_text("utf-8").splitlines() for path in (EXAMPLE, SALESFORCE)))
    changed = [line[2:] for line in lines if line.startswith(("- ", "+ "))]
    block = {line for path in (EXAMPLE, SALESFORCE) for line in crm_lines(path)}
    assert changed
    assert set(changed) <= block


def crm_lines(path: Path) -> list[str]:
    """The lines of a file's CRM connection."""
    lines = path.read_text("utf-8").splitlines()
    return lines[lines.index("  crm:") : lines.index("  books:")]


@pytest.mark.parametrize("path", [EXAMPLE, SALESFORCE], ids=lambda path: path.stem)
def test_the_example_has_no_mistake(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NEEDED.findall(path.read_text("utf-8")):
        monkeypatch.setenv(name, "https://acme.example/x" if name.endswith("URL") else "made-up-value")
    assert run(["check", str(path)]) == 0, capsys.readouterr().err
    assert "deal-to-invoice: crm.deal.won → customer → invoice → writeback → (task)" in capsys.readouterr().out
