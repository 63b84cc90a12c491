"""What a simulated Slack refuses in a message, by the limits of Block Kit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]

_TEXT = 40_000
_ALL_BLOCKS = 13_200
_BLOCKS = 50
_HEADER = 150
_SECTION = 3000
_FIELD = 2000
_FIELDS = 10
_ELEMENTS = 10
_BUTTONS = 25
_BUTTON_TEXT = 75
_BUTTON_LIMITS = {"action_id": 255, "value": 2000, "url": 3000}
_BUTTON_KEYS = {"type", "text", "action_id", "url", "value", "style", "confirm", "accessibility_label"}
_CONFIRM_LIMITS = {"title": 100, "text": 300, "confirm": 30, "deny": 30}
_KEYS = {
    "header": {"type", "text", "block_id"},
    "section": {"type", "text", "fields", "accessory", "block_id", "expand"},
    "context": {"type", "elements", "block_id"},
    "divider": {"type", "block_id"},
    "actions": {"type", "elements", "block_id"},
}


class RefusedError(Exception):
    """Slack's own word for no."""

    def __init__(
        self,
        code: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        extra: Json | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.headers = dict(headers or {})
        self.extra = extra or {}


def check_message(message: Json) -> None:
    """Raises `RefusedError` unless Slack would post it."""
    text, blocks = message.get("text"), message.get("blocks")
    if not text and not blocks:
        raise RefusedError("no_text")
    if text is not None and (not isinstance(text, str) or _length(text) > _TEXT):
        raise RefusedError("msg_too_long")
    if blocks is None:
        return
    problems = list(_problems(blocks))
    if problems:
        raise RefusedError("invalid_blocks", extra={"response_metadata": {"messages": problems}})
    if sum(_length(text) for text in _texts(blocks)) > _ALL_BLOCKS:
        raise RefusedError("msg_blocks_too_long")


def _length(text: str) -> int:
    """UTF-16 units: stricter than counting characters, in case Slack counts so."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _problems(blocks: Any) -> Iterator[str]:
    if not isinstance(blocks, list):
        yield "[ERROR] must be an array [json-pointer:/blocks]"
        return
    if len(blocks) > _BLOCKS:
        yield f"[ERROR] no more than {_BLOCKS} items allowed [json-pointer:/blocks]"
    for index, block in enumerate(blocks):
        where = f"[json-pointer:/blocks/{index}"
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in _KEYS:
            yield f"[ERROR] unsupported type: {kind} {where}/type]"
            continue
        for name in sorted(set(block) - _KEYS[kind]):
            yield f"[ERROR] no more items allowed, invalid additional property: {name} {where}]"
        yield from (f"[ERROR] {problem} {where}]" for problem in _block_problems(kind, block))


def _block_problems(kind: str, block: Json) -> Iterator[str]:
    if kind == "header":
        yield from _text_problems(block.get("text"), _HEADER, {"plain_text"})
    elif kind == "context":
        yield from _list_problems(block.get("elements"), _ELEMENTS, _SECTION)
    elif kind == "actions":
        yield from _button_problems(block.get("elements"))
    elif kind == "section":
        if "text" not in block and "fields" not in block:
            yield "missing required field: text or fields"
        if "text" in block:
            yield from _text_problems(block["text"], _SECTION, {"plain_text", "mrkdwn"})
        if "fields" in block:
            yield from _list_problems(block["fields"], _FIELDS, _FIELD)


def _list_problems(items: Any, most: int, limit: int) -> Iterator[str]:
    if not isinstance(items, list) or not 1 <= len(items) <= most:
        yield f"must have 1 to {most} items"
        return
    for item in items:
        yield from _text_problems(item, limit, {"plain_text", "mrkdwn"})


def _button_problems(elements: Any) -> Iterator[str]:
    if not isinstance(elements, list) or not 1 <= len(elements) <= _BUTTONS:
        yield f"must have 1 to {_BUTTONS} items"
        return
    for element in elements:
        if not isinstance(element, dict) or element.get("type") != "button":
            yield "unsupported type of element"
            continue
        yield from (f"invalid additional property: {name}" for name in sorted(set(element) - _BUTTON_KEYS))
        yield from _text_problems(element.get("text"), _BUTTON_TEXT, {"plain_text"})
        for name, limit in _BUTTON_LIMITS.items():
            if name in element and not (isinstance(element[name], str) and 0 < _length(element[name]) <= limit):
                yield f"{name} must be less than {limit + 1} characters"
        if element.get("style") not in {None, "primary", "danger"}:
            yield "style must be primary or danger"
        for name, limit in _CONFIRM_LIMITS.items() if "confirm" in element else ():
            yield from _text_problems(element["confirm"].get(name), limit, {"plain_text"})
    ids = [element.get("action_id") for element in elements if isinstance(element, dict)]
    if len(set(ids)) != len(ids):
        yield "`action_id` must be unique within a block"


def _text_problems(text: Any, limit: int, kinds: set[str]) -> Iterator[str]:
    if not isinstance(text, dict) or text.get("type") not in kinds:
        yield f"text must be one of {', '.join(sorted(kinds))}"
        return
    known = {"type", "text", "emoji"} if text["type"] == "plain_text" else {"type", "text", "verbatim"}
    if set(text) - known:
        yield f"invalid additional property: {', '.join(sorted(set(text) - known))}"
    content = text.get("text")
    if not isinstance(content, str) or not content.strip():
        yield "must be more than 0 characters"
    elif _length(content) > limit:
        yield f"must be less than {limit + 1} characters"


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("text"), str):
            yield node["text"]
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, list):
        for item in node:
            yield from _texts(item)
