"""How soon it answers, and what it takes up while idle.

    python bench/start.py [--rounds 10] [--json]

`crossdock --version` in fresh processes (CPU time and wall time, medians), the modules whose import takes the command
line longest, the time from the start of `crossdock serve` with the example's flow on a new database to its first 200
on `/readyz`, and its resident memory three seconds later.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import servers

EXAMPLE = Path(__file__).parents[1] / "examples" / "deal-to-invoice.yaml"
SECRETS = {
    "PIPEDRIVE_URL": "https://acme.pipedrive.example",
    "PIPEDRIVE_API_TOKEN": "bench-pipedrive-token",
    "HOOK_PASSWORD": "bench-hook-password",
    "QBO_REALM_ID": "9130",
    "QBO_ID": "bench-client",
    "QBO_SECRET": "bench-client-secret",
    "QBO_REFRESH_TOKEN": "bench-refresh-token",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.example/services/bench",
}
IDLE_SECONDS = 3
HEAVIEST = 8


def version() -> tuple[float, float]:
    """CPU and wall milliseconds of one `crossdock --version`."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "crossdock", "--version"], stdout=subprocess.DEVNULL)
    _, code, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise SystemExit(f"crossdock --version ended with {process.returncode}")
    return (used.ru_utime + used.ru_stime) * 1000, (time.perf_counter() - start) * 1000


def heaviest() -> dict[str, float]:
    """The modules of the command line with the longest import of their own, in milliseconds."""
    command = [sys.executable, "-X", "importtime", "-c", "import crossdock.cli"]
    told = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True).stderr
    rows = [line.partition("import time:")[2].split("|") for line in told.splitlines()[1:]]
    own = {name.strip(): int(alone) / 1000 for alone, _, name in rows}
    return dict(sorted(own.items(), key=lambda item: item[1], reverse=True)[:HEAVIEST])


def serve(folder: Path) -> dict[str, float]:
    """Until `/readyz` says 200: wall and CPU milliseconds; then the MiB resident while idle."""
    shutil.copy(EXAMPLE, folder / "crossdock.yaml")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "crossdock", "serve", "--port", str(port)]
    env = servers.plain_env() | SECRETS
    start = time.perf_counter()
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log) as process,
    ):
        try:
            while not ready(port):
                if process.poll() is not None:
                    raise SystemExit((folder / "server.log").read_text())
                time.sleep(0.002)
            took, server = time.perf_counter() - start, servers.Server("", process.pid)
            used = server.cpu_seconds()
            time.sleep(IDLE_SECONDS)
            return {"ready_ms": took * 1000, "ready_cpu_ms": used * 1000, "idle_rss_mib": server.rss_mib()}
        finally:
            process.terminate()


def ready(port: int) -> bool:
    api = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        api.request("GET", "/readyz")
        return api.getresponse().status == 200
    except OSError:
        return False
    finally:
        api.close()


def measure(rounds: int) -> dict[str, Any]:
    versions = [version() for _ in range(rounds)]
    starts = []
    for _ in range(max(rounds // 3, 1)):
        with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder:
            starts.append(serve(Path(folder)))
    return {
        "version_cpu_ms": round(statistics.median(cpu for cpu, _ in versions)),
        "version_wall_ms": round(statistics.median(wall for _, wall in versions)),
        **{name: round(statistics.median(start[name] for start in starts), 1) for name in starts[0]},
        "heaviest_imports_ms": heaviest(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    found = measure(options.rounds)
    print(f"crossdock --version: {found['version_cpu_ms']} ms CPU, {found['version_wall_ms']} ms")
    print(
        f"crossdock serve: ready after {found['ready_ms']} ms, {found['ready_cpu_ms']} ms of them CPU;"
        f" {found['idle_rss_mib']} MiB resident while idle"
    )
    print("heaviest imports, ms: " + ", ".join(f"{name} {ms}" for name, ms in found["heaviest_imports_ms"].items()))
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
