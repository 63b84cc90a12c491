"""One session of the simulated mail server: RFC 5321 with SIZE, STARTTLS and AUTH, and faults in between."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from crossdock_sdk.testing import Fault

_COMMAND = 512
_LINE = 998
_PATH = re.compile(r"(?i)(FROM|TO):<([^<>\s]*)>(?: (.*))?")
_PATIENCE = 600
"""RFC 5321, 4.5.3.2: how long a server waits for a command is minutes."""


class HungUp(Exception):  # noqa: N818 - the end of a session, and no error
    """The session is over."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`code text`; an EHLO reply has more lines."""

    code: int
    text: str
    more: tuple[str, ...] = ()

    def encode(self) -> bytes:
        lines = (self.text, *self.more)
        marks = "-" * (len(lines) - 1) + " "
        return "".join(f"{self.code}{mark}{line}\r\n" for mark, line in zip(marks, lines, strict=True)).encode()


OK = Reply(250, "2.0.0 Ok")
BAD_SEQUENCE = Reply(503, "5.5.1 Bad sequence of commands")


class Account(Protocol):
    """What the server knows; the simulator."""

    tls: ssl.SSLContext | None
    largest: int
    credentials: tuple[str, str] | None

    def asked(self, method: str, path: str, *, body: str | None = None) -> tuple[dict[str, Any], Fault | None]:
        """Keep a request; its entry, and the fault that strikes it."""
        ...

    def refuses(self, address: str) -> Reply | None:
        """Why a recipient is not taken."""
        ...

    def keep(self, sender: str, recipients: list[str], content: bytes) -> Reply:
        """Take a message, or say why not."""
        ...


