"""What the environment says about this installation; everything about flows is in the routing file."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator

_PREFIX = "CROSSDOCK_"


class SettingsError(Exception):
    """A setting is wrong; one line for the person who set it."""


class Settings(BaseModel):
    """Settings of one application. `from_env` reads `CROSSDOCK_<NAME>` for each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: Path = Field(default=Path("crossdock.yaml"), description="the routing file")
    database_url: str = Field(default="sqlite:///crossdock.db", description="where the journal is")
    secret_key: SecretStr | None = Field(
        default=None, description="encrypts OAuth tokens; without it a key file is made beside the database"
    )
    admin_token: SecretStr | None = Field(default=None, description="opens the API: Authorization: Bearer …")
    public_url: str | None = Field(default=None, description="how people and vendors reach this server")
    trusted_proxies: str = Field(
        default="",
        description="addresses or networks, comma separated, whose X-Forwarded-For is believed: 127.0.0.1 for a proxy"
        " on this machine",
    )
    concurrency: int = Field(default=32, ge=1, le=1000, description="runs performed at once")
    max_body: int = Field(default=1_048_576, ge=1024, description="largest webhook body taken, in bytes")
    grace: float = Field(default=25, ge=0, le=600, description="seconds that steps in hand have to finish at a stop")
    step_timeout: float = Field(
        default=120, gt=0, le=120, description="seconds after which a connector that does not answer is cut off"
    )
    lease: float = Field(
        default=150,
        gt=0,
        le=3600,
        description="seconds that a run is a process's own after a sign of life; longer than step_timeout",
    )
    watch: float = Field(default=1, ge=0, le=3600, description="seconds between looks at the routing file; 0: never")
    log_level: str = Field(
        default="INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="what is logged: DEBUG, INFO, WARNING or ERROR",
    )
    log_format: str = Field(default="json", pattern="^(json|text)$", description="json, a line for each event; or text")

    @field_validator("lease")
    @classmethod
    def _outlasts_a_step(cls, lease: float, info: ValidationInfo) -> float:
        if lease <= info.data.get("step_timeout", 0):
            raise ValueError("must be longer than the step timeout, or two processes could be at one step")
        return lease

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, given: str) -> str:
        for one in filter(None, map(str.strip, given.split(","))):
            ipaddress.ip_network(one, strict=False)
        return given

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Read the environment. Raises `SettingsError` naming each wrong variable; unknown ones are not ours."""
        given = {
            name: env[_PREFIX + name.upper()] for name in cls.model_fields if env.get(_PREFIX + name.upper(), "") != ""
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            wrong = [f"{_PREFIX}{str(e['loc'][0]).upper()}: {_said(e)}" for e in error.errors(include_input=False)]
            raise SettingsError("; ".join(wrong)) from None

    def secrets(self) -> tuple[str, ...]:
        """What must never be shown of these."""
        given = [secret.get_secret_value() for secret in (self.secret_key, self.admin_token) if secret is not None]
        # The vault's key may be several, newest first.
        return (*given, *(part for secret in given for part in secret.split(",")))

    @property
    def proxies(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """`trusted_proxies` as networks."""
        named = filter(None, map(str.strip, self.trusted_proxies.split(",")))
        return tuple(ipaddress.ip_network(one, strict=False) for one in named)

    @property
    def grace_period(self) -> timedelta:
        return timedelta(seconds=self.grace)


def _said(error: Mapping[str, Any]) -> str:
    return str(error["msg"]).removeprefix("Value error, ")
