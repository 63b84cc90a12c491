"""The dashboard and the alert rules name only what the server shows, and their links lead somewhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from crossdock import gauges
from crossdock.metrics import Metric
from crossdock.runtime import Crossdock
from crossdock.settings import Settings

ROOT = Path(__file__).parent.parent
DASHBOARD = json.loads((ROOT / "deploy/grafana/crossdock.json").read_text("utf-8"))
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
TAKEN = {"job", "instance", "le"}
"""Labels that Prometheus gives, or that a histogram has."""


@pytest.fixture(scope="module")
def metrics() -> dict[str, Metric]:
    runtime = Crossdock(Settings(), env={})
    gauges.watch(runtime)
    return {metric.name: metric for metric in runtime.metrics.registry.metrics}


def names(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:crossdock|process)_[a-z0-9_]+\b", expression))


def metric_of(name: str, metrics: dict[str, Metric]) -> Metric | None:
    found = metrics.get(name) or metrics.get(re.sub(r"_(bucket|sum|count)$", "", name))
    return found if found and (found.name == name or found.kind == "histogram") else None


def labels(expression: str) -> set[str]:
    matched = re.findall(r'(\w+)\s*(?:=~|!=|!~|=)\s*"', expression)
    grouped = re.findall(r"(?:by|without|on)\s*\(([^)]*)\)", expression)
    return {*matched, *(label.strip() for group in grouped for label in group.split(",") if label.strip())}


@pytest.mark.parametrize("expression", [*EXPRESSIONS, *(rule["expr"] for rule in RULES)])
def test_a_query_names_only_metrics_and_labels_that_there_are(expression: str, metrics: dict[str, Metric]) -> None:
    used = names(expression)
    assert used
    found = {name: metric_of(name, metrics) for name in used}
    assert [name for name, metric in found.items() if metric is None] == []
    known = {label for metric in found.values() if metric for label in metric.labels}
    assert labels(expression) <= known | TAKEN


def test_variables_of_the_dashboard_ask_for_what_there_is(metrics: dict[str, Metric]) -> None:
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["query"] == "prometheus"
    for name in ("job", "flow"):
        assert names(variables[name]["definition"]) <= metrics.keys()
    used = set(re.findall(r"\$(?!__)\{?(\w+)", json.dumps(PANELS)))
    assert used == variables.keys()


def test_every_metric_is_on_the_dashboard(metrics: dict[str, Metric]) -> None:
    shown = {metric.name for name in names(" ".join(EXPRESSIONS)) if (metric := metric_of(name, metrics))}
    assert metrics.keys() == shown


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_a_rule_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert len(rule["annotations"]["summary"]) > 25
    assert rule["annotations"]["runbook"].startswith("docs/runbook.md#")


def test_every_link_to_the_runbook_leads_to_a_heading_of_it() -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs/runbook.md").read_text("utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    linked = re.findall(r"docs/runbook\.md#([\w-]+)", json.dumps([DASHBOARD, RULES]))
    assert linked
    assert set(linked) <= anchors


def test_the_page_about_metrics_tells_of_each_as_it_is_shown(metrics: dict[str, Metric]) -> None:
    page = (ROOT / "docs/metrics.md").read_text("utf-8")
    told = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith(("| `crossdock_", "| `process_")):
            assert len(cells) == 7, line
            told[cells[0].strip("`")] = (cells[1], re.findall(r"`(\w+)`", cells[2]), cells[3], cells[4].strip("`"))
    shown = {
        name: (each.kind, list(each.labels), each.unit if each.otel else "", each.otel or "not sent")
        for name, each in metrics.items()
    }
    assert shown == told


def test_names_are_those_that_prometheus_advises(metrics: dict[str, Metric]) -> None:
    for name, each in metrics.items():
        assert name.endswith("_total") == (each.kind == "counter"), name
        assert not re.search(r"_(sum|count|bucket|info)$", name) or name == "crossdock_build_info"
        assert ("seconds" in name) == (each.unit == "s"), name
        assert ("bytes" in name) == (each.unit == "By"), name
        assert not set(each.labels) & {*TAKEN, "id", "run", "key", "message", "error"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool, of Debian's package prometheus, is not here")
@pytest.mark.parametrize("check", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")])
def test_prometheus_itself_takes_the_rules_and_finds_that_they_ring_when_they_should(check: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *check], cwd=ROOT / "deploy/prometheus", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_rings_in_their_own_tests() -> None:
    tests = yaml.safe_load((ROOT / "deploy/prometheus/alerts_test.yml").read_text("utf-8"))["tests"]
    rung = re.findall(r'alertname="(\w+)"', json.dumps(tests).replace('\\"', '"'))
    assert set(rung) == {rule["alert"] for rule in RULES}
