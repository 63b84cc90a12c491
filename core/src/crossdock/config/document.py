"""Reading YAML into plain data that knows its lines.

A safe subset: no tags, no dates, no octal or sexagesimal numbers, `no` and `on` are text (only `true` and `false`
are not), a number with a point is a `Decimal`, every key is text, a duplicate key is a mistake, and what anchors
expand to is capped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

MAX_BYTES = 1_000_000
MAX_NODES = 50_000
MAX_DEPTH = 50

_TAG = "tag:yaml.org,2002:"
Mark = tuple[int, int]


class _Loader(yaml.SafeLoader):
    """Resolves plain scalars our way; it only composes, it never constructs."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own form


def _resolve(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(f"{_TAG}{tag}", re.compile(pattern), list(first))


_resolve("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
_resolve("null", r"^(?:~|null|Null|NULL|)$", "~nN")
_Loader.add_implicit_resolver(f"{_TAG}null", re.compile(r"^$"), [""])
_resolve("int", r"^[-+]?(?:0|[1-9][0-9]{0,49})$", "-+0123456789")
_resolve("float", r"^[-+]?(?:0|[1-9][0-9]{0,49})?\.[0-9]{1,50}$", "-+.0123456789")
_resolve("merge", r"^<<$", "<")


@dataclass(slots=True)
class Document:
    """`data` is dict, list, str, int, Decimal, bool and None; `mistakes` are (mark, path, message)."""

    data: Any = None
    marks: dict[tuple[str, ...], Mark] = field(default_factory=dict)
    mistakes: list[tuple[Mark, tuple[str, ...], str]] = field(default_factory=list)

    def mark(self, path: tuple[str, ...]) -> Mark:
        """Line and column (from 1) of the thing at `path`, or of the nearest thing around it."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, (1, 1))


def read_yaml(text: str) -> Document:
    """Read one YAML document; all mistakes are in the result."""
    document = Document()
    if len(text) > MAX_BYTES:
        document.mistakes.append(((1, 1), (), f"longer than {MAX_BYTES} characters"))
        return document
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is not None:
            document.data = _Reader(document).value(node, (), frozenset())
    except yaml.MarkedYAMLError as error:
        found = error.problem_mark or error.context_mark
        mark = (found.line + 1, found.column + 1) if found else (1, 1)
        document.mistakes.append((mark, (), f"not YAML: {error.problem or error.context}"))
    except yaml.YAMLError as error:
        document.mistakes.append(((1, 1), (), f"not YAML: {' '.join(str(error).split())}"))
    except RecursionError:
        document.mistakes.append(((1, 1), (), "nested too deeply"))
    except _TooMuch as error:
        document.mistakes.append((error.mark, error.path, str(error)))
    return document


class _TooMuch(Exception):  # noqa: N818 - never leaves this file
    def __init__(self, mark: Mark, path: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.mark = mark
        self.path = path


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0

    def value(self, node: yaml.Node, path: tuple[str, ...], above: frozenset[int]) -> Any:
        self._nodes += 1
        mark = _mark(node)
        if self._nodes > MAX_NODES:
            raise _TooMuch(mark, path, f"more than {MAX_NODES} values; an anchor may expand to too much")
        if id(node) in above:
            raise _TooMuch(mark, path, "an anchor contains itself")
        if len(path) > MAX_DEPTH:
            raise _TooMuch(mark, path, f"nested more than {MAX_DEPTH} deep")
        self._document.marks.setdefault(path, mark)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path, above | {id(node)})
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            inner = above | {id(node)}
            return [self.value(item, (*path, str(index)), inner) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag.removeprefix(_TAG) in _SCALARS:
            return _SCALARS[node.tag.removeprefix(_TAG)](node.value)
        self._mistake(mark, path, f"the tag {node.tag.replace(_TAG, '!!')} is not allowed")
        return None

    def _mapping(self, node: yaml.MappingNode, path: tuple[str, ...], above: frozenset[int]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, item in node.value:
            if key.tag == f"{_TAG}merge":
                merged = self._merge(item, path, above) | merged
            elif not isinstance(key, yaml.ScalarNode):
                self._mistake(_mark(key), path, "a key must be text")
            elif key.value in own:
                first = self._document.marks[(*path, key.value)][0]
                self._mistake(
                    _mark(key), (*path, key.value), f"the key {key.value} is here twice; first in line {first}"
                )
            else:
                self._document.marks[(*path, key.value)] = _mark(key)
                own[key.value] = self.value(item, (*path, key.value), above)
        return merged | own

    def _merge(self, node: yaml.Node, path: tuple[str, ...], above: frozenset[int]) -> dict[str, Any]:
        """What `<<: *anchor` brings: nearer keys win over it, earlier anchors over later ones."""
        bases = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for base in bases:
            if not isinstance(base, yaml.MappingNode):
                self._mistake(_mark(node), path, "<< needs a mapping, such as *an_anchor")
                continue
            result = self.value(base, path, above) | result
        return result

    def _mistake(self, mark: Mark, path: tuple[str, ...], message: str) -> None:
        self._document.mistakes.append((mark, path, message))


def _mark(node: yaml.Node) -> Mark:
    return node.start_mark.line + 1, node.start_mark.column + 1


_SCALARS: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": Decimal,
    "bool": lambda text: text.lower() == "true",
    "null": lambda text: None,
}
