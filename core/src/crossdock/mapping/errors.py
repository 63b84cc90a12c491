"""What can go wrong with a mapping: at load, and with the records of one run."""

from __future__ import annotations


class MappingError(Exception):
    """A mapping that cannot be computed. `where` is a path such as `invoice.lines.2.sku`, `message` one line."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"{where}: {message}")
        self.where = where
        self.message = message


class ExpressionError(MappingError):
    """A mapping that can never be computed, found at load: syntax, a construct that is not allowed, a filter."""


class Fault(Exception):  # noqa: N818 - never leaves this room: a template turns it into a MappingError
    """One line about a value, raised where the place in the file is not known."""


class Absent(Fault):
    """A null, or a name that the record does not have: what `| default(…)` replaces."""
