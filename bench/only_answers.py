"""The web stack of `crossdock serve` around an application that reads the body and says 200.

python bench/only_answers.py      prints its URL, then serves until it is ended
"""

from __future__ import annotations

from crossdock.cli.listening import bound, listen, run, url_of
from crossdock.web.problems import ExactJSON
from fastapi import FastAPI, Request
from starlette.responses import Response

app = FastAPI()


@app.post("/webhooks/{connection}", response_class=ExactJSON)
async def deliver(connection: str, request: Request) -> Response:
    await request.body()
    return ExactJSON({"accepted": 1, "duplicates": 0, "ignored": 0})


async def _serve() -> None:
    with bound("127.0.0.1", 0) as listener:
        await listen(app, listener, lambda: print(url_of(listener), flush=True))


if __name__ == "__main__":
    run(_serve())
