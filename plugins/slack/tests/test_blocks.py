from __future__ import annotations

import json
from typing import Any

import pytest
from crossdock_sdk import Alert, LegReport
from crossdock_slack.blocks import render
from crossdock_slack.simulated_rules import RefusedError, check_message
from crossdock_slack.text import clean, cut, escaped, fits, length
from hypothesis import given, settings
from hypothesis import strategies as st


def texts(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["text"]] if isinstance(node.get("text"), str) else []
        return own + [text for value in node.values() for text in texts(value)]
    return [text for item in node for text in texts(item)] if isinstance(node, list) else []


def shown(alert: Alert, *, attaches: bool = True) -> str:
    return "\n".join(texts(render(alert, attaches=attaches).blocks))


def test_an_alert_tells_what_a_person_needs(alert: Alert) -> None:
    told = shown(alert)
    for part in (
        "Acme Ltd: invoice was refused",
        "deal-to-invoice",
        "*Key*\n812",
        "rolled_back",
        "invoice.create",
        "Item &lt;NOPE&gt; not found &amp; refused",
        "code: 2500",
        "field: lines[0].sku",
        "• *customer*: undone — <https://books.example.com/customer/58|58>",
        "• *invoice*: failed — never made",
        "• *task*: not reached",
        "Make the product NOPE",
        "<https://ops.example.com/runs/run-7|Run>",
        "<https://acme.example.com/deal/812?a=1&amp;b=2|Deal>",
        '"unit_price": 10.10',
        "run run-7",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736",
    ):
        assert part in told, part


def test_the_notification_text_says_what_where_and_why(alert: Alert) -> None:
    text = render(alert, attaches=True).text
    why = "Item &lt;NOPE&gt; not found &amp; refused"
    assert text == f"Acme Ltd: invoice was refused — deal-to-invoice / invoice — {why}"


def test_a_short_payload_is_whole_in_the_message(alert: Alert) -> None:
    assert render(alert, attaches=True).file is None


def test_a_long_payload_becomes_a_file_and_the_message_says_where_it_is(alert: Alert) -> None:
    long = alert.model_copy(update={"payload": {"notes": ["line"] * 2000}})
    message = render(long, attaches=True)
    assert message.file is not None
    assert message.file.name == "payload-run-7.json"
    assert json.loads(message.file.content) == long.payload
    assert "attached in the thread as payload-run-7.json" in shown(long)
    assert "behind the links above" in shown(long, attaches=False)
    assert "crossdock runs show" in shown(long.model_copy(update={"links": {}}), attaches=False)


def test_a_payload_cannot_leave_its_code_block(alert: Alert) -> None:
    sly = alert.model_copy(update={"payload": "``` <!channel> *bold*"})
    block = next(text for text in texts(render(sly, attaches=True).blocks) if text.startswith("*Payload*"))
    assert block.count("```") == 2
    assert "<!channel>" not in block


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "", "ftp://x", "https://x y", "https://x|y", "https://" + "x" * 900]
)
def test_an_address_that_is_none_is_left_out_and_its_label_stays(alert: Alert, url: str) -> None:
    told = shown(alert.model_copy(update={"links": {"Label": url}}))
    assert "Label" in told
    assert "|Label>" not in told


def test_a_payload_that_is_no_json_is_shown_all_the_same(alert: Alert) -> None:
    assert "object" in shown(alert.model_copy(update={"payload": object()}))
    assert "Infinity" in shown(alert.model_copy(update={"payload": __import__("decimal").Decimal("Infinity")}))


def test_a_bare_alert_has_no_empty_part(alert: Alert) -> None:
    bare = Alert(id="a", title=" ", at=alert.at)
    message = render(bare, attaches=False)
    check_message({"text": message.text, "blocks": message.blocks})
    assert message.text == "Crossdock alert"
    assert [b["type"] for b in message.blocks] == ["header", "section", "context"]


