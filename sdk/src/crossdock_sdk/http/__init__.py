"""The HTTP client of all connectors: auth, limits, tracing, redaction, errors that say what happens next."""

from crossdock_sdk.http.auth import Auth, BearerAuth, HeaderAuth
from crossdock_sdk.http.client import ApiClient
from crossdock_sdk.http.limits import Limits
from crossdock_sdk.http.minted import OAuth2Minted, client_credentials
from crossdock_sdk.http.oauth2 import OAuth2Refresh
from crossdock_sdk.http.reply import Reply

__all__ = (
    "ApiClient",
    "Auth",
    "BearerAuth",
    "HeaderAuth",
    "Limits",
    "OAuth2Minted",
    "OAuth2Refresh",
    "Reply",
    "client_credentials",
)
