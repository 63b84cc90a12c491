"""The ASGI application for `uvicorn server:app`; its settings come from the environment."""

from crossdock.logs import configure
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock.web.app import create_app

_settings = Settings.from_env()
_runtime = Crossdock(_settings)
configure(_settings.log_level, _settings.log_format == "json", _runtime.redactor)
app = create_app(runtime=_runtime)
