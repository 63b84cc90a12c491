"""The Crossdock connector SDK: all that a connector may import.

A connector is a package with an entry point in the group `crossdock` that names a module with hook
implementations; see `crossdock_sdk.hooks`.
"""

from crossdock_sdk.changes import Change, read_changes
from crossdock_sdk.contracts.connection import (
    Connection,
    ConnectionConfig,
    Context,
    MemoryTokens,
    Token,
    TokenStore,
)
from crossdock_sdk.contracts.notifier import Alert, LegReport, Notifier
from crossdock_sdk.contracts.polling import Polling, PollPage, PollRequest
from crossdock_sdk.contracts.sink import Action, Receipt, Redo, Sink
from crossdock_sdk.contracts.source import Event, EventSpec, Handshake, Source, WebhookReply, WebhookRequest
from crossdock_sdk.contracts.subscriptions import Subscribable, Subscription
from crossdock_sdk.contracts.transform import Transform
from crossdock_sdk.errors import (
    AmbiguousError,
    AuthError,
    ConfigError,
    ConnectorError,
    DiscrepancyError,
    EventVoid,
    NotFoundError,
    PayloadError,
    RejectedError,
    ThrottledError,
    TransientError,
    UnavailableError,
    VerificationError,
    WebhookError,
)
from crossdock_sdk.hooks import SDK_API, hookimpl
from crossdock_sdk.http import ApiClient, BearerAuth, HeaderAuth, Limits, OAuth2Refresh, Reply
from crossdock_sdk.looking import looking
from crossdock_sdk.models import (
    Address,
    BoardTask,
    Customer,
    Deal,
    DealProduct,
    DealUpdate,
    Discount,
    Invoice,
    InvoiceLine,
    InvoiceSend,
    IssuedInvoice,
    ItemQuery,
    Note,
    ObjectRef,
    Organization,
    Payment,
    PaymentLine,
    Person,
    Record,
    Task,
    TaskUpdate,
)
from crossdock_sdk.redaction import Redactor

__version__ = "0.1.0"

__all__ = (
    "SDK_API",
    "Action",
    "Address",
    "Alert",
    "AmbiguousError",
    "ApiClient",
    "AuthError",
    "BearerAuth",
    "BoardTask",
    "Change",
    "ConfigError",
    "Connection",
    "ConnectionConfig",
    "ConnectorError",
    "Context",
    "Customer",
    "Deal",
    "DealProduct",
    "DealUpdate",
    "Discount",
    "DiscrepancyError",
    "Event",
    "EventSpec",
    "EventVoid",
    "Handshake",
    "HeaderAuth",
    "Invoice",
    "InvoiceLine",
    "InvoiceSend",
    "IssuedInvoice",
    "ItemQuery",
    "LegReport",
    "Limits",
    "MemoryTokens",
    "NotFoundError",
    "Note",
    "Notifier",
    "OAuth2Refresh",
    "ObjectRef",
    "Organization",
    "PayloadError",
    "Payment",
    "PaymentLine",
    "Person",
    "PollPage",
    "PollRequest",
    "Polling",
    "Receipt",
    "Record",
    "Redactor",
    "Redo",
    "RejectedError",
    "Reply",
    "Sink",
    "Source",
    "Subscribable",
    "Subscription",
    "Task",
    "TaskUpdate",
    "ThrottledError",
    "Token",
    "TokenStore",
    "Transform",
    "TransientError",
    "UnavailableError",
    "VerificationError",
    "WebhookError",
    "WebhookReply",
    "WebhookRequest",
    "hookimpl",
    "looking",
    "read_changes",
)
