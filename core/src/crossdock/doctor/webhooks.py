"""Webhooks at the vendors, held against what flows wait for: what `crossdock hooks list` shows, in a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from crossdock_sdk import Subscribable

from crossdock.connections import Connections
from crossdock.doctor.findings import Finding, State
from crossdock.ids import owner_id
from crossdock.journal.base import Journal
from crossdock.public import PublicUrlError, public_url
from crossdock.subscribing import Subscriber
from crossdock.vault import Vault


async def look(
    name: str,
    connections: Connections,
    events: Sequence[str],
    public: str | None,
    journal: Journal,
    vault: Vault,
    now: Callable[[], datetime],
) -> list[Finding]:
    """The webhooks of one connection; nothing for a vendor that has no API for them. Raises `ConnectorError`."""
    source = connections.source(name)
    if not isinstance(source, Subscribable):
        return []
    check = f"webhooks {name}"
    # What webhooks do not bring, a poll brings later.
    state: State = "warning" if connections.polling(name) else "wrong"
    if public is None:
        fix = "set CROSSDOCK_PUBLIC_URL to where the vendor reaches this server"
        return [Finding(check, state, "not looked at: where they should lead is not known", fix)]
    try:
        place = f"{public_url(public)}/webhooks/{name}"
    except PublicUrlError as error:
        return [Finding(check, state, f"CROSSDOCK_PUBLIC_URL: {error}", "set it right")]
    lines = await Subscriber(name, source, place, journal, vault, owner_id(), now).lines(events)
    wrong = [line for line in lines if line.wrong]
    fix = f"crossdock hooks sync {name}"
    if not wrong:
        topics = ", ".join(line.subscription.topic for line in lines if line.state == "ok")
        return [Finding(check, "ok", f"in place: {topics}" if topics else "none is needed")]
    return [
        Finding(
            check, state, f"{line.state}: {line.subscription.topic}" + (f" ({line.note})" if line.note else ""), fix
        )
        for line in wrong
    ]
