"""One HTTP server in the foreground: a port that is ours before anything starts, and a graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

from crossdock.cli.errors import CommandError

if TYPE_CHECKING:
    import uvicorn

GRACE_SECONDS = 5
"""How long requests in hand have to finish at a stop."""


def bound(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `CommandError` if the port is taken or the address is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(
                f"port {port} on {host} is in use; stop what uses it, or choose another --port"
            ) from None
        why = str(error.strerror or error).partition(" (while")[0]
        raise CommandError(f"cannot listen on {host} port {port}: {why}; choose another --host or --port") from None
    # asyncio leaves Nagle's algorithm on for a socket that it did not make, and each reply would wait 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(listener: socket.socket) -> str:
    """Where the socket is reached, such as `http://127.0.0.1:8000`."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run it to its end, on uvloop where there is one."""
    if sys.platform == "win32":
        asyncio.run(work)
    else:
        import uvloop

        uvloop.run(work)


async def listen(
    app: Any, listener: socket.socket, ready: Callable[[], None], on_hangup: Callable[[], None] | None = None
) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called once connections are accepted, `on_hangup` at SIGHUP."""
    server = _server(app, ready)
    with _signals(server, on_hangup):
        await server.serve(sockets=[listener])


def _server(app: Any, ready: Callable[[], None]) -> uvicorn.Server:
    import uvicorn

    from crossdock.web.protocol import LimitedProtocol

    class Server(uvicorn.Server):
        """Leaves the signals to `_signals`: uvicorn would raise them once more after a graceful stop."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            ready()

    config = uvicorn.Config(
        app,
        http=LimitedProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return Server(config)


@contextlib.contextmanager
def _signals(server: uvicorn.Server, on_hangup: Callable[[], None] | None) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        # A second signal means that the person does not want to wait.
        server.force_exit = server.should_exit
        server.should_exit = True

    handlers: dict[int, Callable[[], None]] = {signal.SIGINT: stop, signal.SIGTERM: stop}
    if on_hangup is not None:
        handlers[signal.SIGHUP] = on_hangup
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def alive(app: Any) -> AsyncIterator[None]:
    """The application's lifespan, outside the server: what its start raises reaches the caller as it is."""
    async with app.router.lifespan_context(app):
        yield
