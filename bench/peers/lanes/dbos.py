"""DBOS Transact for Python, on SQLite and on PostgreSQL: one process with FastAPI that takes the webhook and runs it.

The webhook starts a workflow with the deal as its workflow id (a second delivery is then the same workflow) and is
answered once that is stored. Each of the five steps is a `@DBOS.step`; DBOS promises that a step that has completed
is not run again, and asks for idempotent steps for the rest. With keys the invoice carries workflow id and step id.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import environments
from environments import UnavailableError
from processes import free_ports, listening

from lanes.base import Lane


class DbosSqlite(Lane):
    name = "dbos-sqlite"
    version = "3.4.0"

    @classmethod
    def install(cls) -> None:
        cls.python = environments.python("dbos", f"dbos=={cls.version}", *environments.CLIENT, *environments.RECEIVER)

    def work(self) -> subprocess.Popen[bytes]:
        return self.app(self.python, "dbos_app.py", BENCH_DATABASE=self.database())

    def database(self) -> str:
        return f"sqlite:///{self.folder / 'dbos.db'}"


class DbosPostgres(DbosSqlite):
    """PostgreSQL as `initdb` leaves it, in a folder of its own."""

    name = "dbos-postgres"

    @classmethod
    def install(cls) -> None:
        super().install()
        cls.programs = _programs()

    async def serve(self) -> None:
        user = _owner()
        data = self.folder / "postgres"
        self._make(data, user)
        self.database_port = free_ports(1)[0]
        serve = [self.programs / "postgres", "-D", data, "-p", str(self.database_port), "-k", data, "-h", "127.0.0.1"]
        self.processes.spawn(serve, {}, log="postgres.log", user=user)
        await self.processes.until(lambda: listening(self.database_port), "PostgreSQL")

    def _make(self, data: Path, user: str | None) -> None:
        data.mkdir()
        if user:
            os.chown(data, pwd.getpwnam(user).pw_uid, -1)
        initdb = [self.programs / "initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8"]
        subprocess.run(initdb, check=True, capture_output=True, user=user, cwd=data)

    def database(self) -> str:
        return f"postgresql://bench@127.0.0.1:{self.database_port}/dbos"


def _programs() -> Path:
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    if found := shutil.which("initdb"):
        places.insert(0, Path(found).resolve().parent)
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise UnavailableError("no PostgreSQL server is installed (initdb was not found)")


def _owner() -> str | None:
    """Who runs it: it refuses to be run by root."""
    if os.geteuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
