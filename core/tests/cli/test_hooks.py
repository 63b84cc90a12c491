"""`crossdock hooks`: what it says and how it ends, over a vendor on loopback that needs no handshake."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from crossdock_sdk.testing import serve
from lighthouse import Hook, Lighthouse, install, routing

Cross = Callable[..., Any]
PUBLIC = "https://hooks.example.com"
OURS = f"{PUBLIC}/webhooks/lamp"


@pytest.fixture
def lighthouse() -> Iterator[Lighthouse]:
    """The vendor in a thread of its own, for the commands have their own event loops."""
    up, ended, made = threading.Event(), asyncio.Event(), list[Any]()

    async def stand() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            vendor = Lighthouse(client, shakes=False)
            async with serve(vendor.app) as vendor.url:
                made.extend((vendor, asyncio.get_running_loop()))
                up.set()
                await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=(stand(),))
    thread.start()
    assert up.wait(10)
    yield made[0]
    made[1].call_soon_threadsafe(ended.set)
    thread.join(10)


@pytest.fixture
def coast(home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write a routing file for one of the connectors."""
    monkeypatch.syspath_prepend(install(tmp_path_factory.mktemp("beacon")))

    def write(url: str = "http://127.0.0.1:9", connector: str = "buoy", *events: str) -> None:
        (home / "crossdock.yaml").write_text(yaml.safe_dump(routing(url, connector, *events)))

    return write


def test_without_an_address_it_says_what_to_give(coast: Callable[..., None], cross: Cross) -> None:
    coast()
    for command in ("list", "sync", "remove"):
        ran = cross("hooks", command, "lamp")
        assert ran.code == 2
        assert "give --url https://…, or CROSSDOCK_PUBLIC_URL" in ran.err


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "http://hooks.example.com",
            "--url: what is sent to http://hooks.example.com can be read on the way; use https",
        ),
        ("hooks.example.com", "is no URL; write something like https://"),
        ("https://u:p@hooks.example.com", "write it without a user"),
        ("https://hooks.example.com?a=b", "write it without a user, a query"),
        ("https://hooks.example.com:port", "is no URL"),
    ],
)
def test_an_address_that_no_vendor_should_use_is_refused(
    coast: Callable[..., None], cross: Cross, url: str, said: str
) -> None:
    coast()
    ran = cross("hooks", "sync", "lamp", "--url", url)
    assert (ran.code, said in ran.err) == (2, True), ran.err


@pytest.mark.parametrize("public", ["http://127.0.0.1:8000", "http://localhost:8000/", "http://[::1]:8000"])
def test_plain_http_is_taken_to_this_machine(
    coast: Callable[..., None], cross: Cross, lighthouse: Lighthouse, public: str
) -> None:
    coast(lighthouse.url)
    assert cross("hooks", "sync", "lamp", "--url", public).code == 0
    (hook,) = lighthouse.hooks
    assert hook.url.startswith(f"{public.rstrip('/')}/webhooks/lamp?hook=")


def test_names_that_have_no_webhooks_are_told(coast: Callable[..., None], cross: Cross) -> None:
    coast()
    assert "no connection is called lmap; did you mean lamp?" in cross("hooks", "list", "lmap").err
    (Path("crossdock.yaml")).write_text("version: 1\nconnections: {say: {connector: log}}\nflows: {}\n")
    ran = cross("hooks", "list", "say")
    assert (ran.code, "the connector log brings no events" in ran.err) == (2, True)


def test_list_sync_list_remove(
    coast: Callable[..., None], cross: Cross, lighthouse: Lighthouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    coast(lighthouse.url, "buoy", "light.on", "light.off")
    monkeypatch.setenv("CROSSDOCK_PUBLIC_URL", PUBLIC)
    lighthouse.hooks.append(Hook("x1", "light.on", "https://else.example/in?secret=of-others"))
    before = cross("hooks", "list", "lamp")
    assert before.code == 1
    assert "to put it right: crossdock hooks sync lamp" in before.out
    assert "of-others" not in before.out
    tried = cross("hooks", "sync", "lamp", "--dry-run")
    assert (tried.code, tried.out.splitlines()) == (0, ["would register light.off", "would register light.on"])
    assert len(lighthouse.hooks) == 1
    done = cross("hooks", "sync", "lamp")
    assert (done.code, done.out.splitlines()) == (0, ["registered light.off (h1)", "registered light.on (h2)"])
    again = cross("hooks", "sync", "lamp", "--json").json
    assert [(action["do"], action["error"]) for action in again["actions"]] == [("keep", None)] * 2
    shown = cross("hooks", "list", "lamp", "--json")
    assert shown.code == 0
    assert (shown.json["connection"], shown.json["url"]) == ("lamp", OURS)
    assert [(hook["state"], hook["topic"], hook["url"], hook["id"]) for hook in shown.json["webhooks"]] == [
        ("ok", "light.off", OURS, "h1"),
        ("ok", "light.on", OURS, "h2"),
        ("other", "light.on", "https://else.example/in", "x1"),
    ]
    removed = cross("hooks", "remove", "lamp")
    assert (removed.code, removed.out.splitlines()) == (0, ["removed light.off (h1)", "removed light.on (h2)"])
    assert [hook.id for hook in lighthouse.hooks] == ["x1"]
    assert cross("hooks", "remove", "lamp").out == "there is nothing to do for lamp\n"


def test_what_the_vendor_refuses_is_one_line_and_ends_with_1(
    coast: Callable[..., None], cross: Cross, lighthouse: Lighthouse
) -> None:
    coast(lighthouse.url)
    lighthouse.refuses = True
    ran = cross("hooks", "sync", "lamp", "--url", PUBLIC)
    (line,) = ran.out.splitlines()
    assert (ran.code, line.startswith("not registered light.on: ")) == (1, True)
    assert cross("hooks", "sync", "lamp", "--url", PUBLIC, "--json").json["actions"][0]["error"] is not None


def test_a_vendor_that_does_not_answer_is_one_line(coast: Callable[..., None], cross: Cross) -> None:
    coast("http://127.0.0.1:9")
    ran = cross("hooks", "list", "lamp", "--url", PUBLIC)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1)


def test_without_an_api_it_prints_what_to_enter_by_hand(coast: Callable[..., None], cross: Cross) -> None:
    coast(connector="flag")
    for command in ("list", "sync", "remove"):
        ran = cross("hooks", command, "lamp", "--url", PUBLIC)
        assert ran.code == 0
        assert "in Flag, open Settings → Signals, and choose light.on" in ran.out
        assert f"the URL to enter: {OURS}\n" in ran.out
    shown = cross("hooks", "list", "lamp", "--url", PUBLIC, "--json").json
    assert (shown["url"], shown["webhooks"], shown["polled"]) == (OURS, None, False)


def test_without_webhooks_it_says_that_it_is_polled(coast: Callable[..., None], cross: Cross) -> None:
    coast(connector="diary")
    ran = cross("hooks", "sync", "lamp")
    assert (ran.code, "sends no webhooks; it is polled" in ran.out) == (0, True)
