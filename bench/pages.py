"""Whether a dashboard's reads are instant over a million runs.

    python bench/pages.py [--runs 1000000] [--rounds 100] [--flows 12] [--folder DIR] [--json]

A thousand runs are really performed and copied as in `growth.py` (their events and runs; the steps of a run are not what
lists read), but over several flows, and one in forty did not go well: rolled back, dead, held, in doubt, waiting, at
one of four connections with one of six kinds of error, some of them rare. Each has its words, and all are counted by
time. Each read is asked of the journal so many times in turn, each list by its first page and by one in the middle.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).parent))

import growth

PAGE = 50
N = "(no + :by)"
STATUS = f"""CASE WHEN {N} % 250007 = 7 THEN 'in_doubt' WHEN {N} % 1000 < 16 THEN 'rolled_back'
  WHEN {N} % 1000 < 22 THEN 'dead' WHEN {N} % 1000 = 22 THEN 'held' WHEN {N} % 1000 = 23 THEN 'waiting'
  WHEN {N} % 1000 < 26 THEN 'cancelled' ELSE 'succeeded' END"""
OPEN = f"{N} % 250007 = 7 OR {N} % 1000 IN (22, 23)"
TROUBLED = f"({N} % 250007 = 7 OR {N} % 1000 < 24)"
KIND = f"""CASE WHEN {N} % 333331 = 22 THEN 'void' ELSE
  json_extract('["rejected","transient","auth","discrepancy","not_found"]', '$[' || ({N} % 7919 % 5) || ']') END"""
ERROR = f"json_object('kind', {KIND}, 'message', 'books refused customer ' || {N} || ': no such tax code')"
COPIES = {
    "events": growth.COPIES["events"],
    "runs": growth.COPIES["runs"]
    | {
        "flow": f"CASE WHEN {N} % 3 THEN flow ELSE 'flow-' || ({N} % 7927 % :flows) END",
        "status": STATUS,
        "ended_at": f"CASE WHEN {OPEN} THEN NULL ELSE ended_at - :ago END",
        "turn": f"CASE WHEN {OPEN} THEN 1 ELSE 0 END",
        "error": f"CASE WHEN {TROUBLED} THEN {ERROR} END",
        "leg": f"""CASE WHEN {TROUBLED} THEN CASE WHEN {N} % 400009 < 5 THEN 'task' WHEN {N} % 7 THEN 'invoice'
                   ELSE 'customer' END END""",
        "stopped_connection": f"""CASE WHEN NOT {TROUBLED} THEN '' WHEN {N} % 400009 < 5 THEN 'board'
                                  WHEN {N} % 11 = 0 THEN 'crm' ELSE 'books' END""",
        "error_kind": f"CASE WHEN {TROUBLED} THEN {KIND} ELSE '' END",
        "stopped": TROUBLED,
        "needs_person": f"{N} % 250007 = 7 OR ({N} % 1000 BETWEEN 16 AND 22)",
        "waits_for": f"CASE WHEN {N} % 1000 = 23 THEN 'connection:books' END",
    },
}
DOCUMENT = """json_array(key, 'deal', 'customer', 'a' || key || '@example.test', 'a' || key, 'example', 'test', 'lane',
  'inv', 'inv-' || key, 'kick', 'off', CASE WHEN no % 199999 = 5 THEN 'zanzibar' ELSE 'roof' END,
  CASE WHEN no % 5 THEN 'blue' ELSE 'green' END, CASE WHEN error IS NULL THEN 'fine' ELSE 'refused' END)"""
Ask: TypeAlias = Callable[[], Awaitable[Any]]


def fill(path: Path, size: int, flows: int) -> None:
    """Copy the first runs until there are `size`, then give each its words and count it."""
    growth.fill(path, size, COPIES, {"flows": flows})
    db = sqlite3.connect(path, isolation_level=None)
    for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "temp_store = FILE"):
        db.execute(f"PRAGMA {setting}")
    triggers = [sql for (sql,) in db.execute("SELECT sql FROM sqlite_schema WHERE name = 'documents_insert'")]
    db.execute("BEGIN")
    for table in ("documents", "words", "endings"):
        db.execute(f"DELETE FROM {table}")
    db.execute("DROP TRIGGER documents_insert")
    db.execute(f"INSERT INTO documents SELECT no, {DOCUMENT} FROM runs ORDER BY no")
    db.execute("INSERT OR IGNORE INTO words SELECT value, run_no FROM documents, json_each(words) ORDER BY 1, 2")
    db.execute(triggers[0])
    db.execute(
        "INSERT INTO endings SELECT column1, ended_at - ended_at % (column1 * 1000000), flow, status, 200, COUNT(*)"
        " FROM (VALUES (60), (900), (86400)) JOIN runs WHERE ended_at IS NOT NULL GROUP BY 1, 2, 3, 4"
    )
    db.execute("UPDATE meta SET value = CAST((SELECT MAX(seq) FROM changes) AS BLOB) WHERE name = 'indexed'")
    db.execute("COMMIT")
    db.execute("PRAGMA journal_mode = WAL")
    db.close()
