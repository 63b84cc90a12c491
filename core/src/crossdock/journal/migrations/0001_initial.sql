-- Instants are microseconds since 1970 UTC. JSON is text.

CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta (name, value) VALUES ('cursor_key', randomblob(16));

CREATE TABLE plans (
  hash TEXT PRIMARY KEY,
  flow TEXT NOT NULL,
  body TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  connection TEXT NOT NULL,
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  subject TEXT NOT NULL,
  data TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  occurred_at INTEGER,
  trace TEXT NOT NULL,
  UNIQUE (connection, id)
) STRICT;

CREATE TABLE runs (
  no INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  flow TEXT NOT NULL,
  key TEXT NOT NULL,
  status TEXT NOT NULL,
  event_seq INTEGER NOT NULL REFERENCES events (seq),
  plan_hash TEXT NOT NULL REFERENCES plans (hash),
  trace TEXT NOT NULL,
  replay_of TEXT,
  root TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  ended_at INTEGER,
  due_at INTEGER,
  owner TEXT,
  lease_until INTEGER,
  fence INTEGER NOT NULL DEFAULT 0,
  error TEXT,
  leg TEXT,
  waits_for TEXT,
  takeovers INTEGER NOT NULL DEFAULT 0,
  fingerprint TEXT,
  step_count INTEGER NOT NULL DEFAULT 0,
  told INTEGER NOT NULL DEFAULT -1,
  -- It ended, and something that it wrote stands or may stand.
  leaves INTEGER NOT NULL DEFAULT 0 CHECK (leaves IN (0, 1)),
  -- A person's step has come in since the last claim.
  nudged INTEGER NOT NULL DEFAULT 0 CHECK (nudged IN (0, 1)),
  -- Of the unfinished runs of one (flow, key), the one that may be performed.
  turn INTEGER NOT NULL CHECK (turn IN (0, 1)),
  ready_at INTEGER GENERATED ALWAYS AS (CASE WHEN owner IS NULL THEN due_at ELSE lease_until END) VIRTUAL,
  CHECK ((owner IS NULL) = (lease_until IS NULL)),
  CHECK (ended_at IS NULL OR (owner IS NULL AND turn = 0 AND due_at IS NULL))
) STRICT;

-- Two runs of one record can never be performed at once, whatever the code above does.
CREATE UNIQUE INDEX runs_turn ON runs (flow, key) WHERE turn = 1;
CREATE INDEX runs_ready ON runs (ready_at) WHERE turn = 1;
CREATE INDEX runs_open ON runs (flow, key, event_seq) WHERE ended_at IS NULL;
CREATE INDEX runs_owned ON runs (owner) WHERE owner IS NOT NULL;
CREATE INDEX runs_blocked ON runs (waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX runs_succeeded ON runs (flow, key, event_seq) WHERE status = 'succeeded';
CREATE INDEX runs_leaving ON runs (flow, key) WHERE leaves = 1;
CREATE UNIQUE INDEX runs_replay ON runs (replay_of) WHERE replay_of IS NOT NULL;
CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX runs_flow ON runs (flow);
CREATE INDEX runs_status ON runs (status);
CREATE INDEX runs_flow_status ON runs (flow, status);
CREATE INDEX runs_root ON runs (root);
CREATE INDEX runs_key ON runs (key);
CREATE INDEX runs_event ON runs (event_seq);

-- How far its spans have been told may still be noted.
CREATE TRIGGER runs_final BEFORE UPDATE ON runs WHEN OLD.ended_at IS NOT NULL AND NEW.told = OLD.told
BEGIN
  SELECT RAISE(ABORT, 'a run that has ended never changes');
END;

CREATE TABLE tallies (
  flow TEXT NOT NULL,
  status TEXT NOT NULL,
  runs INTEGER NOT NULL,
  PRIMARY KEY (flow, status)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER tally_insert AFTER INSERT ON runs
BEGIN
  INSERT INTO tallies (flow, status, runs) VALUES (NEW.flow, NEW.status, 1)
  ON CONFLICT (flow, status) DO UPDATE SET runs = runs + 1;
END;

CREATE TRIGGER tally_update AFTER UPDATE OF status ON runs WHEN OLD.status <> NEW.status
BEGIN
  UPDATE tallies SET runs = runs - 1 WHERE flow = OLD.flow AND status = OLD.status;
  INSERT INTO tallies (flow, status, runs) VALUES (NEW.flow, NEW.status, 1)
  ON CONFLICT (flow, status) DO UPDATE SET runs = runs + 1;
END;

CREATE TRIGGER tally_delete AFTER DELETE ON runs
BEGIN
  UPDATE tallies SET runs = runs - 1 WHERE flow = OLD.flow AND status = OLD.status;
END;

CREATE TABLE steps (
  no INTEGER PRIMARY KEY,
  run_no INTEGER NOT NULL REFERENCES runs (no) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  kind TEXT NOT NULL,
  leg TEXT,
  phase TEXT NOT NULL,
  data TEXT NOT NULL,
  at INTEGER NOT NULL,
  UNIQUE (run_no, seq)
) STRICT;

CREATE TABLE locks (
  name TEXT PRIMARY KEY,
  run_no INTEGER NOT NULL REFERENCES runs (no) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX locks_run ON locks (run_no);

CREATE TABLE objects (
  connection TEXT NOT NULL,
  object TEXT NOT NULL,
  object_id TEXT NOT NULL,
  run_no INTEGER NOT NULL REFERENCES runs (no) ON DELETE CASCADE,
  leg TEXT NOT NULL,
  PRIMARY KEY (connection, object, object_id, run_no, leg)
) STRICT, WITHOUT ROWID;

CREATE INDEX objects_run ON objects (run_no);

CREATE TABLE connections (
  name TEXT PRIMARY KEY,
  status TEXT NOT NULL CHECK (status IN ('active', 'paused', 'down')),
  reason TEXT,
  since INTEGER NOT NULL,
  probe_at INTEGER,
  probes INTEGER NOT NULL DEFAULT 0,
  -- The run that tries it again; not a reference, for it may end and be pruned meanwhile.
  scout TEXT,
  CHECK ((status = 'active') = (probe_at IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
  no INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  data TEXT NOT NULL,
  due_at INTEGER,
  tries INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX alerts_due ON alerts (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE tokens (
  name TEXT PRIMARY KEY,
  ciphertext BLOB NOT NULL,
  version INTEGER NOT NULL
) STRICT;

CREATE TABLE token_leases (
  name TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
