"""The address at which vendors reach this server."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


class PublicUrlError(ValueError):
    """An address to which no vendor should be asked to send; one line."""


def public_url(given: str) -> str:
    """The address without a trailing slash. Raises `PublicUrlError`.

    It must be https, or what is delivered is read on the way; http is allowed to this machine alone.
    """
    try:
        parts = urlsplit(given)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise PublicUrlError(f"{given!r} is no URL; write something like https://hooks.example.com") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise PublicUrlError(f"{given!r} is no URL; write something like https://hooks.example.com")
    if parts.username is not None or parts.query or parts.fragment:
        raise PublicUrlError("write it without a user, a query and a fragment, such as https://hooks.example.com")
    if parts.scheme == "http" and not loopback(host):
        raise PublicUrlError(f"what is sent to {given} can be read on the way; use https://")
    return given.rstrip("/")


def loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
