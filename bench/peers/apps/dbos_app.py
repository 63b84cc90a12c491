"""The flow as a DBOS workflow, behind FastAPI."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
import work
from dbos import DBOS, DBOSConfig, SetWorkflowID
from fastapi import FastAPI, Request

read_deal = DBOS.step()(work.read_deal)
find_or_create_customer = DBOS.step()(work.find_or_create_customer)
write_back = DBOS.step()(work.write_back)
create_task = DBOS.step()(work.create_task)


@DBOS.step()
async def create_invoice(deal: dict[str, Any], customer: dict[str, Any]) -> dict[str, Any]:
    return await work.create_invoice(deal, customer, f"{DBOS.workflow_id}-{DBOS.step_id}")


@DBOS.workflow()
async def deal_to_invoice(ident: str) -> None:
    deal = await read_deal(ident)
    customer = await find_or_create_customer(deal)
    invoice = await create_invoice(deal, customer)
    await write_back(deal, invoice)
    await create_task(deal, invoice)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    # Launched in the loop that serves, so that workflows that are taken up again run in it too.
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": os.environ["BENCH_DATABASE"],
        "application_version": "1",
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    yield
    DBOS.destroy()


app = FastAPI(lifespan=lifespan)


@app.post("/webhook")
async def webhook(request: Request) -> dict[str, bool]:
    ident = (await request.json())["id"]
    with SetWorkflowID(f"won-{ident}"):
        await DBOS.start_workflow_async(deal_to_invoice, ident)
    return {"accepted": True}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), access_log=False, log_level="warning")
