from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
import uvicorn
from crossdock import logs
from crossdock.telemetry import Telemetry, step_span_id
from crossdock_sdk.redaction import MASK, Redactor

CANARY = "kanarie-5f3a9c"
logger = logging.getLogger("crossdock.test")


def refuse(what: str) -> None:
    raise ValueError(f"refused {what}")


class Captured:
    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.redactor = Redactor()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def captured() -> Iterator[Captured]:
    found = Captured()
    restore = logs.configure("info", True, found.redactor, stream=found.stream)
    yield found
    restore()


@pytest.fixture
def terminal() -> Iterator[Captured]:
    found = Captured()
    restore = logs.configure("INFO", False, found.redactor, stream=found.stream)
    yield found
    restore()


def test_a_record_is_one_line_of_json(captured: Captured) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    logger.warning("two\nlines %s", "é", extra={"amount": Decimal("10.10"), "when": before})
    (line,) = captured.lines
    assert line.items() >= {"level": "warning", "logger": "crossdock.test", "msg": "two\nlines é"}.items()
    assert line["ts"].endswith("Z")
    assert datetime.fromisoformat(line["ts"]) >= before
    assert (line["amount"], line["when"]) == (10.10, before.isoformat().replace("+00:00", "Z"))
    assert '"amount":10.10' in captured.text


def test_a_run_s_names_are_on_every_line_inside(captured: Captured) -> None:
    with logs.bind(run="r1", flow="deal-to-invoice"):
        with logs.bind(leg="invoice", connection=None):
            logger.info("inside")
        logger.info("outer", extra={"run": "other"})
    logger.info("outside")
    inside, outer, outside = captured.lines
    assert (inside["run"], inside["flow"], inside["leg"]) == ("r1", "deal-to-invoice", "invoice")
    assert "connection" not in inside
    assert outer["run"] == "other"
    assert "leg" not in outer
    assert "run" not in outside


async def test_concurrent_tasks_keep_their_own_names(captured: Captured) -> None:
    async def work(run: str) -> None:
        with logs.bind(run=run):
            await asyncio.sleep(0)
            logger.info("%s", run)

    await asyncio.gather(*(work(f"r{i}") for i in range(20)))
    assert [line["run"] for line in captured.lines] == [line["msg"] for line in captured.lines]


def test_lines_name_the_current_span(captured: Captured) -> None:
    telemetry = Telemetry("crossdock", Redactor(), env={})
    run = telemetry.new_trace()
    with telemetry.inside_step(run, "r", 1):
        logger.info("inside")
    logger.info("outside")
    inside, outside = captured.lines
    assert inside["trace_id"] == run.hex
    assert inside["span_id"] == f"{step_span_id('r', 1):016x}"
    assert "trace_id" not in outside


def test_an_exception_is_a_field(captured: Captured) -> None:
    captured.redactor.add(CANARY)
    try:
        refuse(CANARY)
    except ValueError:
        logger.exception("failed")
    (line,) = captured.lines
    assert line["exc"].startswith("Traceback")
    assert line["exc"].endswith(f"ValueError: refused {MASK}")


def test_no_secret_is_written_wherever_it_stands(captured: Captured) -> None:
    secret = 'kanarie "quoted"\\\nsecond line é'
    captured.redactor.add(secret)
    with logs.bind(connection=f"books {secret}", nested={"a": [secret]}):
        logger.info("text %s", secret, extra={"payload": {"deep": [{"x": secret}]}, secret: 1})
    assert captured.lines[0]["payload"] == {"deep": [{"x": MASK}]}
    assert "kanarie" not in captured.text
    assert "second line" not in captured.text


def test_what_json_cannot_say_is_still_one_line(captured: Captured) -> None:
    logger.info("odd", extra={"odd": float("nan"), "thing": object(), "bytes": b"\xff", "keys": {(1, 2): 3}})
    assert captured.lines[0]["msg"] == "odd"


def test_a_line_for_a_terminal_is_readable_and_cannot_be_forged(terminal: Captured) -> None:
    with logs.bind(run="r1", leg="invoice"):
        logger.warning("bad SKU\n12:00:00 INFO    forged\x1b[2J")
    (line,) = terminal.text.splitlines()
    assert "WARNING test  bad SKU\\n12:00:00 INFO    forged\\x1b[2J  run=r1 leg=invoice" in line


def test_a_terminal_shows_the_traceback_below(terminal: Captured) -> None:
    try:
        refuse("it")
    except ValueError:
        logger.exception("failed")
    first, second, *_, last = terminal.text.splitlines()
    assert first.endswith("ERROR   test  failed")
    assert second.startswith("Traceback")
    assert last == "ValueError: refused it"


def test_levels_and_chatter_are_held_back(captured: Captured) -> None:
    logger.debug("no")
    logging.getLogger("httpx").info("no")
    logging.getLogger("httpx").warning("yes")
    assert [line["msg"] for line in captured.lines] == ["yes"]


def test_what_nothing_caught_is_logged_redacted(captured: Captured) -> None:
    captured.redactor.add(CANARY)
    error = ValueError(CANARY)
    sys.excepthook(ValueError, error, None)

    def fail() -> None:
        raise error

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    first, second = captured.lines
    assert first["level"] == second["level"] == "critical"
    assert first["exc"] == f"ValueError: {MASK}"
    assert second["exc"].endswith(f"ValueError: {MASK}")


def test_configure_can_be_taken_back() -> None:
    root, access = logging.getLogger(), logging.getLogger("uvicorn.access")
    before = (root.handlers[:], root.level, access.handlers[:], access.propagate, sys.excepthook)
    logs.configure("debug", True, Redactor(), stream=io.StringIO())()
    assert (root.handlers[:], root.level, access.handlers[:], access.propagate, sys.excepthook) == before


async def test_uvicorn_s_own_lines_go_through_it(captured: Captured) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(f"http://127.0.0.1:{port}/connect/books/callback?code=SECRET1&state=SECRET2")
    await server.shutdown()
    (access,) = [line for line in captured.lines if line["logger"] == "uvicorn.access"]
    assert f'"GET /connect/books/callback?code={MASK}&state={MASK} HTTP/1.1" 204' in access["msg"]
    assert "SECRET" not in captured.text
