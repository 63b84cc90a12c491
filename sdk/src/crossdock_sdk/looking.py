"""Looking for what an earlier try made, without taking a refused look for an answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from crossdock_sdk.errors import AmbiguousError, DiscrepancyError, RejectedError, TransientError


@contextmanager
def looking(what: str) -> Iterator[None]:
    """Around the reads of `Action.recover`: a look that is refused or unreadable says nothing about the write.

    It becomes a `TransientError`, after which the runtime asks again and tells a person; a refusal could pass for the
    vendor's word that nothing was made. What does mean "not there", such as a `NotFoundError`, is caught inside.
    """
    try:
        yield
    except DiscrepancyError:
        raise
    except (RejectedError, AmbiguousError) as error:
        raise TransientError(
            f"whether {what} cannot be told: {error.message}",
            code=error.code,
            field=error.field,
            status=error.status,
            request_id=error.request_id,
            retry_after=error.retry_after,
        ) from error
