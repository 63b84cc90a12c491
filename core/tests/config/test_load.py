"""Loading: a good file whole, a bad one with all its mistakes, and no secret in any of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from crossdock.config.load import ConfigProblems, Loaded, load
from crossdock.plugins import Registry, load_plugins
from crossdock_sdk import hookimpl


def problems(text: str, registry: Registry, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigProblems) as caught:
        load(text, env=env or {}, registry=registry)
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return [str(problem) for problem in caught.value.problems]


def test_a_good_file_loads_whole(good: str, env: dict[str, str], registry: Registry) -> None:
    loaded = load(good, env=env, registry=registry)
    assert isinstance(loaded, Loaded)
    assert list(loaded.flows) == ["deal-to-invoice"]
    assert loaded.connections["crm"].connector == "acmecrm"
    config = loaded.connections["crm"].config
    assert config.api_token.get_secret_value() == "crm-token-canary"  # type: ignore[attr-defined]  # the test world's
    flow = loaded.flows["deal-to-invoice"]
    assert list(flow.legs) == ["customer", "invoice", "writeback", "task"]
    assert [leg.name for leg in flow.enabled] == ["customer", "invoice", "writeback"]
    assert ("deal", "title") not in flow.reads
    assert ("deal", "custom", "discount") in flow.reads
    assert flow.flow == loaded.routing.flows["deal-to-invoice"]


def test_secrets_are_filled_in_but_never_shown(good: str, env: dict[str, str], registry: Registry) -> None:
    loaded = load(good, env=env, registry=registry)
    assert loaded.routing.connections["crm"].raw == {"api_token": "${CRM_TOKEN}"}
    assert "canary" not in repr(loaded)
    assert "canary" in loaded.routing.connections["crm"].settings["api_token"]


def test_a_file_is_read_from_disk_and_named_in_problems(tmp_path: Path, registry: Registry) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text("version: 2\n", encoding="utf-8")
    with pytest.raises(ConfigProblems) as caught:
        load(path, env={}, registry=registry)
    assert str(caught.value) == f"{path}:1: version: this runtime reads version 1 only; write `version: 1`"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigProblems, match="not UTF-8"):
        load(path, env={}, registry=registry)
    with pytest.raises(ConfigProblems, match="cannot be read: No such file or directory; write one, or name"):
        load(tmp_path / "absent.yaml", env={}, registry=registry)


@pytest.mark.parametrize("text", ["", "[]", "5", "version"])
def test_what_is_no_routing_file_says_what_it_must_be(text: str, registry: Registry) -> None:
    assert "must be a mapping with version, connections and flows" in problems(text, registry)[0]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("${NAME}", "filled"),
        ("a-${NAME}-${NAME}", "a-filled-filled"),
        ("${ABSENT:-spare}", "spare"),
        ("${EMPTY:-spare}", "spare"),
        ("${NAME:-spare}", "filled"),
        ("${ABSENT:-}", ""),
        ("$${NAME}", "${NAME}"),
        ("$NAME", "$NAME"),
        ("$$", "$$"),
    ],
)
def test_variables_are_filled_in(setting: str, value: str, registry: Registry) -> None:
    text = f'version: 1\nconnections:\n  a: {{connector: pager, base_url: "{setting}"}}\n'
    loaded = load(text, env={"NAME": "filled", "EMPTY": ""}, registry=registry)
    assert loaded.connections["a"].config.base_url == value


def test_a_missing_variable_is_named_and_hides_nothing(registry: Registry) -> None:
    text = (
        "version: 1\nconnections:\n"
        '  crm: {connector: acmecrm, api_token: "${CRM_TOKN}"}\n'
        '  b: {connector: pager, base_url: "${}", odd: 1}\n'
    )
    found = problems(text, registry, {"CRM_TOKEN": "x"})
    assert found == [
        (
            "crossdock.yaml:3: connections.crm.api_token: the environment variable CRM_TOKN is not set;"
            " did you mean CRM_TOKEN?"
        ),
        (
            "crossdock.yaml:4: connections.b.base_url: ${ begins a variable such as ${NAME} or ${NAME:-default};"
            " write $${ for the text itself"
        ),
        "crossdock.yaml:4: connections.b.odd: unknown key odd",
    ]


@pytest.mark.parametrize("secret", ["pw 1-2", "a-long-secret-with spaces", "p'wö\"9"])
def test_no_problem_shows_what_came_from_the_environment(secret: str, registry: Registry) -> None:
    text = (
        "version: 1\nconnections:\n"
        '  b: {connector: acmebooks, client_id: x, client_secret: "${S}", realm: "${S} x", environment: "${S}"}\n'
        'flows:\n  f:\n    when: "${S}"\n    zone: "${S}"\n    legs:\n'
        '      a: {do: b.invoice.create, with: {customer_id: 1, lines: "${S}", due_date: "${S}"}}\n'
    )
    found = problems(text, registry, {"S": secret})
    assert len(found) >= 5
    assert secret not in "\n".join(found)


def test_a_connection_with_mistakes_hides_none_of_the_flows(good: str, registry: Registry) -> None:
    text = good.replace("api_token:", "api_tokn:").replace("deal.person.email", "deal.person.emial")
    found = problems(text, registry, {"CRM_TOKEN": "12345678", "BOOKS_SECRET": "123456"})
    assert found == [
        "crossdock.yaml:3: connections.crm.api_token: api_token is missing",
        "crossdock.yaml:3: connections.crm.api_tokn: unknown key api_tokn; did you mean api_token?",
        (
            "crossdock.yaml:18: flows.deal-to-invoice.legs.customer.with.email: unknown field deal.person.emial;"
            " did you mean deal.person.email?"
        ),
    ]


def test_a_connector_whose_plugin_failed_is_shown_with_the_plugins_error(good: str, env: dict[str, str]) -> None:
    class Acmecrm:
        @hookimpl
        def crossdock_sources(self) -> list[type]:
            raise RuntimeError("needs libacme 3")

    plugin = Acmecrm()
    plugin.__name__ = "acmecrm"  # type: ignore[attr-defined]  # stands for a module's name
    registry = load_plugins(extra=[plugin], entry_points=[])
    found = problems(good, registry, env)
    assert "the plugin acmecrm of connector acmecrm is failed: RuntimeError: needs libacme 3" in found[0]
    assert "unknown connector acmebooks; install it: pip install crossdock-acmebooks" in found[1]
    assert not any("unknown connection" in line or "unknown event" in line for line in found)


def test_an_anchor_can_share_what_connections_have_in_common(registry: Registry) -> None:
    text = (
        "version: 1\nconnections:\n"
        "  a: &books {connector: acmebooks, client_id: x, client_secret: abcdef}\n"
        "  b: {<<: *books, environment: sandbox}\n"
    )
    loaded = load(text, env={}, registry=registry)
    assert loaded.connections["b"].config.environment == "sandbox"  # type: ignore[attr-defined]  # the test world's


def test_a_duplicate_flow_or_leg_is_refused(good: str, env: dict[str, str], registry: Registry) -> None:
    text = good.replace("      writeback:", "      invoice:")
    assert "the key invoice is here twice; first in line 19" in "\n".join(problems(text, registry, env))
