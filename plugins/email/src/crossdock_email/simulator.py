"""The mail server's simulator: real SMTP on a free loopback port, beside the HTTP of the sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from email.message import EmailMessage
from typing import Any, Literal

from crossdock_sdk.testing import Simulator
from starlette.routing import BaseRoute

from crossdock_email.simulated_smtp import OK, Reply, Session

USERNAME = "crossdock"
PASSWORD = "sandbox-mail-password"  # noqa: S105  opens nothing but this simulator
RECIPIENT = "ops@example.com"
_READS_AHEAD = 2**20

Json = dict[str, Any]


class EmailSimulator(Simulator):
    """One mail server with one account. With `tls` it offers STARTTLS, or speaks TLS from the start if `implicit`."""

    connector = "email"

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        largest: int = 10_240_000,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        super().__init__(**({"clock": clock} if clock else {}))
        self.tls = tls
        self.implicit = implicit
        self.largest = largest
        """Bytes of the largest message that is taken; by default as Postfix has it."""
        self.credentials: tuple[str, str] | None = (USERNAME, PASSWORD)
        self.messages: list[Json] = []
        self._refused: dict[str, Reply] = {}
        self._address: tuple[str, int] | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    def routes(self) -> Sequence[BaseRoute]:
        return ()

    def state(self) -> Json:
        return {"messages": list(self.messages)}

    def seed(self) -> None:
        """A mail server begins empty."""

    def settings(self, url: str) -> Json:
        """Without encryption, which would need a certificate that the client trusts."""
        if self._address is None:
            raise RuntimeError("the simulated mail server does not listen; enter its `alongside` first")
        host, port = self._address
        security: Literal["none", "tls", "starttls"] = "none"
        if self.tls is not None:
            security = "tls" if self.implicit else "starttls"
        way = {"host": host, "port": port, "security": security}
        login = {"username": USERNAME, "password": PASSWORD}
        return {"connector": "email", **way, **login, "from": "Crossdock <crossdock@example.com>", "to": [RECIPIENT]}

    @contextlib.asynccontextmanager
    async def alongside(self) -> AsyncIterator[None]:
        """Listen while it lasts; sessions that are open at the end are cut."""
        context = self.tls if self.implicit else None
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_READS_AHEAD, ssl=context)
        self._address = server.sockets[0].getsockname()[:2]
        try:
            yield
        finally:
            self._address = None
            server.close()
            for session in tuple(self._sessions):
                session.cancel()
            await asyncio.gather(*self._sessions, return_exceptions=True)
            await server.wait_closed()

    async def trigger(self, event: str, body: Json) -> Json:
        """`mailbox.remove`, `mailbox.greylist` and `mailbox.restore` {address}; `password.change` {}."""
        if event == "password.change":
            self.credentials = (USERNAME, f"{PASSWORD}-changed")
            return {}
        replies = {
            "mailbox.remove": Reply(550, "5.1.1 User unknown"),
            "mailbox.greylist": Reply(450, "4.2.0 Greylisted, try again later"),
            "mailbox.restore": None,
        }
        if event not in replies:
            return await super().trigger(event, body)
        address, reply = str(body.get("address", RECIPIENT)), replies[event]
        if reply is None:
            self._refused.pop(address, None)
        else:
            self._refused[address] = reply
        return {"address": address}

    def refuses(self, address: str) -> Reply | None:
        return self._refused.get(address)

    def keep(self, sender: str, recipients: list[str], content: bytes) -> Reply:
        """Take a message that is one by RFC 5322, and only in ASCII, for 8BITMIME is not offered."""
        if not content.isascii():
            return Reply(554, "5.6.1 Eight-bit data without 8BITMIME")
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        missing = [name for name in ("From", "Date", "Message-ID") if not parsed[name]]
        if missing or parsed.defects:
            return Reply(554, f"5.6.0 Not a message: {', '.join(missing) or 'malformed'}")
        self.messages.append({"sender": sender, "recipients": recipients} | shown(parsed))
        return OK

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        try:
            await Session(self, reader, writer, encrypted=self.implicit).run()
        finally:
            self._sessions.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def shown(message: EmailMessage) -> Json:
    """A message in parts: its headers of one line, its text, its HTML, and what is attached."""
    named = {"from": "From", "to": "To", "subject": "Subject", "message_id": "Message-ID", "references": "References"}
    headers = {key: str(message[name]) if message[name] is not None else None for key, name in named.items()}
    bodies = {kind: message.get_body((kind,)) for kind in ("plain", "html")}
    texts = {kind: body.get_content() if body is not None else None for kind, body in bodies.items()}
    attachments = [
        {
            "name": part.get_filename(),
            "type": part.get_content_type(),
            "content": (part.get_payload(decode=True) or b"").decode("utf-8", "replace"),  # type: ignore[union-attr]
        }
        for part in message.iter_attachments()
    ]
    return headers | {"text": texts["plain"], "html": texts["html"], "attachments": attachments}
