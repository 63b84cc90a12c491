"""Secrets in the configuration: short ones are warned of, and no flow says one in clear."""

from __future__ import annotations

import pytest
from crossdock.config.load import ConfigProblems, load
from crossdock.plugins import Registry

TOKEN = "crm-token-canary"


def problems(text: str, registry: Registry, env: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigProblems) as caught:
        load(text, env=env, registry=registry)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("secret", "counted"), [("p", "1 character"), ("tok", "3 characters"), ("12345", "5 characters")]
)
def test_a_secret_too_short_to_be_masked_is_a_warning(good: str, registry: Registry, secret: str, counted: str) -> None:
    loaded = load(good, env={"CRM_TOKEN": TOKEN, "BOOKS_SECRET": secret}, registry=registry)
    assert loaded.warnings == (
        f"connections.books.client_secret has {counted}: too short to be masked in logs and alerts; use a longer one",
    )


def test_a_secret_that_can_be_masked_is_no_warning(good: str, registry: Registry) -> None:
    assert load(good, env={"CRM_TOKEN": TOKEN, "BOOKS_SECRET": "123456"}, registry=registry).warnings == ()


def test_a_short_secret_is_warned_of_beside_mistakes_and_garbles_none(good: str, registry: Registry) -> None:
    text = good.replace("attempts: 3", "attempts: many")
    with pytest.raises(ConfigProblems) as caught:
        load(text, env={"CRM_TOKEN": TOKEN, "BOOKS_SECRET": "a"}, registry=registry)
    assert [problem.message for problem in caught.value.problems] == ["must be a whole number"]
    assert len(caught.value.warnings) == 1


def test_an_empty_or_too_short_secret_is_said_in_plain_words(good: str, registry: Registry) -> None:
    found = problems(good, registry, {"CRM_TOKEN": "", "BOOKS_SECRET": "12345"})
    assert found == ["crossdock.yaml:3: connections.crm.api_token: must have at least 8 characters"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("deal.custom.lead_score]", f"deal.custom.lead_score, deal.custom.{TOKEN}]", "ignore.1: contains"),
        (
            "discount_percent:",
            f"memo: Paid by {TOKEN}\n          discount_percent:",
            "legs.invoice.with.memo: contains",
        ),
        ("discount_percent:", "memo: '${CRM_TOKEN}'\n          discount_percent:", "legs.invoice.with.memo: contains"),
        ("{{ deal.organization.name }}", f"{{{{ '{TOKEN}' ~ deal.id }}}}", "legs.customer.with.name: contains"),
        ('key: "{{ deal.id }}"', f'key: "{{{{ deal.id }}}}-{TOKEN}"', "key: contains"),
        ("and deal value differ", TOKEN, "checks.0.say: contains"),
        ("invoice_number:", f"{TOKEN}:", "legs.writeback.with.custom: a key in it contains"),
        ("    notify:", f"    tables: {{t: {{a: [{TOKEN}]}}}}\n    notify:", "tables.t.a.0: contains"),
        ("{{ deal.organization.name }}", "Y3JtLXRva2VuLWNhbmFyeQ==", "legs.customer.with.name: contains"),
    ],
)
def test_a_flow_that_says_a_secret_is_refused(
    good: str, env: dict[str, str], registry: Registry, old: str, new: str, said: str
) -> None:
    assert old in good
    (found,) = problems(good.replace(old, new, 1), registry, env)
    assert f"flows.deal-to-invoice.{said} the secret of connections.crm.api_token; change one of them" in found
    assert TOKEN not in found


def test_a_secret_that_is_a_name_or_a_number_is_found_too(good: str, registry: Registry) -> None:
    env = {"CRM_TOKEN": TOKEN, "BOOKS_SECRET": "writeback"}
    (found,) = problems(good, registry, env)
    assert "legs: a key in it contains the secret of connections.books.client_secret;" in found
    text = good.replace('"{{ invoice.number }}"', "123456", 1)
    (found,) = problems(text, registry, env | {"BOOKS_SECRET": "123456"})
    assert "legs.writeback.with.custom.invoice_number: contains" in found


def test_a_secret_that_is_a_word_of_every_plan_is_refused(good: str, registry: Registry) -> None:
    (found,) = problems(good, registry, {"CRM_TOKEN": TOKEN, "BOOKS_SECRET": "rollback"})
    assert found.endswith("the secret of connections.books.client_secret is a word of every flow's plan; change it")


def test_a_short_secret_in_a_flow_is_no_mistake(good: str, registry: Registry) -> None:
    assert load(good, env={"CRM_TOKEN": TOKEN, "BOOKS_SECRET": "deal"}, registry=registry).flows
