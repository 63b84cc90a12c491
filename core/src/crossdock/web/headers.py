"""Headers that every answer has, so that a browser does with our pages only what they need."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing but our own files, no inline script or style, and in nobody's frame."""
_ALWAYS = {"x-content-type-options": "nosniff", "referrer-policy": "same-origin"}
_PAGES = {
    "content-security-policy": CSP,
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "cross-origin-opener-policy": "same-origin",
}
_YEAR = "max-age=31536000"


class SafeHeaders:
    """Adds them to every answer but those to webhooks, which no browser sees. `https`: people come by https."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/webhooks/"):
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._complete(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, answer)

    def _complete(self, headers: MutableHeaders) -> None:
        page = headers.get("content-type", "").startswith("text/html")
        known = _ALWAYS | (_PAGES if page else {}) | ({"strict-transport-security": _YEAR} if self._https else {})
        for name, value in known.items():
            headers.setdefault(name, value)
        headers.setdefault("cache-control", "no-store")
