-- What people did, in the same transaction as what it did.
CREATE TABLE audit (
  no INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  via TEXT NOT NULL,
  action TEXT NOT NULL,
  -- `run`, `flow`, `connection`, `person`, `token` …, and which one.
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  why TEXT,
  -- JSON; NULL where there is nothing to tell.
  before TEXT,
  after TEXT
) STRICT;

CREATE INDEX audit_subject ON audit (kind, subject, no);
CREATE INDEX audit_actor ON audit (actor, no);
CREATE INDEX audit_at ON audit (at);