@dataclass
class Session:
    """Reads commands and answers them, until `run` returns."""

    account: Account
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    encrypted: bool = False
    greeted: bool = False
    known: bool = False
    sender: str | None = None
    recipients: list[str] = field(default_factory=list)

    async def run(self) -> None:
        try:
            await self._answer("CONNECT", "", lambda _: Reply(220, "mail.simulated ESMTP"))
            while True:
                line = (await self._line(_COMMAND)).decode("latin-1")
                verb, _, argument = line.partition(" ")
                await self._perform(verb.upper(), argument.strip())
        except (HungUp, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return

    async def _perform(self, verb: str, argument: str) -> None:
        if verb == "DATA":
            await self._data()
        elif verb == "AUTH":
            await self._auth(argument)
        elif verb == "STARTTLS":
            await self._start_tls()
        elif verb == "QUIT":
            await self._answer(verb, "", lambda _: Reply(221, "2.0.0 Bye"))
            raise HungUp
        else:
            handle = self._handlers().get(verb, lambda _: Reply(500, "5.5.2 Error: command not recognized"))
            await self._answer(verb, argument, handle)

    def _handlers(self) -> Mapping[str, Callable[[str], Reply]]:
        return {
            "EHLO": self._ehlo,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "RSET": self._rset,
            "NOOP": lambda _: OK,
        }

    async def _answer(self, verb: str, argument: str, handle: Callable[[str], Reply], body: str | None = None) -> Reply:
        """Answer one request the way that `Fault` says; returns what was answered."""
        named = _PATH.fullmatch(argument)
        entry, fault = self.account.asked(verb, f"/{named[2] if named else ''}", body=body)
        kind = fault.kind if fault else None
        if fault and kind == "latency":
            await asyncio.sleep(fault.seconds)
        if kind == "drop_before":
            raise HungUp
        reply = _said(fault) if fault and kind == "status" else handle(argument)
        entry["status"] = reply.code
        if kind == "drop_after":
            raise HungUp
        sent = Reply(451, "4.3.0 Try again later").encode() if kind == "applied_503" else reply.encode()
        if kind == "garbage":
            sent = b"<html><body>It works!</body></html>\r\n"
        self.writer.write(sent[: len(sent) // 2] if kind == "truncate" else sent)
        await self.writer.drain()
        if kind == "truncate" or reply.code == 421:
            raise HungUp
        return reply

    def _ehlo(self, name: str) -> Reply:
        if not name:
            return Reply(501, "5.5.4 Syntax: EHLO hostname")
        self.greeted = True
        self._rset("")
        offered = [f"SIZE {self.account.largest}", "ENHANCEDSTATUSCODES"]
        offered += ["STARTTLS"] if self.account.tls and not self.encrypted else []
        offered += ["AUTH PLAIN LOGIN"] if self.account.credentials else []
        return Reply(250, f"mail.simulated greets {name}", tuple(offered))

    def _rset(self, _: str) -> Reply:
        self.sender, self.recipients = None, []
        return OK

    def _mail(self, argument: str) -> Reply:
        if not self.greeted or self.sender is not None:
            return BAD_SEQUENCE
        if self.account.credentials and not self.known:
            return Reply(530, "5.7.0 Authentication required")
        named = _PATH.fullmatch(argument)
        if not named or named[1].upper() != "FROM":
            return Reply(501, "5.5.4 Syntax: MAIL FROM:<address>")
        size = re.search(r"(?i)\bSIZE=(\d+)", named[3] or "")
        if size and int(size[1]) > self.account.largest:
            return Reply(552, "5.3.4 Message size exceeds fixed limit")
        self.sender = named[2]
        return OK

    def _rcpt(self, argument: str) -> Reply:
        if self.sender is None:
            return BAD_SEQUENCE
        named = _PATH.fullmatch(argument)
        if not named or named[1].upper() != "TO" or not named[2]:
            return Reply(501, "5.5.4 Syntax: RCPT TO:<address>")
        refused = self.account.refuses(named[2])
        if refused is None:
            self.recipients.append(named[2])
        return refused or OK

    async def _data(self) -> None:
        """Faults strike once the message has been read: they decide whether it is kept, and what is said of that."""
        if not self.recipients:
            await self._answer("DATA", "", lambda _: BAD_SEQUENCE)
            return
        self.writer.write(b"354 End data with <CR><LF>.<CR><LF>\r\n")
        await self.writer.drain()
        lines = []
        while (line := await self._line(None)) != b".":
            lines.append(line.removeprefix(b"."))
        content = b"\r\n".join(lines) + b"\r\n"

        def take(_: str) -> Reply:
            if any(len(line) > _LINE for line in lines):
                return Reply(500, "5.5.2 Line too long")
            if len(content) > self.account.largest:
                return Reply(552, "5.3.4 Message size exceeds fixed limit")
            return self.account.keep(self.sender or "", list(self.recipients), content)

        await self._answer("DATA", "", take, content.decode("latin-1"))
        self._rset("")

    async def _start_tls(self) -> None:
        def ready(_: str) -> Reply:
            return Reply(220, "2.0.0 Ready to start TLS") if offered else Reply(454, "4.7.0 TLS not available")

        offered = self.account.tls is not None and not self.encrypted
        reply = await self._answer("STARTTLS", "", ready)
        if reply.code == 220 and self.account.tls is not None:
            await self.writer.start_tls(self.account.tls)
            self.encrypted, self.greeted, self.known = True, False, False
            self._rset("")

    async def _auth(self, argument: str) -> None:
        method, _, first = argument.partition(" ")
        given: tuple[str, str] | None = None
        if method.upper() == "PLAIN" and first:
            _, username, password = [*_decoded(first).split("\0"), "", ""][:3]
            given = username, password
        elif method.upper() == "LOGIN" and first:
            self.writer.write(b"334 UGFzc3dvcmQ6\r\n")
            given = _decoded(first), _decoded((await self._line(_COMMAND)).decode("latin-1"))
        await self._answer("AUTH", "", lambda _: self._admit(given))

    def _admit(self, given: tuple[str, str] | None) -> Reply:
        if not self.account.credentials or self.known:
            return BAD_SEQUENCE
        if given is None:
            return Reply(504, "5.5.4 Unrecognized authentication type")
        if given != self.account.credentials:
            return Reply(535, "5.7.8 Error: authentication failed")
        self.known = True
        return Reply(235, "2.7.0 Authentication successful")

    async def _line(self, limit: int | None) -> bytes:
        async with asyncio.timeout(_PATIENCE):
            raw = await self.reader.readuntil(b"\r\n")
        line = raw[:-2]
        if b"\n" in line or b"\r" in line:
            await self._answer("LINE", "", lambda _: Reply(421, "4.5.2 Bare line end"))
        if limit is not None and len(raw) > limit:
            await self._answer("LINE", "", lambda _: Reply(421, "4.5.2 Line too long"))
        return line


def _said(fault: Fault) -> Reply:
    """HTTP's 503, which is what faults are by default, is 421 here; 503 means something else in SMTP."""
    code = fault.status if 400 <= fault.status <= 599 and fault.status != 503 else 421
    text = fault.body if isinstance(fault.body, str) else f"{code // 100}.3.0 Simulated"
    return Reply(code, " ".join(text.split()))


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
