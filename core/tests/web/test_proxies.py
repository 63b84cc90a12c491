"""Whose address counts where a proxy stands before the server."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from crossdock.settings import Settings, SettingsError
from crossdock.web.access import address_of
from starlette.requests import Request


def seen(peer: str, trusted: str, *forwarded: str) -> str:
    settings = Settings(trusted_proxies=trusted)
    app = SimpleNamespace(state=SimpleNamespace(crossdock=SimpleNamespace(settings=settings)))
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    return address_of(Request({"type": "http", "client": (peer, 1), "headers": headers, "app": app}))


@pytest.mark.parametrize(
    ("peer", "trusted", "forwarded", "address"),
    [
        ("198.51.100.7", "", (), "198.51.100.7"),
        ("198.51.100.7", "", ("203.0.113.9",), "198.51.100.7"),
        ("127.0.0.1", "127.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        ("127.0.0.1", "127.0.0.1", ("10.9.9.9, 203.0.113.9",), "203.0.113.9"),
        ("127.0.0.1", "127.0.0.1, 10.0.0.0/8", ("203.0.113.9, 10.1.2.3",), "203.0.113.9"),
        ("127.0.0.1", "127.0.0.1", ("203.0.113.9", "203.0.113.10"), "203.0.113.10"),
        ("127.0.0.1", "127.0.0.1", ("unknown",), "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", (), "127.0.0.1"),
        ("::1", "::1", ("2001:db8::7",), "2001:db8::7"),
    ],
)
def test_only_a_proxy_of_ours_is_believed_and_only_for_whom_it_speaks(
    peer: str, trusted: str, forwarded: tuple[str, ...], address: str
) -> None:
    assert seen(peer, trusted, *forwarded) == address


def test_what_is_no_network_is_said() -> None:
    with pytest.raises(SettingsError, match=r"CROSSDOCK_TRUSTED_PROXIES.*nginx"):
        Settings.from_env({"CROSSDOCK_TRUSTED_PROXIES": "nginx"})
