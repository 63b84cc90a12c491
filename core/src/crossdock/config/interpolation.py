"""`${NAME}` and `${NAME:-default}` in the file's texts; `$${` stands for `${` itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crossdock.words import did_you_mean

_MARK = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{")


@dataclass(slots=True)
class Interpolation:
    """Fills in variables and remembers their values, so that no message shows one.

    `report(path, message)` hears of each mistake; the texts that have one are in `broken`, by path.
    """

    env: Mapping[str, str]
    report: Callable[[tuple[str, ...], str], None]
    values: set[str] = field(default_factory=set, repr=False)
    broken: set[tuple[str, ...]] = field(default_factory=set)

    def apply(self, value: Any, path: tuple[str, ...] = ()) -> Any:
        """A copy of plain data with every text in it filled in; keys stay as they are."""
        if isinstance(value, dict):
            return {key: self.apply(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.apply(item, (*path, str(index))) for index, item in enumerate(value)]
        return self._text(value, path) if isinstance(value, str) and "${" in value else value

    def _text(self, text: str, path: tuple[str, ...]) -> str:
        def replace(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            return self._variable(match, path)

        return _MARK.sub(replace, text)

    def _variable(self, match: re.Match[str], path: tuple[str, ...]) -> str:
        name, default = match["name"], match["default"]
        if name is None:
            self.broken.add(path)
            self.report(path, "${ begins a variable such as ${NAME} or ${NAME:-default}; write $${ for the text itself")
            return match[0]
        value = self.env.get(name, "")
        if default is not None:
            value = value or default
        elif name not in self.env:
            self.broken.add(path)
            self.report(path, f"the environment variable {name} is not set{did_you_mean(name, self.env)}")
            return match[0]
        if self.env.get(name):
            self.values.add(value)
        return value
