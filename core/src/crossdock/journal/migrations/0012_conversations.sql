-- What stands at a notifier whose messages can be changed and answered, or, at any other, what is gathered for one
-- message. A talk began with one alert, and the alerts of its threads, and those that are like it, belong to it.
CREATE TABLE talks (
  no INTEGER PRIMARY KEY AUTOINCREMENT,
  notifier TEXT NOT NULL,
  -- A hash of what its alerts have in common; NULL: only its thread's belong to it.
  likeness TEXT,
  lead TEXT NOT NULL,
  begun_at INTEGER NOT NULL,
  -- Until then others that are like it join.
  open_until INTEGER NOT NULL,
  -- In the notifier's own words; NULL: not posted yet, or never to be changed.
  posted TEXT,
  written_at INTEGER,
  due_at INTEGER,
  tries INTEGER NOT NULL DEFAULT 0,
  -- Rises with each reason to write it anew.
  version INTEGER NOT NULL DEFAULT 0,
  threads INTEGER NOT NULL DEFAULT 0,
  -- How many alerts have joined it.
  joined INTEGER NOT NULL DEFAULT 0,
  -- What it was about has come to its end: what comes next begins another.
  over INTEGER NOT NULL DEFAULT 0 CHECK (over IN (0, 1))
) STRICT;

CREATE INDEX talks_lead ON talks (lead);
CREATE INDEX talks_like ON talks (notifier, likeness, no) WHERE likeness IS NOT NULL;
CREATE INDEX talks_due ON talks (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE talk_threads (
  thread TEXT NOT NULL,
  talk_no INTEGER NOT NULL REFERENCES talks (no) ON DELETE CASCADE,
  PRIMARY KEY (thread, talk_no)
) STRICT, WITHOUT ROWID;

CREATE INDEX talk_threads_talk ON talk_threads (talk_no);

-- Alerts that are told by the talk's own message, at place `place` of those that joined.
CREATE TABLE talk_alerts (
  alert TEXT PRIMARY KEY,
  talk_no INTEGER NOT NULL REFERENCES talks (no) ON DELETE CASCADE,
  place INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX talk_alerts_talk ON talk_alerts (talk_no, place);

-- A message about one run follows it at once; one about many is written every half minute at most.
CREATE TRIGGER talks_runs AFTER UPDATE OF status ON runs
WHEN OLD.status <> NEW.status AND NEW.status IN
  ('succeeded', 'rolled_back', 'dead', 'cancelled', 'ignored', 'held', 'in_doubt', 'awaiting_approval')
BEGIN
  UPDATE talks SET version = version + 1,
    due_at = CASE WHEN posted IS NULL THEN due_at
                  ELSE MIN(COALESCE(due_at, 9223372036854775807),
                           MAX(NEW.updated_at, written_at + CASE WHEN threads > 1 THEN 30000000 ELSE 0 END)) END
  WHERE no IN (SELECT talk_no FROM talk_threads WHERE thread = NEW.root);
END;

CREATE TRIGGER talks_acts AFTER INSERT ON audit WHEN NEW.kind = 'run'
BEGIN
  UPDATE talks SET version = version + 1,
    due_at = CASE WHEN posted IS NULL THEN due_at
                  ELSE MIN(COALESCE(due_at, 9223372036854775807),
                           MAX(NEW.at, written_at + CASE WHEN threads > 1 THEN 30000000 ELSE 0 END)) END
  WHERE no IN (
    SELECT talk_no FROM talk_threads WHERE thread = (SELECT root FROM runs WHERE id = NEW.subject));
END;

-- Presses that have been taken, each by the number in its token, until the token is void by its age.
CREATE TABLE spent_tokens (
  nonce TEXT PRIMARY KEY,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX spent_tokens_until ON spent_tokens (until);
