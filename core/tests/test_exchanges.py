"""What a checkpoint keeps of the wire: little where all went well, the bodies where it did not, no secret ever."""

from __future__ import annotations

from crossdock.exchanges import ANSWERED, KEPT, shown
from crossdock.redaction import Scrubber
from crossdock_sdk import Redactor
from crossdock_sdk.http.exchanges import Exchange


def _exchange(**more: object) -> Exchange:
    known = {"status": 400, "sent": b'{"sku":"A"}', "answered": b'{"error":"no such item"}'} | more
    return Exchange("POST", "https://books.example/invoice", 0.1234, **known)  # type: ignore[arg-type]


def test_a_step_that_went_well_keeps_no_bodies() -> None:
    [kept] = shown([_exchange(status=200, request_id="q")], str, bodies=False)
    assert kept == {
        "method": "POST",
        "url": "https://books.example/invoice",
        "status": 200,
        "ms": 123,
        "request_id": "q",
    }


def test_a_step_that_failed_keeps_what_was_sent_and_answered() -> None:
    [kept] = shown([_exchange()], str, bodies=True)
    assert (kept["sent"], kept["answered"]) == ('{"sku":"A"}', '{"error":"no such item"}')


def test_secrets_are_masked_before_a_body_is_cut() -> None:
    redactor = Redactor()
    redactor.add("canary-7f31c2")
    body = b"x" * (ANSWERED - 6) + b"canary-7f31c2" + b"y" * 50
    [kept] = shown(
        [_exchange(answered=body, sent=b"Authorization: Bearer abcdefghijk")], Scrubber(redactor).text, bodies=True
    )
    assert "canary" not in kept["answered"]
    assert "abcdefghijk" not in kept["sent"]
    assert kept["answered"].endswith(f"({len(body) - 13 + 10} characters)")


def test_no_reply_and_bodies_that_are_no_text() -> None:
    [kept] = shown([_exchange(status=None, failure="not sent", answered=b"\xff\x00<script>")], str, bodies=True)
    assert "status" not in kept
    assert kept["failure"] == "not sent"
    assert kept["answered"] == "\ufffd\x00<script>"


def test_of_very_many_the_last_are_kept() -> None:
    kept = shown([_exchange(status=200 + number) for number in range(KEPT + 5)], str, bodies=False)
    assert (len(kept), kept[0]["left_out"], kept[-1]["status"]) == (KEPT, 5, 200 + KEPT + 4)
