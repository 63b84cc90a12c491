from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from crossdock.cli.errors import CommandError
from crossdock.cli.plan import known_data
from crossdock_sdk import EventSpec

DEAL: dict[str, Any] = {
    "id": "7",
    "title": "Harbour",
    "status": "won",
    "value": "27.27",
    "custom": {"discount": 10, "lead_score": 5},
    "products": [{"id": "1", "code": "SETUP", "name": "Setup", "quantity": 3, "unit_price": "10.10"}],
}


@pytest.fixture
def records(home: Path) -> Callable[..., str]:
    def write(**changes: Any) -> str:
        file = home / "records.json"
        file.write_text(json.dumps({"deal": DEAL | changes}))
        return str(file)

    return write


def test_every_write_is_shown_and_what_is_yet_to_come(cross: Callable[..., Any], records: Callable[..., str]) -> None:
    ran = cross("plan", "bill", "--event", records())
    assert ran.code == 0, ran.err
    lines = [line.strip() for line in ran.out.splitlines()]
    for line in (
        "name = Harbour",
        "customer_id = known after customer",
        "lines.0.unit_price = 10.10",
        "total = 27.27",
        "custom.number = known after invoice",
        "remark  crm.note.create  (not enabled)",
        "check ok: {{ invoice.total == deal.value }}",
    ):
        assert line in lines


def test_a_failed_check_is_failed_work_and_all_the_rest_is_still_shown(
    cross: Callable[..., Any], records: Callable[..., str]
) -> None:
    ran = cross("plan", "bill", "--event", records(value="27.28", custom={"discount": 10, "region": "west"}), "--json")
    assert ran.code == 1
    assert ran.json["ok"] is False
    assert ran.json["checks"][0]["result"] == "failed"
    assert ran.json["unmapped"] == [{"path": "deal.custom.region", "value": "west"}]
    assert ran.json["legs"][1]["input"]["total"] == 27.27
    assert "deal.custom.region" in ran.json["problem"]


def test_a_leg_that_cannot_be_computed_does_not_hide_the_others(
    cross: Callable[..., Any], records: Callable[..., str]
) -> None:
    ran = cross("plan", "bill", "--event", records(custom={"discount": "much"}), "--json")
    legs = {leg["leg"]: leg for leg in ran.json["legs"]}
    assert ran.code == 1
    assert "discount_percent" in legs["invoice"]["error"]
    assert legs["customer"]["input"]["name"] == "Harbour"
    assert legs["back"]["input"]["custom"] == {"number": "known after invoice"}


@pytest.mark.parametrize("secret", ["secret-token", "secret-1", "vault-key-one", "vault-key-two", "admin-token"])
def test_a_secret_of_ours_in_a_record_stops_the_run_and_is_not_shown(
    cross: Callable[..., Any], records: Callable[..., str], monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("CROSSDOCK_SECRET_KEY", "vault-key-one,vault-key-two")
    monkeypatch.setenv("CROSSDOCK_ADMIN_TOKEN", "admin-token")
    file = records(title=f"Paid by {secret}", custom={"region": f"<{secret}>", "discount": f"{secret} %"})
    for options in ((), ("--json",)):
        ran = cross("plan", "bill", "--event", file, *options)
        assert ran.code == 1
        assert "deal.won: its record contains one of this installation's secrets; change one" in ran.out
        assert "Paid by [redacted]" in ran.out
        assert "<[redacted]>" in ran.out
        assert secret not in ran.out + ran.err


def test_records_come_from_standard_input_too(
    cross: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Standard:
        buffer = io.BytesIO(json.dumps({"deal": DEAL}).encode())

    monkeypatch.setattr("sys.stdin", Standard)
    assert cross("plan", "bill", "--event", "-").code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "not JSON"), ("[]", "deal"), ('{"deal": {"id": "1"}}', "deal.title"), ('{"deel": {}}', "deal")],
)
def test_unusable_records_are_wrong_usage(cross: Callable[..., Any], home: Path, text: str, said: str) -> None:
    (home / "r.json").write_text(text)
    ran = cross("plan", "bill", "--event", "r.json")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert said in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bill"], "--id"),
        (["bill", "--id", "1", "--event", "x"], "one of the two"),
        (["bil", "--id", "1"], "did you mean bill?"),
        (["bill", "--event", "nowhere.json"], "nowhere.json"),
    ],
)
def test_wrong_usage_is_one_line(cross: Callable[..., Any], home: Path, arguments: list[str], said: str) -> None:
    ran = cross("plan", *arguments)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert said in ran.err


def test_an_id_is_put_where_events_carry_it() -> None:
    spec = EventSpec("invoice.paid", {}, known=("invoice.number", "invoice.id"))
    assert known_data(spec, "5") == {"invoice": {"id": "5"}}
    with pytest.raises(CommandError, match="--event"):
        known_data(EventSpec("x.y", {}, known=("x.name",)), "5")


def test_a_record_is_read_from_the_source(cross: Callable[..., Any], spawn: Callable[..., Any], home: Path) -> None:
    """Over real HTTP, against `crossdock sandbox`, with the connections that it prints."""
    process = spawn("sandbox", "--port", "0")
    printed = ""
    while "Connections for a routing file" not in printed:
        printed += process.stdout.readline()
    for line in iter(process.stdout.readline, "\n"):
        printed += line
    routing = yaml.safe_load((home / "crossdock.yaml").read_text())
    printed = printed[printed.index("connections:\n") :]
    routing["connections"] |= yaml.safe_load(printed)["connections"]
    (home / "crossdock.yaml").write_text(yaml.safe_dump(routing, sort_keys=False))
    ran = cross("plan", "bill", "--id", "1", "--json")
    assert ran.err == ""
    assert ran.json["legs"][0]["input"]["name"] == "Fernhill rollout"
    assert ran.json["unmapped"] == [
        {"path": "deal.custom.industry", "value": "Manufacturing"},
        {"path": "deal.products.1.discount_percent", "value": 5},
    ]
    gone = cross("plan", "bill", "--id", "4711")
    assert (gone.code, gone.err.count("\n")) == (1, 1)
