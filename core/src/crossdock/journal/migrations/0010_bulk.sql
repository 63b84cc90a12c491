-- What is to be done to many runs. The list is fixed when it is made; one process at a time works through it.
CREATE TABLE bulk_jobs (
  no INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  -- What whoever asked calls it, so that asking twice makes one job.
  idempotency_key TEXT UNIQUE,
  action TEXT NOT NULL CHECK (action IN ('replay', 'cancel', 'dismiss')),
  -- JSON: which runs were asked for, in the words of the one who asked.
  wanted TEXT NOT NULL,
  edits TEXT NOT NULL,
  why TEXT,
  actor TEXT NOT NULL,
  role TEXT NOT NULL,
  -- Runs a second.
  pace REAL NOT NULL CHECK (pace > 0),
  stop_after INTEGER CHECK (stop_after > 0),
  status TEXT NOT NULL CHECK (status IN ('working', 'stopped', 'done')),
  reason TEXT,
  created_at INTEGER NOT NULL,
  ended_at INTEGER,
  owner TEXT,
  lease_until INTEGER,
  fence INTEGER NOT NULL DEFAULT 0,
  CHECK ((owner IS NULL) = (lease_until IS NULL))
) STRICT;

CREATE INDEX bulk_jobs_working ON bulk_jobs (no) WHERE status = 'working';

CREATE TABLE bulk_items (
  job_no INTEGER NOT NULL REFERENCES bulk_jobs (no) ON DELETE CASCADE,
  place INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'skipped')),
  -- The run that works now: a successor, or the run itself.
  result TEXT,
  told TEXT,
  PRIMARY KEY (job_no, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX bulk_items_waiting ON bulk_items (job_no, place) WHERE state = 'waiting';
