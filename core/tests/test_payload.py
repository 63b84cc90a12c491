from __future__ import annotations

from crossdock.payload import payload_of
from crossdock.state import LegState, Run

RECORDS = {
    "deal": {"native": {"id": 7}, "custom": {"Discount": 15}, "id": "7", "products": [{"native": 1, "code": "A"}]}
}
RUN = Run("r", "r", legs={"invoice": LegState(input={"total": 5}), "back": LegState()}, records=RECORDS)


def test_a_leg_gives_its_last_input() -> None:
    assert payload_of(RUN, "invoice") == {"total": 5}


def test_an_empty_input_is_an_input() -> None:
    assert payload_of(Run("r", "r", legs={"invoice": LegState(input={})}, records=RECORDS), "invoice") == {}


def test_without_a_leg_or_before_its_first_try_it_is_the_records() -> None:
    assert payload_of(RUN, "back") == payload_of(RUN, None) == payload_of(RUN, "unknown") == RECORDS
    assert payload_of(Run("r", "r"), None) is None


def test_what_a_mapping_reads_comes_before_the_vendors_own_json() -> None:
    deal = payload_of(RUN, None)["deal"]
    assert list(deal) == ["id", "products", "custom", "native"]
    assert list(deal["products"][0]) == ["code", "native"]
