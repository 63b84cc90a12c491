"""A look that is refused settles nothing."""

from __future__ import annotations

import pytest
from crossdock_sdk import (
    AmbiguousError,
    AuthError,
    ConnectorError,
    DiscrepancyError,
    NotFoundError,
    Receipt,
    RejectedError,
    ThrottledError,
    TransientError,
    looking,
)


@pytest.mark.parametrize("kind", [RejectedError, NotFoundError, AmbiguousError])
def test_a_refused_or_unreadable_look_is_made_again(kind: type[ConnectorError]) -> None:
    with (
        pytest.raises(TransientError, match="whether invoice 7 was made cannot be told: no") as caught,
        looking("invoice 7 was made"),
    ):
        raise kind("no", code="4001", field="id", status=400, request_id="r-1", retry_after=2.0)
    told = caught.value
    assert (told.code, told.field, told.status, told.request_id, told.retry_after) == ("4001", "id", 400, "r-1", 2.0)


@pytest.mark.parametrize(
    "error", [DiscrepancyError("amiss", receipt=Receipt(id="7")), AuthError("revoked"), ThrottledError("later")]
)
def test_what_says_more_than_a_refusal_comes_through_as_it_is(error: ConnectorError) -> None:
    with pytest.raises(type(error)) as caught, looking("it was made"):
        raise error
    assert caught.value is error


def test_a_look_that_succeeds_is_left_alone() -> None:
    with looking("it was made"):
        found = "7"
    assert found == "7"
