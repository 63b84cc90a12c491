"""The flow as a Restate service, behind Hypercorn."""

from __future__ import annotations

import os
from typing import Any

import hypercorn.asyncio
import restate
import uvloop
import work
from hypercorn.config import Config

deals = restate.Service("deals")


@deals.handler()
async def won(ctx: restate.Context, event: dict[str, Any]) -> None:
    deal = await ctx.run_typed("deal", work.read_deal, ident=event["id"])
    customer = await ctx.run_typed("customer", work.find_or_create_customer, deal=deal)
    key = str(ctx.uuid())
    invoice = await ctx.run_typed("invoice", work.create_invoice, deal=deal, customer=customer, key=key)
    await ctx.run_typed("write back", work.write_back, deal=deal, invoice=invoice)
    await ctx.run_typed("task", work.create_task, deal=deal, invoice=invoice)


if __name__ == "__main__":
    config = Config()
    config.bind = [f"127.0.0.1:{os.environ['BENCH_PORT']}"]
    uvloop.run(hypercorn.asyncio.serve(restate.app([deals]), config))
