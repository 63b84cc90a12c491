"""The simulated server refuses what a mail server refuses."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from crossdock_email.simulator import PASSWORD, USERNAME, EmailSimulator
from crossdock_sdk.testing import Fault, serve

Say = Callable[..., Awaitable[list[str]]]
LOGIN = base64.b64encode(f"\0{USERNAME}\0{PASSWORD}".encode()).decode()
BEGUN = ["EHLO here", f"AUTH PLAIN {LOGIN}"]
HEADERS = "From: a@b.example\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@b.example>\r\n"


@pytest.fixture
async def simulator() -> AsyncIterator[EmailSimulator]:
    made = EmailSimulator()
    async with serve(made):
        yield made


@pytest.fixture
def say(simulator: EmailSimulator) -> Say:
    """Say lines one after the other; the last line of each reply, the greeting first, until the server hangs up."""

    async def said(*lines: str) -> list[str]:
        settings = simulator.settings("")
        reader, writer = await asyncio.open_connection(settings["host"], settings["port"])
        replies = []
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for line in ("", *lines):
                if line:
                    writer.write(line.encode("latin-1") + b"\r\n")
                while (reply := (await reader.readuntil(b"\r\n")).decode())[3] == "-":
                    pass
                replies.append(reply.strip())
        writer.close()
        await writer.wait_closed()
        return replies

    return said


def codes(replies: list[str]) -> list[str]:
    return [reply[:3] for reply in replies]


async def test_a_session_in_order_is_taken(say: Say, simulator: EmailSimulator) -> None:
    body = f"{HEADERS}Subject: s\r\n\r\n..dot\r\n."
    replies = await say(*BEGUN, "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA", body, "QUIT")
    assert codes(replies) == ["220", "250", "235", "250", "250", "354", "250", "221"]
    (message,) = simulator.state()["messages"]
    assert (message["recipients"], message["subject"]) == (["c@d.example"], "s")
    assert message["text"].splitlines() == [".dot"]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["MAIL FROM:<a@b.example>"], "503"),
        (["EHLO here", "MAIL FROM:<a@b.example>"], "530"),
        (["EHLO here", "AUTH PLAIN AAAA"], "535"),
        (["EHLO here", "AUTH CRAM-MD5"], "504"),
        (["EHLO"], "501"),
        (["EHLO here", "STARTTLS"], "454"),
        ([*BEGUN, f"AUTH PLAIN {LOGIN}"], "503"),
        ([*BEGUN, "MAIL a@b.example"], "501"),
        ([*BEGUN, "MAIL FROM:<a@b.example> SIZE=99999999"], "552"),
        ([*BEGUN, "RCPT TO:<c@d.example>"], "503"),
        ([*BEGUN, "MAIL FROM:<a@b.example>", "RCPT TO:<>"], "501"),
        ([*BEGUN, "MAIL FROM:<a@b.example>", "DATA"], "503"),
        ([*BEGUN, "WHAT now"], "500"),
        ([*BEGUN, "NOOP " + "x" * 600], "421"),
        ([*BEGUN, "NOOP\nRSET"], "421"),
    ],
)
async def test_what_is_out_of_order_is_refused(say: Say, lines: list[str], code: str) -> None:
    assert codes(await say(*lines))[-1] == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (f"{HEADERS}\r\n{'x' * 1200}\r\n.", "500"),
        (f"{HEADERS}\r\nümlaut\r\n.", "554"),
        ("Subject: no more\r\n\r\nx\r\n.", "554"),
    ],
)
async def test_a_message_that_is_none_is_not_kept(say: Say, simulator: EmailSimulator, body: str, code: str) -> None:
    replies = await say(*BEGUN, "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA", body)
    assert codes(replies)[-1] == code
    assert simulator.messages == []


async def test_requests_are_kept_without_credentials_and_with_what_was_answered(
    say: Say, simulator: EmailSimulator
) -> None:
    simulator.faults.append(Fault(kind="status", connector="email", method="RCPT", path="/c@*"))
    await say(*BEGUN, "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>")
    kept: list[dict[str, Any]] = list(simulator.requests)
    assert [(r["method"], r["path"], r["status"]) for r in kept] == [
        ("CONNECT", "/", 220),
        ("EHLO", "/", 250),
        ("AUTH", "/", 235),
        ("MAIL", "/a@b.example", 250),
        ("RCPT", "/c@d.example", 421),
    ]
    assert kept[-1]["fault"] == "status"
    assert LOGIN not in str(kept)


async def test_without_a_listener_there_are_no_settings() -> None:
    with pytest.raises(RuntimeError, match="does not listen"):
        EmailSimulator().settings("http://127.0.0.1:1")


async def test_sessions_that_are_open_at_the_end_are_cut() -> None:
    simulator = EmailSimulator()
    async with serve(simulator):
        settings = simulator.settings("")
        reader, writer = await asyncio.open_connection(settings["host"], settings["port"])
        await reader.readuntil(b"\r\n")
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("event", ["mailbox.removed", "message.sent"])
async def test_an_unknown_event_is_refused(simulator: EmailSimulator, event: str) -> None:
    with pytest.raises(LookupError, match=event):
        await simulator.trigger(event, {})
