"""What a mail says: everything, escaped, within bounds, whatever the alert holds."""

from __future__ import annotations

import email
import email.policy
import json
from datetime import UTC, datetime
from decimal import Decimal
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

import pytest
from crossdock_email.connection import mailbox
from crossdock_email.message import Envelope, compose
from crossdock_email.simulator import shown
from crossdock_sdk import Alert, LegReport, jsonio

ENVELOPE = Envelope(mailbox("Crossdock <c@example.com>"), (mailbox("ops@example.com"),))
NASTY = 'a\r\nBcc: x@y.example\r\n\r\n<script>alert("1")</script>\x00\u2028\ud800 &'


def parsed(alert: Alert, envelope: Envelope = ENVELOPE, limit: int | None = None) -> EmailMessage:
    raw = compose(alert, envelope, limit)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def mail(alert: Alert, limit: int | None = None) -> dict[str, Any]:
    return shown(parsed(alert, limit=limit))


def long_payload(alert: Alert, characters: int = 10_000) -> Alert:
    return alert.model_copy(update={"payload": alert.payload | {"note": "ü" * characters}})


def test_the_parts_are_alternatives(alert: Alert) -> None:
    message = parsed(alert)
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == alert.at
    assert message["Subject"] == "Crossdock: Acme Ltd: invoice was refused"


def test_both_parts_tell_all_of_it(alert: Alert) -> None:
    sent = mail(alert)
    facts = ["deal-to-invoice", "812", "rolled_back", "invoice.create", "books", "2500", "lines[0].sku", "run-7"]
    facts += ["Make the product NOPE in the books, then replay.", "undone — 58", "failed — never made", "not reached"]
    facts += ["4bf92f3577b34da6a3ce929d0e0e4736", "https://ops.example.com/runs/run-7", "alert-1", "10.10"]
    facts += ["https://books.example.com/customer/58"]
    for part in ("text", "html"):
        assert [fact for fact in facts if fact not in sent[part]] == []
    assert "Item <NOPE> not found & refused" in sent["text"]
    assert "Item &lt;NOPE&gt; not found &amp; refused" in sent["html"]
    assert '<a href="https://acme.example.com/deal/812?a=1&amp;b=2">' in sent["html"]


def test_a_short_payload_is_shown_and_a_long_one_is_attached_whole(alert: Alert) -> None:
    assert '"unit_price": 10.10' in mail(alert)["text"]
    assert mail(alert)["attachments"] == []
    long = long_payload(alert)
    sent = mail(long)
    (file,) = sent["attachments"]
    assert (file["name"], file["type"]) == ("payload-run-7.json", "application/json")
    assert jsonio.loads(file["content"]) == long.payload
    assert json.loads(file["content"])["lines"][0]["sku"] == "NOPE"
    assert "attached as payload-run-7.json" in sent["text"]
    assert "unit_price" not in sent["text"]
    assert "attached as payload-run-7.json" in sent["html"]


def test_a_payload_that_no_mail_can_carry_is_left_out_and_the_mail_says_where_it_is(alert: Alert) -> None:
    for sent in (mail(long_payload(alert, 2_600_000)), mail(long_payload(alert), limit=15_000)):
        assert sent["attachments"] == []
        assert "too long for a mail; it is behind the link above" in sent["text"]
    unlinked = long_payload(alert).model_copy(update={"links": {}})
    assert "`crossdock runs show run-7` has it" in mail(unlinked, limit=15_000)["text"]


def test_nothing_from_outside_becomes_a_header_or_markup() -> None:
    alert = Alert(
        id=NASTY,
        title=NASTY,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        severity=NASTY,
        flow=NASTY,
        run=NASTY,
        key=NASTY,
        error={"message": NASTY, "code": NASTY, "field": None},
        payload={"note": NASTY},
        legs=(LegReport(leg=NASTY, state=NASTY, id=NASTY, url=f"https://x.example/{NASTY}", note=NASTY),),
        advice=NASTY,
        links={NASTY: "javascript:alert(1)", "Bad": 'https://x.example/" onclick="x'},
    )
    message = parsed(alert)
    assert message["Bcc"] is None
    assert "\n" not in message["Subject"]
    assert set(message.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References"),
        *("Auto-Submitted", "MIME-Version", "Content-Type"),
    }
    html = shown(message)["html"]
    assert "<script" not in html
    assert "javascript:" not in html
    assert 'onclick="' not in html
    assert "\x00" not in html


def test_an_alert_without_anything_is_still_a_mail() -> None:
    alert = Alert(id="x", title="", at=datetime(2026, 1, 1, tzinfo=UTC))
    sent = mail(alert)
    assert sent["subject"] == "Crossdock: an alert"
    assert sent["references"] is None
    assert "Payload" not in sent["text"]


def test_what_json_cannot_hold_is_shown_all_the_same(alert: Alert) -> None:
    assert "Infinity" in mail(alert.model_copy(update={"payload": {"n": Decimal("Infinity")}}))["text"]


def test_huge_words_are_cut(alert: Alert) -> None:
    huge = "x" * 3_000_000
    error = {"message": huge, "code": huge}
    many = tuple(LegReport(leg=f"leg{n}", state="stands") for n in range(150))
    sent = alert.model_copy(update={"title": huge, "error": error, "advice": huge, "legs": many})
    assert len(compose(sent, ENVELOPE)) < 60_000
    assert "… and 50 more" in mail(sent)["text"]


def test_ids_stay_on_one_line_under_a_long_domain(alert: Alert) -> None:
    domain = ".".join(["a-long-part-of-a-domain"] * 6) + ".example"
    for sender in (Address("", "c", domain), Address("", "c", "d" * 60)):
        raw = compose(alert, Envelope(sender, ENVELOPE.to)).decode()
        assert "=?" not in raw.partition("\r\n\r\n")[0]
        ids = [parsed(alert, Envelope(sender, ENVELOPE.to))[name] for name in ("Message-ID", "References")]
        assert all(len(value.split("@")) == 2 and value.endswith(">") for value in ids)


@pytest.mark.parametrize("title", ["Ünïcödé " * 40, "表" * 500, "a " * 500])
def test_a_subject_is_one_line_of_bounded_length(alert: Alert, title: str) -> None:
    subject = mail(alert.model_copy(update={"title": title}))["subject"]
    assert len(subject) <= 170
    assert subject.startswith(f"Crossdock: {title[:10]}")