def test_a_huge_payload_is_rendered_at_once(alert: Alert) -> None:
    message = render(alert.model_copy(update={"payload": ["<&>" * 1000] * 3000}), attaches=True)
    check_message({"text": message.text, "blocks": message.blocks})
    assert message.file is not None
    assert len(message.file.content) > 9_000_000


anything = st.text(st.characters(codec=None), max_size=60) | st.sampled_from(
    ["&" * 5000, "<>" * 5000, "😀" * 5000, "\x00" * 5000, "```" * 2000, "*_~" * 2000, "\ud800", " " * 400 + "x"]
)
maybe = st.none() | anything
payloads = st.recursive(
    st.none() | st.booleans() | st.integers() | anything | st.decimals(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(anything, inner, max_size=4),
    max_leaves=20,
)
addresses = st.builds(lambda tail: f"https://example.com/{tail}", anything) | anything
reports = st.builds(LegReport.model_construct, leg=anything, state=anything, id=maybe, url=maybe, note=maybe)


@st.composite
def alerts(draw: st.DrawFn) -> Alert:
    """Unvalidated on purpose: a lone surrogate or a NaN must not stop an alert."""
    return Alert.model_construct(
        id=draw(anything),
        title=draw(anything),
        severity=draw(st.sampled_from(["error", "warning", "info", "odd"])),
        at=draw(st.datetimes()),
        **{name: draw(maybe) for name in ("flow", "run", "status", "key", "leg", "action", "connection")},
        error=draw(st.dictionaries(st.sampled_from(["kind", "message", "code", "field", "status"]), payloads)),
        payload=draw(payloads),
        legs=tuple(draw(st.lists(reports, max_size=60))),
        advice=draw(maybe),
        links=draw(st.dictionaries(anything, addresses, max_size=30)),
        trace_id=draw(maybe),
    )


@settings(max_examples=150, deadline=None)
@given(alerts(), st.booleans())
def test_any_alert_is_within_slacks_limits(alert: Alert, attaches: bool) -> None:
    message = render(alert, attaches=attaches)
    posted = json.loads(json.dumps({"text": message.text, "blocks": message.blocks}))
    check_message(posted)
    assert sum(length(text) for text in texts(posted["blocks"])) <= 12_000
    if message.file is not None:
        assert message.file.content.encode()
        assert message.file.name.isascii()


@given(st.text(st.characters(codec=None)), st.integers(min_value=2, max_value=60))
def test_cut_text_fits_and_is_a_start_of_the_whole(text: str, limit: int) -> None:
    for shorten, whole in ((cut, clean(text)), (escaped, escaped(text, 10_000))):
        short = shorten(text, limit)
        assert length(short) <= limit
        assert short == whole or (short.endswith("…") and whole.startswith(short[:-1]))
        if shorten is escaped:
            assert fits(text, limit) == (short == whole)


@given(st.text(alphabet="a&<>;"), st.integers(min_value=2, max_value=30))
def test_an_escape_is_never_cut_in_half(text: str, limit: int) -> None:
    rest = escaped(text, limit).replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
    assert "&" not in rest


def test_the_simulators_rules_are_those_of_block_kit() -> None:
    header = {"type": "header", "text": {"type": "plain_text", "text": "x"}}
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}}
    check_message({"text": "x", "blocks": [header] * 50})
    check_message({"text": "x", "blocks": [section] * 4})
    for message, code in (
        ({}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "x", "blocks": [header] * 51}, "invalid_blocks"),
        ({"text": "x", "blocks": [section] * 5}, "msg_blocks_too_long"),
        ({"text": "x", "blocks": {}}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "nope"}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [header | {"color": "red"}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "context", "elements": [section["text"]] * 11}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section", "fields": [section["text"]]}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": ""}}]}, "invalid_blocks"),
    ):
        with pytest.raises(RefusedError) as caught:
            check_message(message)
        assert caught.value.code == code
