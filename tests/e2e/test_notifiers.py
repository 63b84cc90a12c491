"""Several notifiers of a flow: each is told on its own, whatever becomes of the others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from crossdock.journal.opening import open_journal

BAD = ({"code": "NOPE", "name": "Unknown", "quantity": 1, "unit_price": "5.00"},)
PATIENCE = 20


@pytest.fixture
def mailed(firm: Any) -> Any:
    """The firm, with a mail beside each message in Slack."""
    firm.routing["connections"]["mail"] = firm.sandbox.settings("email")
    firm.flow["notify"] = ["alerts", "mail"]
    firm.write()
    return firm


def mails(firm: Any) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = firm.sandbox.state()["email"]["messages"]
    return messages


def asked(firm: Any, connector: str, method: str) -> int:
    return sum((r["connector"], r["method"]) == (connector, method) for r in firm.sandbox.requests)


async def until(done: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not done():
            await asyncio.sleep(0.02)


async def waiting(firm: Any, run: str) -> dict[str, bool]:
    """Of the alerts of a run by their notifiers: whether they are still to be delivered."""
    journal = open_journal(f"sqlite:///{firm.server.folder}/crossdock.db", redact=str)
    await journal.open()
    try:
        rows = await journal._read(
            lambda db: db.execute("SELECT notifier, due_at FROM alerts WHERE id >= ?", (f"{run}:",)).fetchall()
        )
        return {row[0]: row[1] is not None for row in rows}
    finally:
        await journal.close()


async def test_a_mail_comes_at_once_while_slack_is_down_and_slack_is_told_later_across_a_kill(mailed: Any) -> None:
    firm = mailed
    firm.fault(kind="status", status=503, connector="slack", times=None)
    await firm.server.start()
    await firm.win("Bad", lines=BAD)
    (run,) = await firm.ended()
    await until(lambda: mails(firm))
    assert firm.messages == []
    await until(lambda: "is not delivered by alerts yet" in firm.server.log)
    await until(lambda: asked(firm, "slack", "POST") == 2)
    await until(lambda: firm.server.log.count("is not delivered by alerts yet") == 2)
    assert await waiting(firm, run["id"]) == {"alerts": True, "mail": False}
    await firm.server.kill()
    firm.sandbox.faults.clear()
    await firm.server.start()
    await firm.told()
    await firm.server.end()
    assert await waiting(firm, run["id"]) == {"alerts": False, "mail": False}
    (mail,), (message,) = mails(firm), firm.messages
    assert "NOPE" in mail["text"]
    assert "NOPE" in str(message)
    assert asked(firm, "email", "DATA") == 1


async def test_a_slack_that_hangs_delays_no_mail(mailed: Any) -> None:
    firm = mailed
    firm.routing["connections"]["alerts"]["group"] = "off"
    firm.write()
    firm.fault(kind="latency", seconds=600, connector="slack", times=None)
    await firm.server.start()
    for number in (1, 2, 3):
        await firm.win(f"Bad {number}", lines=BAD)
        await firm.ended(number)
        await until(lambda number=number: len(mails(firm)) == number)
    # Its first answer is still awaited, and so are those to all the others.
    assert "is not delivered by alerts yet" not in firm.server.log
    assert asked(firm, "slack", "POST") == 3
    assert firm.messages == []


async def test_mail_that_is_down_keeps_slack_from_nothing(mailed: Any) -> None:
    firm = mailed
    firm.fault(kind="drop_before", connector="email", times=2)
    await firm.server.start()
    await firm.win("Bad", lines=BAD)
    await firm.ended()
    await firm.told()
    assert mails(firm) == []
    await until(lambda: mails(firm))
    await firm.server.end()
    assert (len(mails(firm)), len(firm.messages)) == (1, 1)


async def test_a_mail_whose_reply_was_lost_is_sent_again_with_the_same_id(mailed: Any) -> None:
    firm = mailed
    firm.fault(kind="drop_after", connector="email", method="DATA")
    await firm.server.start()
    await firm.win("Bad", lines=BAD)
    await firm.ended()
    await until(lambda: len(mails(firm)) == 2)
    first, again = mails(firm)
    assert first["message_id"] == again["message_id"]
    await firm.server.end()
    assert len(firm.messages) == 1


async def test_a_run_of_mails_shows_no_secret(mailed: Any) -> None:
    firm = mailed
    password = firm.routing["connections"]["mail"]["password"]
    firm.fault(kind="status", status=535, body=f"5.7.8 {password} is wrong", connector="email", method="AUTH")
    await firm.server.start()
    await firm.win(f"Bad {password}", lines=BAD)
    await firm.ended()
    await until(lambda: mails(firm))
    await firm.server.end()
    assert "5.7.8 [redacted] is wrong" in firm.server.log
    assert password not in firm.server.log
    assert password not in str(mails(firm))
