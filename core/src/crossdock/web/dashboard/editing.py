"""Edit the input of a run, see what a replay would write with it, and replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crossdock_sdk.jsonio import plain
from fastapi import APIRouter
from starlette.responses import Response

from crossdock.edits import Edit, EditError, leaves, typed
from crossdock.operations import NotPossibleError, UnknownRunError
from crossdock.program import ProgramError
from crossdock.web import views
from crossdock.web.api import plan_in_force, previewed
from crossdock.web.dashboard.desk import Acting, Desk, back
from crossdock.web.dashboard.rendering import brief
from crossdock.web.dashboard.run import title_of
from crossdock.web.dashboard.words import FATES
from crossdock.web.mappings import plain_path, sources

router = APIRouter(include_in_schema=False)

_FIELD = "f:"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form: what stands there, and what was typed. `likely`: the refused field is made of it."""

    path: str
    value: str
    typed: str
    likely: bool


@dataclass(frozen=True, slots=True)
class Form:
    """What was typed: path → text, why, and the leg from which on all is to be made again, or an empty text."""

    given: dict[str, str]
    why: str = ""
    from_leg: str = ""


@router.get("/runs/{run}/edit")
async def show_form(desk: Acting, run: str) -> Response:
    return await _page(desk, run, Form({}), preview=False)


@router.post("/runs/{run}/edit")
async def act_on_form(desk: Acting, run: str) -> Response:
    """Show what would be written, or do it; the form says which by its button."""
    sent = await desk.request.form()
    given = {name.removeprefix(_FIELD): str(value) for name, value in sent.items() if name.startswith(_FIELD)}
    form = Form(given, str(sent.get("why", "")).strip(), str(sent.get("from_leg", "")))
    if sent.get("do") != "replay":
        return await _page(desk, run, form, preview=True)
    return await _replay(desk, run, form)


async def _replay(desk: Desk, run: str, form: Form) -> Response:
    shown = await views.detail(desk.runtime.journal, desk.runtime.programs, run)
    if shown is None:
        return await desk.missing(f"There is no run {run}.")
    try:
        edits = _edits(shown["records"], form.given)
        if not edits and not form.from_leg:
            return await _page(
                desk, run, form, preview=True, problem="Change a field, or choose where to make again from."
            )
        plan = await plan_in_force(desk.runtime, run)
        how = "with your changes" if edits else f"from {form.from_leg} on"
        return await desk.act(
            run,
            lambda operations: operations.replay(
                run, plan, edits=edits, from_leg=form.from_leg or None, why=form.why or None
            ),
            lambda new: f"It goes on {how}." if new.id == run else f"This run replays it {how}.",
        )
    except EditError as error:
        return await _page(desk, run, form, preview=False, problem=str(error))


async def _page(desk: Desk, run: str, form: Form, *, preview: bool, problem: str | None = None) -> Response:
    shown = await views.detail(desk.runtime.journal, desk.runtime.programs, run)
    if shown is None:
        return await desk.missing(f"There is no run {run}.")
    if shown["records"] is None or shown["payload_removed_at"]:
        return back(f"/runs/{run}", refused="The run has no records to edit: never read, or removed by retention.")
    found = None
    if preview:
        try:
            found = await previewed(desk.runtime, run, _edits(shown["records"], form.given), form.from_leg or None)
        except (EditError, NotPossibleError, UnknownRunError, ProgramError) as error:
            problem = str(error)
    likely = await _likely(desk, run, shown)
    fields = [_field(path, value, form.given, likely) for path, value in leaves(plain(shown["records"]))]
    return await desk.show(
        "edit.html",
        run=plain(shown),
        title=title_of(plain(shown)),
        fields=sorted(fields, key=lambda field: not field.likely),
        likely=bool(likely),
        form=form,
        standing=[leg["leg"] for leg in shown["legs"] if leg["state"] == "stands"],
        preview=plain(found.shown()) if found else None,
        problem=problem,
        fates=FATES,
    )


def _field(path: str, value: Any, given: dict[str, str], likely: Sequence[str]) -> Field:
    text = _text(value)
    return Field(path, text, given.get(path, text), plain_path(path) in likely)


def _text(value: Any) -> str:
    """A value as it stands in its input."""
    return "" if value is None else value if isinstance(value, str) else brief(value)


def _edits(records: Any, given: dict[str, str]) -> list[Edit]:
    """Those fields of the form that were changed. Raises `EditError`."""
    known = dict(leaves(plain(records)))
    return [
        Edit(path, typed(known[path], text))
        for path, text in given.items()
        if path in known and text != _text(known[path])
    ]


async def _likely(desk: Desk, run: str, shown: dict[str, Any]) -> list[str]:
    """The fields of the records that the refused field is made of, without their numbers."""
    error, leg = shown["error"] or {}, shown["leg"] or (shown["error"] or {}).get("leg")
    row = await desk.runtime.journal.run(run)
    if row is None or not error.get("field"):
        return []
    try:
        flow = (await desk.runtime.programs.get(row.plan_hash)).compiled
    except ProgramError:
        return []
    made = sources(flow, None, {}, leg=leg, wrong=error["field"]) if leg else []
    return [read for source in made if source.blamed for read in source.reads] or [plain_path(error["field"])]
