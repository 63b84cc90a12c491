"""The error tree, cut by what happens next, never by what caused it.

ConnectorError
├── TransientError      did not take effect; worth another try later
│   ├── ThrottledError  not even sent: the connection keeps to the vendor's limits; burns no try
│   └── UnavailableError  the server says so (503), which is no proof: looked for before it is given up
├── AmbiguousError      a write that may or may not have taken effect; ask before repeating
├── RejectedError       the vendor understood and said no; another try gives the same answer
│   ├── NotFoundError   what the request names does not exist at the vendor
│   └── DiscrepancyError  the write took effect, but not as asked; its receipt is to be undone
├── EventVoid           what a source told no longer holds; nothing is to be done about it
├── AuthError           the credentials are refused; the connection pauses until a person acts
└── ConfigError         the connection or the account is set up wrongly
WebhookError
├── VerificationError   the delivery is not proven to come from the vendor (401)
└── PayloadError        authentic, but not what the vendor documents (422)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossdock_sdk.contracts.sink import Receipt


class ConnectorError(Exception):
    """Base of all that a connector may raise while it talks to its vendor.

    `message` is one line for a person: what was wrong, where, what to do. `code` is the vendor's own
    error code, `field` the vendor's or our name of the offending field, `status` the HTTP status,
    `request_id` what the vendor's support asks for. `unanswered` says that no reply came at all, or none to be
    read; many of those, or of 5xx, in a row are an outage of the vendor, and no fault of the runs that meet it.
    """

    kind = "error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        field: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        unanswered: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.field = field
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        self.unanswered = unanswered

    def facts(self) -> dict[str, Any]:
        """The error as plain data, for the journal: `kind`, `message` and what else is known."""
        named = {
            "code": self.code,
            "field": self.field,
            "status": self.status,
            "request_id": self.request_id,
            "retry_after": self.retry_after,
            "unanswered": self.unanswered or None,
        }
        return {"kind": self.kind, "message": self.message} | {k: v for k, v in named.items() if v is not None}


class TransientError(ConnectorError):
    """Nothing took effect, and a later try may succeed. `retry_after` is in seconds."""

    kind = "transient"


class ThrottledError(TransientError):
    """Our own client held the request back, for `retry_after` seconds; the vendor was not asked."""

    kind = "throttled"


class UnavailableError(TransientError):
    """The server says that it did not act on a write (503). Another try may succeed; that nothing took effect is its
    word alone, and some servers and proxies say it after the write was applied."""

    kind = "unavailable"


class AmbiguousError(ConnectorError):
    """A write was sent and its fate is unknown: time-out, dropped connection, 5xx, unreadable reply."""

    kind = "ambiguous"


class RejectedError(ConnectorError):
    """The vendor said no for good: bad SKU, unknown field, closed period."""

    kind = "rejected"


class NotFoundError(RejectedError):
    """What the request names does not exist (any more) at the vendor."""

    kind = "not_found"


class DiscrepancyError(RejectedError):
    """The write took effect, but not as asked (say, another total). `receipt` says what now stands."""

    kind = "discrepancy"

    def __init__(self, message: str, *, receipt: Receipt, field: str | None = None) -> None:
        super().__init__(message, field=field)
        self.receipt = receipt


class EventVoid(ConnectorError):  # noqa: N818 - an outcome of reading, which nobody has to mend
    """What a source told of no longer holds when it is read: a deal that was won is open again.

    Only a source raises it, from `hydrate`. The run writes nothing, and nobody is called.
    """

    kind = "void"


class AuthError(ConnectorError):
    """The credentials are refused, also after one refresh."""

    kind = "auth"


class ConfigError(ConnectorError):
    """The connection's settings, or the account's set-up, do not allow what the flow asks."""

    kind = "config"


class WebhookError(Exception):
    """A delivery that is refused. The text is for our log; the sender sees only the status."""


class VerificationError(WebhookError):
    """Wrong or missing password or signature."""


class PayloadError(WebhookError):
    """Authentic, but not the JSON (or the shape of JSON) that the vendor documents."""
