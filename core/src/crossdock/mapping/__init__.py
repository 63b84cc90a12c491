"""Mappings: from records and receipts to the input of an action, exactly and without surprises. No I/O."""

from crossdock.mapping.errors import ExpressionError, MappingError
from crossdock.mapping.filters import Filter, filter_box
from crossdock.mapping.guard import Unmapped, unmapped
from crossdock.mapping.paths import Path
from crossdock.mapping.template import Template, compile_template
from crossdock.mapping.values import Pending, Unknown

__all__ = (
    "ExpressionError",
    "Filter",
    "MappingError",
    "Path",
    "Pending",
    "Template",
    "Unknown",
    "Unmapped",
    "compile_template",
    "filter_box",
    "unmapped",
)
