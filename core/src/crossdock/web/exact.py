"""Request bodies whose numbers are exact: `10.10` is a `Decimal`, never a float."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from crossdock_sdk import jsonio
from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response


class _ExactRequest(Request):
    async def json(self) -> Any:
        body = await self.body()
        try:
            return jsonio.loads(body)
        except (ValueError, RecursionError) as error:
            raise json.JSONDecodeError(str(error), body.decode("utf-8", "replace")[:100], 0) from None


class ExactRoute(APIRoute):
    """A route that reads its body so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def exactly(request: Request) -> Response:
            return await handle(_ExactRequest(request.scope, request.receive))

        return exactly
