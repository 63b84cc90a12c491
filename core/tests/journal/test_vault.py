"""The vault: encrypted, compared and swapped, refreshed by one at a time."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from crossdock.vault import LEASE, Vault, VaultError, parse_keys, secret_key
from crossdock_sdk import AuthError, Token, TransientError
from crossdock_sdk.http.oauth2 import LONGEST_REFRESH
from cryptography.fernet import Fernet

ACCESS, REFRESH = "access-canary-91c2", "refresh-canary-77ab"


def bytes_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


@pytest.fixture
def vault(journal: Any, clock: Any) -> Callable[..., Vault]:
    async def sleep(seconds: float) -> None:
        clock.advance(seconds)
        await asyncio.sleep(0)

    def make(owner: str = "me", keys: str = "a passphrase") -> Vault:
        return Vault(journal, parse_keys(keys), owner, clock, sleep=sleep)

    return make


async def test_a_token_comes_back_as_it_was_with_its_version(vault: Any, clock: Any) -> None:
    store = vault().store_for("books")
    assert await store.load() is None
    expires = clock() + timedelta(hours=1)
    assert await store.swap(Token(ACCESS, REFRESH, expires), expected=0) is True
    assert await vault("another").store_for("books").load() == Token(ACCESS, REFRESH, expires, 1)
    assert await store.swap(Token("next"), expected=1) is True
    assert await store.load() == Token("next", None, None, 2)
    assert await vault().store_for("crm").load() is None


async def test_when_tokens_end_is_told_as_far_as_it_is_known(vault: Any, clock: Any) -> None:
    store = vault().store_for("books")
    assert await vault().expiries("books") == {}
    soon, late = clock() + timedelta(hours=1), clock() + timedelta(days=100)
    await store.swap(Token(ACCESS, REFRESH, soon, refresh_expires_at=late), expected=0)
    assert await vault().expiries("books") == {"access": soon, "refresh": late}
    await store.swap(Token(ACCESS, REFRESH), expected=1)
    assert await vault().expiries("books") == {}


async def test_a_token_of_an_earlier_version_says_nothing_of_the_refresh_tokens_end(vault: Any, journal: Any) -> None:
    old = b'{"access_token": "a-token", "refresh_token": null, "expires_at": null}'
    await journal.swap_token("books", Fernet(parse_keys("a passphrase")[0]).encrypt(old), 0)
    assert await vault().store_for("books").load() == Token("a-token", None, None, 1)


async def test_the_slower_of_two_swaps_is_refused(vault: Any) -> None:
    store = vault().store_for("books")
    swaps = [store.swap(Token(f"t{i}"), expected=0) for i in range(5)]
    assert sorted(await asyncio.gather(*swaps)) == [False] * 4 + [True]


async def test_no_token_stands_in_the_files_or_in_any_text(vault: Any, tmp_path: Path) -> None:
    store = vault().store_for("books")
    await store.swap(Token(ACCESS, REFRESH), expected=0)
    written = bytes_in(tmp_path)
    assert ACCESS.encode() not in written
    assert REFRESH.encode() not in written
    shown = repr(await store.load()) + repr(store) + repr(vault())
    assert ACCESS not in shown
    assert "passphrase" not in shown


async def test_a_wrong_key_is_said_in_one_line_with_what_to_do(vault: Any) -> None:
    await vault().store_for("books").swap(Token(ACCESS), expected=0)
    with pytest.raises(VaultError) as wrong:
        await vault(keys="another passphrase").store_for("books").load()
    text = str(wrong.value)
    assert "connection books" in text
    assert "CROSSDOCK_SECRET_KEY" in text
    assert "if it is lost, connect the account anew under another connection name" in text
    assert "\n" not in text
    assert ACCESS not in text
    assert wrong.value.__cause__ is None
    assert isinstance(wrong.value, AuthError)


async def test_keys_rotate_without_losing_a_token(vault: Any) -> None:
    await vault(keys="old").store_for("books").swap(Token(ACCESS), expected=0)
    both = vault(keys="new, old")
    assert (await both.store_for("books").load()).access_token == ACCESS
    assert await both.rotate("books") is True
    assert (await vault(keys="new").store_for("books").load()) == Token(ACCESS, None, None, 2)
    with pytest.raises(VaultError):
        await vault(keys="old").store_for("books").load()
    assert await both.rotate("crm") is False


async def test_twenty_refreshes_at_once_in_two_processes_are_one(vault: Any) -> None:
    stores = [vault("one").store_for("books"), vault("two").store_for("books")]
    refreshes = 0

    async def use(store: Any) -> str:
        nonlocal refreshes
        async with store.exclusive():
            token = await store.load()
            if token is None:
                refreshes += 1
                await asyncio.sleep(0)
                assert await store.swap(Token(ACCESS), expected=0)
        return str((await store.load()).access_token)

    assert set(await asyncio.gather(*(use(stores[i % 2]) for i in range(20)))) == {ACCESS}
    assert refreshes == 1


async def test_the_right_to_refresh_is_given_back_also_after_a_failure(vault: Any) -> None:
    one, two = vault("one").store_for("books"), vault("two").store_for("books")
    with pytest.raises(ZeroDivisionError):
        async with one.exclusive():
            raise ZeroDivisionError
    entered = False
    async with two.exclusive():
        entered = True
    assert entered


async def test_another_connection_does_not_wait(vault: Any, clock: Any) -> None:
    store = vault()
    before = clock()
    async with store.store_for("books").exclusive(), store.store_for("crm").exclusive():
        assert clock() == before


async def test_a_holder_that_died_is_waited_for_no_longer_than_its_lease(vault: Any, journal: Any, clock: Any) -> None:
    start = clock()
    await journal.lease_token("books", "dead", start + LEASE, start)
    async with vault().store_for("books").exclusive():
        assert LEASE - timedelta(seconds=1) < clock() - start <= LEASE + timedelta(seconds=1)


def test_the_right_to_refresh_outlasts_the_slowest_token_endpoint() -> None:
    time_for_the_journal = 20
    assert LEASE.total_seconds() >= LONGEST_REFRESH + time_for_the_journal


async def test_a_holder_that_goes_on_for_ever_is_a_transient_error(vault: Any, journal: Any, clock: Any) -> None:
    far = clock() + timedelta(days=1)
    await journal.lease_token("books", "greedy", far, clock())
    with pytest.raises(TransientError, match="connection books"):
        async with vault().store_for("books").exclusive():
            pass
    await journal.release_token("books", "greedy")
    async with vault().store_for("books").exclusive():
        pass


def test_a_fernet_key_is_taken_as_it_is_and_other_text_is_hashed() -> None:
    key = Fernet.generate_key()
    assert parse_keys(f" {key.decode()} ,, words ")[0] == key
    assert parse_keys("words") == parse_keys(" words")
    assert parse_keys("words") != parse_keys("other words")
    assert parse_keys(" , ") == []
    Fernet(parse_keys("wörds")[0])


def test_without_a_setting_a_key_file_is_made_once_beside_the_database(tmp_path: Path) -> None:
    database = tmp_path / "crossdock.db"
    keys = secret_key(None, database)
    assert secret_key("", database) == keys
    path = tmp_path / "crossdock.db.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [f.name for f in tmp_path.iterdir()] == ["crossdock.db.key"]
    assert Fernet(keys[0])


def test_a_setting_goes_before_the_key_file(tmp_path: Path) -> None:
    assert secret_key("a, b", tmp_path / "x.db") == parse_keys("a,b")
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_that_is_empty_or_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.db.key").write_text("\n")
    with pytest.raises(VaultError, match="is empty; restore it"):
        secret_key(None, tmp_path / "x.db")
    with pytest.raises(VaultError, match="set CROSSDOCK_SECRET_KEY instead"):
        secret_key(None, tmp_path / "nowhere" / "x.db")


async def test_a_vault_without_key_is_refused(journal: Any, clock: Any) -> None:
    with pytest.raises(VaultError, match="CROSSDOCK_SECRET_KEY"):
        Vault(journal, [], "me", clock)
