"""What stands at a vendor, held against what should, without a vendor."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from crossdock.hooks import Known, compare, nonce_of, same_place
from crossdock.journal.hooks import StoredHook
from crossdock_sdk import Subscription

URL = "https://hooks.example.com/webhooks/lamp"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def stands(topic: str = "a", url: str = f"{URL}?hook=n", id_: str = "1", trouble: str | None = None) -> Subscription:
    return Subscription(topic, url, id_, trouble)


def known(*rows: StoredHook, needs_secret: bool = True, opens: bool = True) -> Known:
    return Known(rows, needs_secret=needs_secret, opens=lambda _: opens)


def row(nonce: str = "n", **more: Any) -> StoredHook:
    made: dict[str, Any] = {"secret": b"s", "registered_at": NOW, "subscription": "1"}
    return StoredHook("lamp", nonce, "a", URL, NOW, **(made | more))


def states(standing: list[Subscription], what: Known, *topics: str) -> list[tuple[str, str | None]]:
    wanted = [Subscription(topic, URL) for topic in topics or ("a",)]
    return [(line.state, line.subscription.id) for line in compare(wanted, standing, URL, what)]


@pytest.mark.parametrize(
    ("one", "same"),
    [
        (URL, True),
        (f"{URL}/", True),
        (f"{URL}?hook=1&x=2", True),
        ("https://HOOKS.example.com:443/webhooks/lamp", True),
        ("http://hooks.example.com/webhooks/lamp", False),
        ("https://hooks.example.com:8443/webhooks/lamp", False),
        ("https://hooks.example.com/webhooks/lamp2", False),
        ("https://hooks.example.com/webhooks/Lamp", False),
        ("https://hooks.example.com.evil.example/webhooks/lamp", False),
        ("https://[broken", False),
        ("", False),
    ],
)
def test_ours_is_what_differs_in_its_query_alone(one: str, same: bool) -> None:
    assert same_place(one, URL) is same


def test_the_nonce_is_in_the_query() -> None:
    assert nonce_of(f"{URL}?x=1&hook=abc") == "abc"
    assert [nonce_of(url) for url in (URL, f"{URL}?hook=", "https://[broken")] == [None, None, None]


def test_one_that_the_journal_knows_is_ok_by_its_nonce_or_where_the_url_has_none_by_its_id() -> None:
    assert states([stands()], known(row())) == [("ok", "1")]
    assert states([stands(url=URL)], known(row("m"))) == [("ok", "1")]


def test_a_nonce_that_is_not_known_is_not_made_good_by_the_id() -> None:
    assert states([stands()], known(row("m"))) == [("unknown", "1")]


@pytest.mark.parametrize(
    ("what", "state"),
    [
        (known(), "unknown"),
        (known(row(secret=None)), "unknown"),
        (known(row(), opens=False), "unknown"),
        (known(row(registered_at=None, pending_until=NOW)), "unfinished"),
        (known(row(secret=None), needs_secret=False), "ok"),
        (known(needs_secret=False), "ok"),
        (known(row(secret=None, registered_at=None, pending_until=NOW), needs_secret=False), "unfinished"),
    ],
)
def test_what_the_journal_lacks_is_wrong_only_where_a_secret_is_needed(what: Known, state: str) -> None:
    assert states([stands()], what) == [(state, "1")]


def test_trouble_comes_before_what_the_journal_knows() -> None:
    assert states([stands(trouble="switched off")], known()) == [("off", "1")]


def test_of_several_for_one_topic_the_best_stays() -> None:
    standing = [stands(id_="1", trouble="x"), stands(id_="2", url=f"{URL}?hook=?"), stands(id_="3")]
    assert states(standing, known(row())) == [("ok", "3"), ("unwanted", "1"), ("unwanted", "2")]


def test_a_topic_that_is_wanted_twice_is_one() -> None:
    assert states([], known(), "a", "a") == [("missing", None)]


def test_one_like_it_for_another_address_explains_what_is_missing() -> None:
    old = "https://old.example.com/webhooks/lamp"
    assert states([stands(url=f"{old}?hook=n")], known()) == [("wrong url", None), ("other", "1")]
    assert states([stands("b", f"{old}?hook=n")], known()) == [("missing", None), ("other", "1")]
    assert states([stands(url=f"{old}2")], known()) == [("missing", None), ("other", "1")]
