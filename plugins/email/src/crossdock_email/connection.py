"""One way to send mail: a server, how the way to it is secured, and from whom to whom."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from email.headerregistry import Address
from ipaddress import ip_address
from typing import Annotated, Literal

from aiosmtplib import SMTP, SMTPException
from crossdock_sdk import (
    AuthError,
    Checked,
    ConfigError,
    Connection,
    ConnectionConfig,
    ConnectorError,
    Context,
    RejectedError,
    TransientError,
)
from pydantic import AfterValidator, Field, SecretStr, model_validator

from crossdock_email.errors import speaking

PORTS = {"starttls": 587, "tls": 465, "none": 25}
"""RFC 8314: submission with STARTTLS, submission over TLS; RFC 5321: relaying."""
_CLOSING = 421
"""RFC 5321, 3.8: the server closes the connection, whatever it was asked."""
_GOODBYE = 2
"""Seconds to wait for the answer to QUIT, on which nothing depends."""
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
_NAMED = re.compile(r'\s*"?([^<>"\r\n]*)"?\s*<([^<>]+)>\s*')

Compose = Callable[[int | None], bytes]
"""The message, within so many bytes if the server names a limit."""


def mailbox(text: str) -> Address:
    """`ops@example.com` or `Ops <ops@example.com>`. Raises `ValueError`."""
    named = _NAMED.fullmatch(text)
    name, address = (named[1].strip(), named[2]) if named else ("", text)
    if not _ADDRESS.fullmatch(address) or not name.isprintable():
        raise ValueError("must be an address such as ops@example.com, or Ops <ops@example.com>, in plain letters")
    try:
        return Address(name, addr_spec=address)
    except Exception as error:  # the parser of the standard library has more than one kind
        raise ValueError("must be an address such as ops@example.com") from error


def _checked(text: str) -> str:
    mailbox(text)
    return text


def _a_host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("must be the name of a server, such as smtp.example.com; the port has its own key")
    return text


Mailbox = Annotated[str, AfterValidator(_checked)]


class EmailConfig(ConnectionConfig):
    """`username` and `password` go together, and never over an unencrypted way to another machine."""

    base_url: Literal[""] = Field(default="", description="not used: host and port say where the server is")
    host: Annotated[str, AfterValidator(_a_host)] = Field(description="the mail server")
    port: int | None = Field(default=None, ge=1, le=65535, description="587 with starttls, 465 with tls, else 25")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="tls: from the first byte; none: in clear, without a login but on this machine"
    )
    username: str | None = Field(default=None, min_length=1, description="to log in with, and its password")
    password: SecretStr | None = Field(default=None, min_length=1, description="both or neither")
    sender: Mailbox = Field(alias="from", description="an address such as Crossdock <crossdock@example.com>")
    to: tuple[Mailbox, ...] = Field(min_length=1, description="who is told")
    reply_to: Mailbox | None = Field(default=None, description="where answers go, if not to the sender")
    timeout: float = Field(default=10, ge=1, le=25, description="seconds that the server has for each reply")

    @model_validator(mode="after")
    def _a_login_is_whole_and_safe(self) -> EmailConfig:
        if (self.username is None) != (self.password is None):
            raise ValueError("give username and password, or neither")
        if self.password and self.security == "none" and not _is_here(self.host):
            raise ValueError("security: none would send the password in plain text; use starttls or tls")
        return self

    @property
    def place(self) -> str:
        """Where the server is, such as `smtp.example.com:587`."""
        return f"{self.host}:{self.port or PORTS[self.security]}"


class EmailConnection(Connection):
    """Speaks SMTP through aiosmtplib, in a session of its own for each message, with each login tried once."""

    connector = "email"
    Config = EmailConfig
    config: EmailConfig

    def __init__(self, config: EmailConfig, context: Context) -> None:
        super().__init__(config, context)
        self.sender = mailbox(config.sender)
        self.recipients = tuple(mailbox(text) for text in config.to)
        self._closed = False

    @property
    def account(self) -> str:
        return f"email:{self.config.username or ''}@{self.config.place}"

    async def close(self) -> None:
        self._closed = True

    async def check(self) -> Checked:
        """Log in and say NOOP (RFC 5321, 4.1.1.9), which sends nothing to anybody."""
        client = self._opened()
        try:
            await self._begin(client)
            with speaking(f"SMTP {self.config.place}: NOOP", self.context.redactor.text):
                await client.noop()
            with contextlib.suppress(SMTPException, OSError):
                await client.quit(timeout=_GOODBYE)
        finally:
            client.close()
        who = f", as {self.config.username}" if self.config.username else ""
        return Checked(f"{self.config.place}{who}")

    async def send(self, compose: Compose, told: set[str]) -> list[ConnectorError]:
        """Send to those recipients that are not in `told`; who the server takes it for is added to it at once.

        Returns why the server does not take it for others, each error naming its address. Raises `ConnectorError`
        if it is taken for nobody.
        """
        client = self._opened()
        try:
            await self._begin(client)
            refused = await self._transact(client, compose, told)
            with contextlib.suppress(SMTPException, OSError):
                await client.quit(timeout=_GOODBYE)
        finally:
            client.close()
        return refused

    def _opened(self) -> SMTP:
        if self._closed:
            raise TransientError(f"connection {self.context.name} is closed")
        return self._client()

    def _client(self) -> SMTP:
        config = self.config
        return SMTP(
            hostname=config.host,
            port=config.port or PORTS[config.security],
            # The machine's own name is nobody's business, and looking it up may take seconds.
            local_hostname=self.sender.domain,
            timeout=config.timeout,
            use_tls=config.security == "tls",
            start_tls=False,
            validate_certs=True,
        )

    async def _begin(self, client: SMTP) -> None:
        """Connect, encrypt and log in; nothing but greetings goes over a way that is not as secure as is asked."""
        redact, place = self.context.redactor.text, f"SMTP {self.config.place}"
        with speaking(place, redact):
            await client.connect()
            await client.ehlo()
        if self.config.security == "starttls":
            if not client.supports_extension("starttls"):
                raise ConfigError(f"{place}: the server offers no STARTTLS, and nothing was sent; try security: tls")
            with speaking(f"{place}: STARTTLS", redact):
                await client.starttls()
                await client.ehlo()
        if self.config.username is not None and self.config.password is not None:
            await self._log_in(client, self.config.username, self.config.password.get_secret_value())

    async def _log_in(self, client: SMTP, username: str, password: str) -> None:
        """By one method: who tries three after a refusal is locked out three times as soon."""
        what = f"SMTP {self.config.place}: login of {username}"
        methods = {"plain": client.auth_plain, "login": client.auth_login, "cram-md5": client.auth_crammd5}
        offered = [name for name in methods if name in client.server_auth_methods]
        if not offered:
            raise ConfigError(
                f"{what}: the server offers none of {', '.join(methods)}; leave out username and password"
            )
        with speaking(what, self.context.redactor.text):
            await methods[offered[0]](username, password)

    async def _transact(self, client: SMTP, compose: Compose, told: set[str]) -> list[ConnectorError]:
        redact, place = self.context.redactor.text, f"SMTP {self.config.place}"
        limit = client.esmtp_extensions.get("size", "")
        message = compose(int(limit) if limit.isdigit() and int(limit) else None)
        options = [f"SIZE={len(message)}"] if client.supports_extension("size") else []
        with speaking(f"{place}: sender {self.sender.addr_spec}", redact):
            await client.mail(self.sender.addr_spec, options=options)
        taken, refused = [], []
        for address in dict.fromkeys(mailbox.addr_spec for mailbox in self.recipients):
            if address in told:
                continue
            try:
                with speaking(f"{place}: recipient {address}", redact):
                    await client.rcpt(address)
                taken.append(address)
            except ConnectorError as error:
                if error.status in {None, _CLOSING}:
                    raise
                refused.append(error)
        if not taken:
            raise _nobody(refused)
        with speaking(f"{place}: message", redact, sent=True):
            await client.data(message)
        told.update(taken)
        return refused


def _nobody(refused: list[ConnectorError]) -> ConnectorError:
    """One error for all: worth another try if any of them is."""
    kinds = {type(error) for error in refused}
    kind = next((kind for kind in (TransientError, AuthError) if kind in kinds), RejectedError)
    first = next((error for error in refused if type(error) is kind), refused[0])
    message = "; ".join(error.message for error in refused)
    return kind(message, status=first.status, code=first.code, field="to")


def _is_here(host: str) -> bool:
    """Whether it is this machine's own loopback."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
