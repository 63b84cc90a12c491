"""What a durable yes costs: webhooks accepted and committed a second, beside a server that only says 200.

    python bench/intake.py [--rounds 5] [--seconds 2] [--json]

Crossdock is `crossdock serve` in a process of its own: uvicorn over loopback, Pipedrive's source (HTTP Basic checked,
the body parsed, the event deduplicated), a flow that takes each event, a real SQLite file (WAL, FULL). Beside it
`only_answers.py`: the same FastAPI, uvicorn, event loop and reply, nothing else. `load.py` sends the same bodies to
both in turn, from a third process: over 64 connections as fast as answers come, then 200 a second in an open loop.

*Accept only* keeps runs from competing: the runner has one place, taken by a run whose vendor never answers, so that
each run is committed with its event and stays queued. *With the runner at work* performs each run meanwhile, six calls
in five durable steps, against `fake_api.py`; it shows what a server with work to do answers like. `lost` counts
deliveries that were answered with 2xx and whose event or run is not in the journal afterwards. `commit_p99_ms` is what
plain SQLite takes for one commit on the same disk, in the same rounds: no durable answer can be quicker.
"""

from __future__ import annotations

import argparse
import json
import socket
import sqlite3
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import fake_api
import journal
import lane
import load
import servers

CONNECTIONS, RATE = 64, 200
HELD = """
version: 1
connections:
  crm:
    connector: pipedrive
    base_url: "%s"
    api_token: bench-api-token
    webhook: {user: bench, password: bench-password}
flows:
  remark:
    when: crm.deal.won
    key: "{{ deal.id }}"
    legs:
      note: {do: crm.note.create, with: {deal_id: "{{ deal.id }}", content: "{{ deal.title }}"}}
"""


class Sender:
    """Sends to one webhook and remembers which deliveries were taken."""

    def __init__(self, server: servers.Server, connection: str, body: str) -> None:
        self._url, self._body = f"{server.url}/webhooks/{connection}", body
        self._next = 1
        self.taken: set[str] = set()

    def send(self, seconds: float, **how: float) -> dict[str, Any]:
        outcome = load.send(self._url, self._body, self._next, seconds, **how)
        self._next += outcome["sent"]
        refused = set(outcome["refused"])
        numbers = range(outcome["first"], outcome["first"] + outcome["sent"])
        self.taken |= {str(number) for number in numbers if number not in refused}
        return outcome

    def lost(self, folder: Path) -> int:
        """How many were taken and are not in the journal, with a run each."""
        db = sqlite3.connect(f"file:{folder / 'crossdock.db'}?mode=ro", uri=True)
        rows = db.execute("SELECT events.subject FROM events JOIN runs ON runs.event_seq = events.seq")
        stored = {subject for (subject,) in rows}
        db.close()
        return len(self.taken - stored)


@contextmanager
def silent_vendor() -> Iterator[str]:
    """A vendor that takes connections and never answers; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def accept_only(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Both servers in alternating rounds; medians."""
    rows: dict[str, list[float]] = defaultdict(list)
    with silent_vendor() as vendor:
        (folder / "crossdock.yaml").write_text(HELD % vendor)
        with servers.crossdock(folder, concurrency=1) as ours, servers.only_answers(folder) as plain:
            senders = {"accepted": Sender(ours, "crm", "pipedrive"), "plain": Sender(plain, "crm", "pipedrive")}
            for sender in senders.values():
                sender.send(0.5, connections=CONNECTIONS)
            for _ in range(options.rounds):
                for name, sender in senders.items():
                    _note(rows, name, sender.send(options.seconds, connections=CONNECTIONS), "saturated")
                for name, sender in senders.items():
                    _note(rows, name, sender.send(options.seconds, rate=RATE), f"at_{RATE}")
                commits = sorted(journal.single_commits(folder, 0.5))
                rows["commit_p99_ms"].append(commits[len(commits) * 99 // 100] * 1000)
            lost = senders["accepted"].lost(folder)
    found = {name: round(statistics.median(values), 2) for name, values in rows.items()}
    ratios = [ours / plain for ours, plain in zip(rows["accepted_s"], rows["plain_s"], strict=True)]
    taken = len(senders["accepted"].taken)
    return {**found, "ratio": round(statistics.median(ratios), 3), "lost": lost, "taken": taken}


def with_the_runner(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Crossdock alone, performing what it takes in."""
    rows: dict[str, list[float]] = defaultdict(list)
    with fake_api.running() as vendor:
        lane.routing(folder, vendor)
        with servers.crossdock(folder) as ours:
            sender = Sender(ours, "lane", "lane")
            sender.send(0.5, rate=RATE)
            for _ in range(options.rounds):
                _note(rows, "accepted", sender.send(options.seconds, rate=RATE), f"at_{RATE}")
            for _ in range(options.rounds):
                _note(rows, "accepted", sender.send(options.seconds, connections=CONNECTIONS), "saturated")
            lost = sender.lost(folder)
    return {name: round(statistics.median(values), 2) for name, values in rows.items()} | {"lost": lost}


def _note(rows: dict[str, list[float]], name: str, outcome: dict[str, Any], when: str) -> None:
    if outcome["refused"]:
        raise SystemExit(f"{len(outcome['refused'])} deliveries were not taken")
    prefix = "" if name == "accepted" else f"{name}_"
    for percentile in ("p50_ms", "p99_ms"):
        rows[f"{prefix}{percentile}_{when}"].append(outcome[percentile])
    if when == "saturated":
        rows[f"{name}_s"].append(outcome["per_second"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as one,
        tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as two,
    ):
        alone = accept_only(Path(one), options)
        working = with_the_runner(Path(two), options)
    print(
        f"accept only: {alone['accepted_s']} accepted and committed/s, {alone['plain_s']} only answered/s"
        f" (ratio {alone['ratio']}); lost {alone['lost']} of {alone['taken']};"
        f" one commit of plain SQLite p99 {alone['commit_p99_ms']} ms"
    )
    for title, row in (("accept only", alone), ("with the runner at work", working)):
        print(
            f"{title}: at {RATE}/s p50 {row['p50_ms_at_200']} ms, p99 {row['p99_ms_at_200']} ms; over"
            f" {CONNECTIONS} connections p50 {row['p50_ms_saturated']} ms, p99 {row['p99_ms_saturated']} ms"
        )
    if options.json:
        lost = alone["lost"] + working["lost"]
        print(json.dumps({**alone, "lost": lost, "with_the_runner": working}))


if __name__ == "__main__":
    main()
