from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest


def test_what_each_connector_brings_is_listed(cross: Callable[..., Any]) -> None:
    ran = cross("connectors", "--json")
    assert ran.code == 0
    brought = {connector["connector"]: connector for connector in ran.json["connectors"]}
    assert brought["log"]["notifier"] is True
    assert [event["type"] for event in brought["pipedrive"]["events"]] == ["deal.won"]
    invoice = next(a for a in brought["quickbooks"]["actions"] if a["name"] == "invoice.create")
    assert invoice["redo"] == "native_key"
    assert brought["quickbooks"]["simulator"] is True


def test_a_broken_plugin_is_listed_with_its_error_beside_the_others(
    cross: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = EntryPoint("acme", "no_such_module_of_acme", "crossdock")
    installed = tuple(importlib.metadata.entry_points(group="crossdock"))
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: EntryPoints((*installed, broken)).select(group=group)
    )
    ran = cross("connectors", "--json")
    plugins = {plugin["name"]: plugin for plugin in ran.json["plugins"]}
    assert plugins["acme"]["status"] == "failed"
    assert "no_such_module_of_acme" in plugins["acme"]["error"]
    assert plugins["pipedrive"]["status"] == "loaded"
    assert "no_such_module_of_acme" in cross("connectors").out
