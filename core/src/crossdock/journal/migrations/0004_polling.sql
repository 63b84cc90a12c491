-- How far each source has been read by polling, and which process reads it now.
CREATE TABLE polls (
  connection TEXT PRIMARY KEY,
  account TEXT NOT NULL,
  -- In the source's own words; NULL before the first page.
  cursor TEXT,
  since INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  -- A webhook has asked for a poll since the last one began.
  called INTEGER NOT NULL DEFAULT 0 CHECK (called IN (0, 1)),
  owner TEXT,
  lease_until INTEGER,
  fence INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  failing_since INTEGER,
  reason TEXT,
  -- When it was last read to the end.
  read_at INTEGER,
  CHECK ((owner IS NULL) = (lease_until IS NULL))
) STRICT, WITHOUT ROWID;

-- By which way the event came: `webhook` or `poll`.
ALTER TABLE events ADD COLUMN via TEXT NOT NULL DEFAULT 'webhook';
