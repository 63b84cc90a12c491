-- When retention removed the payload; the row stays, for order, replays and look-ups need it.
ALTER TABLE runs ADD COLUMN emptied_at INTEGER CHECK (emptied_at IS NULL OR ended_at IS NOT NULL);
ALTER TABLE events ADD COLUMN emptied_at INTEGER;

CREATE INDEX runs_full ON runs (ended_at) WHERE ended_at IS NOT NULL AND emptied_at IS NULL;
CREATE INDEX events_full ON events (received_at) WHERE emptied_at IS NULL;
CREATE INDEX events_emptied ON events (received_at) WHERE emptied_at IS NOT NULL;

DROP TRIGGER runs_final;

-- How far its spans have been told may still be noted, and its payload be removed.
CREATE TRIGGER runs_final BEFORE UPDATE ON runs
WHEN OLD.ended_at IS NOT NULL AND NEW.told = OLD.told AND NEW.emptied_at IS OLD.emptied_at
BEGIN
  SELECT RAISE(ABORT, 'a run that has ended never changes');
END;

-- That a key has succeeded before is remembered when its runs are gone: a second event for it must not write again.
CREATE TABLE past_successes (
  flow TEXT NOT NULL,
  key TEXT NOT NULL,
  run_id TEXT NOT NULL,
  root TEXT NOT NULL,
  event_seq INTEGER NOT NULL,
  fingerprint TEXT,
  PRIMARY KEY (flow, key)
) STRICT, WITHOUT ROWID;
