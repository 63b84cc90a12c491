"""What the environment may say."""

from __future__ import annotations

import pytest
from crossdock.settings import Settings, SettingsError


def test_a_lease_outlasts_a_step() -> None:
    settings = Settings.from_env({"CROSSDOCK_LEASE": "3", "CROSSDOCK_STEP_TIMEOUT": "2"})
    assert (settings.lease, settings.step_timeout) == (3, 2)
    with pytest.raises(SettingsError, match=r"^CROSSDOCK_LEASE: must be longer than the step timeout"):
        Settings.from_env({"CROSSDOCK_LEASE": "3"})


def test_every_wrong_variable_is_named_with_what_is_wrong() -> None:
    with pytest.raises(SettingsError, match=r"CROSSDOCK_CONCURRENCY: .*; CROSSDOCK_LOG_FORMAT: "):
        Settings.from_env({"CROSSDOCK_CONCURRENCY": "0", "CROSSDOCK_LOG_FORMAT": "xml"})
