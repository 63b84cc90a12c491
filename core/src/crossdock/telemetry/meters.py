"""The registry over OTLP: the same instruments that `/metrics` shows, sent every minute."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from crossdock_sdk.redaction import Redactor

from crossdock import __version__
from crossdock.metrics import Registry
from crossdock.redaction import Scrubber

if TYPE_CHECKING:
    from crossdock.telemetry.sending import Sender

_INTERVAL = timedelta(minutes=1)
"""The specification's default of `OTEL_METRIC_EXPORT_INTERVAL`."""
_logger = logging.getLogger(__name__)


class Meters:
    """Sends what `registry` holds where the standard variables say; nothing global is set.

    Metrics go out if `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` names a receiver, or
    `OTEL_METRICS_EXPORTER` is `otlp`; not with `OTEL_SDK_DISABLED=true`, nor with `OTEL_METRICS_EXPORTER` set to
    anything else, such as `none` or `prometheus`: the page is there anyway. `sleep` takes seconds.
    """

    def __init__(
        self,
        registry: Registry,
        service_name: str,
        redactor: Redactor,
        now: Callable[[], datetime],
        *,
        env: Mapping[str, str] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._env = os.environ if env is None else env
        self._registry = registry
        self._now = now
        self._sleep = sleep
        self._sender: Sender | None = None
        if _wanted(self._env):
            from crossdock.telemetry.sending import make_sender

            self._sender = make_sender(service_name, __version__, Scrubber(redactor), now(), self._env)

    @property
    def sending(self) -> bool:
        """Whether metrics go anywhere by themselves."""
        return self._sender is not None

    async def run(self) -> None:
        """Send every `OTEL_METRIC_EXPORT_INTERVAL` (milliseconds) until cancelled; nothing to send returns at once."""
        if self._sender is None:
            return
        interval = _interval(self._env).total_seconds()
        while True:
            await self._sleep(interval)
            try:
                await self.send()
            except Exception:
                _logger.exception("metrics met an error of their own and go on")

    async def send(self, patience: float = 30.0) -> bool:
        """Send what stands now; False if it did not arrive within `patience` seconds."""
        sender = self._sender
        if sender is None:
            return True
        families, at = await self._registry.collect(), self._now()
        return await _beside(lambda: sender.send(families, at), patience)

    async def stop(self, patience: float = 5.0) -> None:
        """Send once more what was counted since, within `patience` seconds; then nothing is sent any more."""
        sender, arrived = self._sender, await self.send(patience)
        self._sender = None
        if sender is not None and arrived:
            sender.close()


async def _beside(work: Callable[[], bool], patience: float) -> bool:
    """What `work` gives, done in a thread that keeps no process from ending; False if it takes too long."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bool] = loop.create_future()

    def settle(result: bool) -> None:
        if not done.done():
            done.set_result(result)

    def perform() -> None:
        result = False
        try:
            result = work()
        except Exception:
            _logger.exception("metrics could not be sent")
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=perform, name="crossdock-meters", daemon=True).start()
    try:
        async with asyncio.timeout(patience):
            return await done
    except TimeoutError:
        return False


def _wanted(env: Mapping[str, str]) -> bool:
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    named = env.get("OTEL_METRICS_EXPORTER", "").strip().lower()
    if named:
        return named == "otlp"
    return bool(env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or env.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"))


def _interval(env: Mapping[str, str]) -> timedelta:
    given = env.get("OTEL_METRIC_EXPORT_INTERVAL", "").strip()
    if given.isascii() and given.isdigit() and int(given) > 0:
        return timedelta(milliseconds=int(given))
    if given:
        _logger.warning("OTEL_METRIC_EXPORT_INTERVAL is %r, not a number of milliseconds; it is 60000", given)
    return _INTERVAL
