from __future__ import annotations

from typing import Any

from crossdock.timeline import error_text, told


def run(*steps: tuple[str, str | None, str, dict[str, Any]]) -> dict[str, Any]:
    rows = [
        {"seq": n, "kind": kind, "leg": leg, "phase": phase, "at": f"2026-03-01T12:00:{n:02d}Z", "data": data}
        for n, (kind, leg, phase, data) in enumerate(steps, 1)
    ]
    event = {"connection": "crm", "type": "deal.won", "subject": "7", "received_at": "2026-03-01T12:00:00Z"}
    return {"created_at": "2026-03-01T12:00:00Z", "event": event, "steps": rows}


def texts(*steps: tuple[str, str | None, str, dict[str, Any]]) -> list[str]:
    return [line.text for line in told(run(*steps))[1:]]


def test_an_intent_and_its_outcome_are_one_line() -> None:
    done = ("apply", "invoice", "done", {"receipt": {"id": "9", "number": "1001", "total": 5}})
    assert texts(("apply", "invoice", "intent", {}), done) == ["wrote 9, number 1001, total 5"]


def test_an_intent_without_outcome_stands_out() -> None:
    lines = told(run(("apply", "invoice", "intent", {}), ("takeover", None, "done", {})))
    assert [line.text for line in lines[1:]] == [
        "sent; no outcome was recorded",
        "its performer vanished; another goes on",
    ]
    assert lines[1].bad


def test_a_run_without_a_step_yet_tells_of_its_event() -> None:
    assert [line.text for line in told(run())] == ["crm told of deal.won 7"]


def test_tries_are_counted_by_leg() -> None:
    error = {"error": {"kind": "ambiguous", "message": "no reply", "code": "X1"}}
    found = {"receipt": {"id": "9", "created": False}}
    said = texts(
        ("apply", "a", "intent", {}),
        ("apply", "a", "failed", error),
        ("apply", "b", "intent", {}),
        ("apply", "b", "done", found),
        ("apply", "a", "intent", {}),
        ("apply", "a", "done", found),
    )
    assert said == ["write failed (ambiguous): no reply (code X1)", "found 9", "found 9 (try 2)"]


def test_undoing_says_what_was_touched_and_what_was_kept() -> None:
    assert texts(
        ("undo", "a", "intent", {"id": "1"}),
        ("undo", "a", "done", {"id": "1", "touched": True}),
        ("undo", "b", "done", {"id": "2", "touched": False}),
        ("undo", "c", "kept", {"id": "3", "used_by": ["r9"]}),
        ("end", None, "rolled_back", {"alert": True}),
    ) == [
        "undone 1",
        "left 2 as it was",
        "kept 3: another run uses it (r9)",
        "rolled back; a person is told",
    ]


def test_an_unknown_step_is_told_as_it_is() -> None:
    assert texts(("approve", None, "done", {})) == ["approve done"]


def test_time_is_counted_from_the_event() -> None:
    assert [line.after for line in told(run(("cancel", None, "done", {})))] == [0, 1]


def test_an_error_has_the_vendors_code_and_field() -> None:
    error = {"message": "no", "code": "610", "field": "sku", "request_id": "abc"}
    assert error_text(error) == "no (code 610, field sku, request_id abc)"
