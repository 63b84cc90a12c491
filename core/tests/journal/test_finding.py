"""Runs are found by what people know of them, whatever they type."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from crossdock.indexer import Indexer
from crossdock.journal import finding
from crossdock.journal.base import Checkpoint, RunFilter
from crossdock.journal.words import asked, words

DEAL = {
    "deal": {
        "id": "812",
        "title": "Dachsanierung Größe XL",
        "organization": {"id": "77", "name": "Müller & Söhne GmbH"},
        "person": {"name": "Jane O'Neil", "email": "jane.oneil@acme.test"},
        "products": [{"code": "ROOF-9", "name": "Roof", "quantity": 3}],
        "native": {"title": "secretive"},
    }
}
RECEIPT = {"id": "4711", "number": "INV-1041", "url": "https://books.test/1041x", "undo": {"token": "undoing"}}
REFUSED = {"kind": "rejected", "message": "No such tax code: VAT19"}


async def indexed(world: Any) -> None:
    await Indexer(world.journal).catch_up()


async def found(world: Any, text: str, **more: Any) -> list[str]:
    page = await world.journal.runs(RunFilter(text=text, **more))
    return [row.id for row in page.items]


@pytest.fixture
async def run(world: Any) -> str:
    claimed = await world.begin("812")
    read = Checkpoint("hydrate", None, "done", {"records": DEAL}, world.clock())
    made = Checkpoint("apply", "invoice", "done", {"receipt": RECEIPT}, world.clock())
    await world.write(claimed, "running", read, made)
    await world.end(claimed, "dead", error=REFUSED, leg="invoice")
    other = await world.begin("813")
    await world.end(other)
    await indexed(world)
    return str(claimed.row.id)


@pytest.mark.parametrize(
    "text",
    [
        *("812", "dachsanierung", "DACHS", "grosse", "größe", "muller", "Müller", "söhne gmbh", "oneil", "o'neil"),
        *("jane.oneil@acme.test", "jane.oneil@ac", "acme", "INV-1041", "inv-10", "1041", "4711", "tax code", "vat19"),
        *("roof-9", "dach*", "müller 4711 dachs", "Jane jan"),
    ],
)
async def test_a_run_is_found_by(world: Any, run: str, text: str) -> None:
    assert await found(world, text) == [run]


@pytest.mark.parametrize(
    "text",
    [
        *("secretive", "undoing", "https", "books.test", "müller nobody", "71", "ja x"),
        *(
            "title:dachsanierung",
            "dachsanierung OR nobody",
            "NEAR(jane)",
            '"',
            "'",
            "*",
            "-jane x",
            "(",
            "^",
            "{}",
        ),
        *("\0", "a\0", "\ud800", "%", "_", "' OR 1=1 --", " "),
    ],
)
async def test_a_run_is_not_found_by(world: Any, run: str, text: str) -> None:
    assert await found(world, text) == []


async def test_the_last_word_may_be_unfinished_from_three_characters_on(world: Any, run: str) -> None:
    assert await found(world, "dac") == [run]
    assert await found(world, "da") == []
    assert await found(world, "dac ") == []


async def test_a_huge_text_is_cut(world: Any, run: str) -> None:
    assert await found(world, "dachsanierung " * 50_000) == [run]
    assert await found(world, "x" * 1_000_000) == []


async def test_key_and_id_are_found_before_the_words_are(world: Any) -> None:
    name = await world.accept("K-77 / a", run="01k9x3v7q2m8t4c6w0y5z1b3d7")
    assert await found(world, "K-77 / a") == [name]
    assert await found(world, "01K9X3V7") == [name]
    assert await found(world, "01k9x") == []
    assert await found(world, "01k9x3v8") == []


async def test_text_goes_with_other_filters(world: Any, run: str) -> None:
    assert await found(world, "jane", statuses=("dead",), leg="invoice", error_kind="rejected", flow="f") == [run]
    assert await found(world, "jane", statuses=("succeeded",)) == []
    assert await found(world, "jane", key="812") == [run]
    assert await found(world, "nobody", key="812") == []
    assert await found(world, "jane", until=world.clock()) == []


async def test_a_search_that_is_broken_off_says_so_and_goes_on(world: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(finding, "MOST_EXAMINED", 4)
    monkeypatch.setattr(finding, "_FEW", 2)
    monkeypatch.setattr(finding, "MOST_BEGINNINGS", 6)
    for number in range(9):
        run = await world.begin(f"common-{number}")
        await world.end(run, "dead" if number == 0 else "succeeded")
    await indexed(world)
    for text in ("common", "commo"):
        wanted = RunFilter(text=text, statuses=("dead",))
        pages, cursor = [], None
        while True:
            page = await world.journal.runs(wanted, cursor=cursor)
            pages.append(([row.id for row in page.items], page.partial))
            cursor = page.next_cursor
            if cursor is None:
                break
        assert pages == [([], True), ([], True), (["r1"], False)]
        newest = await world.journal.runs(RunFilter(text=text), limit=2)
        assert ([row.id for row in newest.items], newest.partial) == (["r9", "r8"], False)


async def test_words_follow_a_run_and_another_process_goes_on(world: Any, make: Callable[[], Any]) -> None:
    claimed = await world.begin("k")
    await world.write(claimed, "waiting", Checkpoint("hydrate", None, "done", {"records": DEAL}, world.clock()))
    await indexed(world)
    assert await found(world, "jane") == []
    await world.journal.release(claimed.claim, world.clock() + timedelta(hours=1))
    other = make()
    await other.open()
    try:
        assert await other.index.round() is True
        assert await world.journal.index.round() is None
        assert await found(world, "jane") == [claimed.row.id]
    finally:
        await other.close()


async def test_two_processes_take_a_piece_in_once(world: Any, make: Callable[[], Any], monkeypatch: Any) -> None:
    await world.end(await world.begin("alpha"))
    other = make()
    await other.open()
    read = world.journal.index._read

    async def late(*given: Any) -> Any:
        piece = await read(*given)
        await Indexer(other).catch_up()
        return piece

    monkeypatch.setattr(world.journal.index, "_read", late)
    try:
        assert await world.journal.index.round() is False
        assert await found(world, "alpha") == ["r1"]
    finally:
        await other.close()


async def test_what_is_emptied_while_it_is_read_is_not_put_back(world: Any, run: str, monkeypatch: Any) -> None:
    await world.journal.mark_told({run: 1})
    world.clock.advance(60)
    again = await world.begin("900")
    await world.write(again, "running", Checkpoint("hydrate", None, "done", {"records": DEAL}, world.clock()))
    await world.end(again)
    read = world.journal.index._read

    async def late(*given: Any) -> Any:
        piece = await read(*given)
        world.clock.advance(60)
        await world.journal.empty(world.clock() - timedelta(seconds=30))
        return piece

    monkeypatch.setattr(world.journal.index, "_read", late)
    assert await world.journal.index.round() is True
    assert await found(world, "jane") == []


async def test_a_run_whose_rows_cannot_be_read_holds_nothing_up(world: Any) -> None:
    run = await world.begin("spoilt")
    await world.write(run, "running", world.step("hydrate", None))
    await world.end(run)
    deep = "[" * 100_000

    def spoil(db: Any) -> None:
        db.execute("UPDATE steps SET data = ?", (deep,))

    await world.journal._writer.write(spoil)
    await indexed(world)
    assert await found(world, "spoilt") == [run.row.id]


async def test_changes_that_are_long_taken_in_are_dropped(world: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("crossdock.journal.index.KEPT", 3)
    for number in range(5):
        await world.end(await world.begin(str(number)))
    await indexed(world)
    kept = await world.journal._read(lambda db: [row[0] for row in db.execute("SELECT seq FROM changes")])
    assert len(kept) == 3


def test_words_have_nothing_that_json_would_escape() -> None:
    texts = ['say "hi" \\ /x/ \n\t', "a\0b", "\u2028zeile", "ÅNGSTRÖM_unit", "\ud83d", "x" * 500]
    for word in words(texts):
        assert not {'"', "\\"} & set(word)
        assert word.isprintable()
        assert len(word) <= 60
    assert len(words([str(n) for n in range(1000)])) == 150
    assert asked("INV-1041 x").words == ("inv-1041", "x")
