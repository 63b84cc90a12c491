"""The built-in connector `log`: alerts as lines of the process's own log."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from crossdock_sdk import Alert, Checked, Connection, ConnectionConfig, Context, Notifier, hookimpl, jsonio

_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO, "good": logging.INFO}


class LogConfig(ConnectionConfig):
    """No settings: where the log goes is the process's business. `base_url` is accepted and unused."""

    base_url: str = ""


class LogConnection(Connection):
    connector: ClassVar[str] = "log"
    Config: ClassVar[type[ConnectionConfig]] = LogConfig

    async def check(self) -> Checked:
        return Checked("the process's own log")


class LogNotifier(Notifier):
    """One JSON line per alert, at the alert's severity, through the connection's logger."""

    connection_class: ClassVar[type[Connection]] = LogConnection

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        context: Context = connection.context
        self._logger = context.logger

    async def notify(self, alert: Alert) -> None:
        """Write the alert; an unknown severity counts as error."""
        line = jsonio.dumps({"event": "alert", **alert.model_dump(exclude_defaults=True)}).decode()
        self._logger.log(_LEVELS.get(alert.severity, logging.ERROR), "%s", line)


@hookimpl
def crossdock_notifiers() -> list[type[Notifier]]:
    return [LogNotifier]
