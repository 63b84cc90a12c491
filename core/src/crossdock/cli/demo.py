"""`crossdock demo`."""

from __future__ import annotations

import asyncio
import signal
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossdock.cli import options
from crossdock.cli.errors import FAILED
from crossdock.cli.output import coloured, console, emit, safe, table

if TYPE_CHECKING:
    from crossdock.cli.stage import Stage
    from crossdock.cli.verdict import Verdict

Shown = dict[str, Any]
_SECONDS = 30
DEAL: Shown = {
    "title": "Harbour office rollout",
    # The price that was agreed: what the lines come to, less the 15 % of the custom field, to the cent.
    "value": Decimal("1410.02"),
    "currency": "USD",
    "custom": {"Discount": 15, "Lead score": 71, "Industry": "Services"},
    "organization": {"name": "O'Hara & Sons, Müllheim"},
    "person": {"name": "Siobhán O'Hara", "email": "siobhan@ohara.example", "phone": "+353 1 555 0100"},
    "products": [
        {"code": "CONSULT-DAY", "quantity": 3, "unit_price": Decimal("10.10")},
        {"code": "LICENSE-YR", "quantity": 1, "unit_price": 1199, "discount_percent": 10},
        {"code": "SUPPORT-MO", "quantity": 11, "unit_price": Decimal("49.95")},
    ],
}


def demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself; exit 0 only if all is as it should be.")] = False,
    crm: Annotated[str, typer.Option(help="The simulated CRM in which the deal is won.")] = "pipedrive",
    task: Annotated[bool, typer.Option("--with-task/--no-task", help="Play with the optional third leg on.")] = True,
    json: options.Json = False,
) -> None:
    """Play the whole story against simulated vendors, over real HTTP: won, invoiced, paid, done."""
    if not asyncio.run(_demo(crm, once=once, with_task=task, json=json)):
        raise typer.Exit(FAILED)


async def _demo(crm: str, *, once: bool, with_task: bool, json: bool) -> bool:
    from crossdock_sdk import Redactor

    from crossdock import logs
    from crossdock.cli.stage import stage
    from crossdock.plugins import load_plugins

    restore = logs.configure("WARNING", json=False, redactor=Redactor())
    try:
        async with stage(load_plugins(), crm, with_task=with_task) as on:
            if not json:
                console().print(f"sandbox {on.sandbox.base_url} · server and dashboard {on.url}", soft_wrap=True)
            ok = await _play(on, with_task=with_task, json=json)
            if not once:
                if not json:
                    _invite(on)
                await _interrupted()
            return ok
    finally:
        restore()


async def _play(on: Stage, *, with_task: bool, json: bool) -> bool:
    from crossdock.cli.verdict import verdict

    before = await on.state()
    deal = (await on.happen("crm", "deal.won", DEAL))["deal"]
    key = str(deal["id"])
    if not json:
        out = console()
        out.print(f"deal {key} [bold]{safe(deal['title'])}[/] is won: {deal['value']} {deal['currency']}\n")
    run = await _followed(on, key, quiet=json)
    paid = None
    if run["status"] == "succeeded":
        paid = await _paid(on, run, quiet=json)
    else:
        await on.heard(len(before["alerts"]["messages"]))
    await on.settle()
    found = verdict(deal, before, await on.state(), await on.runs(key), paid, with_task=with_task)
    if json:
        told = {"deal": deal, "run": run, "legs": run["legs"], "paid": paid, "systems": found.systems}
        emit(told | {"ok": found.ok, "checks": found.checks})
    else:
        _show(found, on)
    return found.ok


async def _paid(on: Stage, run: Shown, *, quiet: bool) -> Shown:
    """The customer pays the invoice of this run; the run that the payment sets off."""
    from crossdock.cli.stage import WAY_BACK

    invoice = next(leg["id"] for leg in run["legs"] if leg["leg"] == "invoice")
    happened = await on.happen("books", "payment.create", {"invoice": invoice})
    if not quiet:
        number = happened["invoice"].get("DocNumber", invoice)
        console().print(f"\ninvoice [bold]{safe(number)}[/] is paid in full; the books tell of it\n")
    return await _followed(on, invoice, flow=WAY_BACK, quiet=quiet)


async def _followed(on: Stage, key: str, *, flow: str | None = None, quiet: bool) -> Shown:
    """The run as it stands when it has ended, or when the demo has waited long enough."""
    latest: Shown = {"status": "missing", "steps": [], "legs": []}
    shown = 0
    async for run in on.follow(key, _SECONDS, **({"flow": flow} if flow else {})):
        if not quiet:
            shown = _show_progress(run, shown if run.get("id") == latest.get("id") else 0)
        latest = run
    return latest


def _show_progress(run: Shown, shown: int) -> int:
    """Print the lines of the story that are new; how many there are now."""
    from crossdock.timeline import told

    steps = run["steps"]
    if steps and steps[-1]["phase"] == "intent":
        run = run | {"steps": steps[:-1]}
    lines = told(run)
    for line in lines[shown:]:
        text = f"[red]{safe(line.text)}[/]" if line.bad else safe(line.text)
        console().print(f"  {line.after:7.3f} s  {safe(f'{line.leg:<10}')} {text}", soft_wrap=True)
    return len(lines)


def _show(found: Verdict, on: Stage) -> None:
    rows = [
        (f"{safe(role)} ({safe(on.connectors[role])})", safe(what), safe(value))
        for role, system in found.systems.items()
        for what, value in _flat(system)
    ]
    table(("system", "what", "stands"), rows, title="\nWhat stands in each system")
    for check in found.checks:
        wrong = "" if check["ok"] else f": found {check['found']}, wanted {check['wanted']}"
        console().print(
            f"  {coloured('ok' if check['ok'] else 'wrong')}  {safe(check['what'] + wrong)}", soft_wrap=True
        )


def _flat(system: Shown) -> list[tuple[str, str]]:
    rows = []
    for what, items in system.items():
        rows += [(what, ", ".join(f"{k} {_line(v)}" for k, v in item.items() if v)) for item in items]
        rows += [] if items else [(what, "none")]
    return rows


def _line(value: object) -> str:
    return " ".join(str(value).split())


def _invite(on: Stage) -> None:
    sandbox, crm = on.sandbox.base_url, on.connectors["crm"]
    won = f"curl -X POST {sandbox}/_sandbox/{crm}/deal.won -d"
    typer.echo(f"""
It stays up until Ctrl-C. Things to try:
  open the dashboard {on.url}/
  see what stands   curl {sandbox}/_sandbox/state
  see the runs      curl {on.url}/api/v1/runs
  break a SKU       {won} '{_small("Broken SKU", "NO-SUCH-SKU")}'
                    → nothing of it remains, and alerts has a message that says why
  drop a reply      curl -X PUT {sandbox}/_sandbox/faults -d \
'[{{"kind": "drop_after", "connector": "quickbooks", "method": "POST", "path": "*/invoice"}}]'
                    {won} '{_small("Dropped reply", "SETUP")}'
                    → QuickBooks made the invoice but nobody heard; still there is exactly one
  switch a leg on or off: `enabled: …` in {on.config}; the next deal is played by it""")


def _small(title: str, code: str) -> str:
    from crossdock_sdk import jsonio

    line = {"code": code, "quantity": 1, "unit_price": 100}
    deal = {"title": title, "currency": DEAL["currency"], "organization": {"name": "Lumen Ltd"}, "products": [line]}
    return jsonio.dumps(deal).decode()


async def _interrupted() -> None:
    """Wait for SIGINT or SIGTERM, so that the end is a clean one."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
