-- Where a run stopped or waits: the connection of that leg, or of the source while it reads; '' while all goes well.
ALTER TABLE runs ADD COLUMN stopped_connection TEXT NOT NULL DEFAULT '';
-- '' without an error.
ALTER TABLE runs ADD COLUMN error_kind TEXT NOT NULL DEFAULT '';
-- It has an error, waits for a connection, or needs a person.
ALTER TABLE runs ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0 CHECK (stopped IN (0, 1));
-- A person has said that nothing more is to be done about it.
ALTER TABLE runs ADD COLUMN dismissed INTEGER NOT NULL DEFAULT 0 CHECK (dismissed IN (0, 1));
-- What people call it, such as the deal's title; it goes with the payload.
ALTER TABLE runs ADD COLUMN label TEXT;
-- It is held, in doubt or waits for approval; or it is dead or rolled back, and neither replayed nor dismissed.
ALTER TABLE runs ADD COLUMN needs_person INTEGER NOT NULL DEFAULT 0 CHECK (needs_person IN (0, 1));

DROP TRIGGER runs_final;

UPDATE runs SET stopped_connection = COALESCE(
  CASE WHEN waits_for LIKE 'connection:%' THEN substr(waits_for, 12) END,
  (SELECT substr(leg.value ->> 'do', 1, instr(leg.value ->> 'do', '.') - 1)
   FROM plans, json_each(plans.body, '$.legs') AS leg
   WHERE plans.hash = runs.plan_hash AND leg.value ->> 'name' = runs.leg),
  '')
WHERE error IS NOT NULL OR waits_for LIKE 'connection:%';
UPDATE runs SET
  error_kind = CASE WHEN error IS NULL THEN ''
                    WHEN json_valid(error) THEN CAST(COALESCE(json_extract(error, '$.kind'), '') AS TEXT)
                    ELSE 'damaged' END,
  needs_person = status IN ('held', 'in_doubt')
    OR (status IN ('dead', 'rolled_back') AND NOT EXISTS (SELECT 1 FROM runs AS replay WHERE replay.replay_of = runs.id)),
  stopped = 1
WHERE error IS NOT NULL OR stopped_connection <> '' OR status IN ('held', 'in_doubt', 'dead', 'rolled_back');

-- How far its spans have been told may still be noted, that it is replayed or dismissed, and its payload be removed.
CREATE TRIGGER runs_final BEFORE UPDATE ON runs
WHEN OLD.ended_at IS NOT NULL AND NEW.told = OLD.told AND NEW.emptied_at IS OLD.emptied_at
  AND NEW.needs_person = OLD.needs_person AND NEW.dismissed = OLD.dismissed
BEGIN
  SELECT RAISE(ABORT, 'a run that has ended never changes');
END;

CREATE TRIGGER runs_replayed AFTER INSERT ON runs WHEN NEW.replay_of IS NOT NULL
BEGIN
  UPDATE runs SET needs_person = 0 WHERE id = NEW.replay_of AND needs_person = 1;
END;

-- Lists are merged from one piece of an index for each status that there is, so that they need no index without it.
DROP INDEX runs_flow;
DROP INDEX runs_status;
DROP INDEX runs_flow_status;
DROP INDEX runs_key;
CREATE INDEX runs_status ON runs (status, created_at);
CREATE INDEX runs_flow_status ON runs (flow, status, created_at);
CREATE INDEX runs_key ON runs (key, created_at);
CREATE INDEX runs_stopped ON runs (needs_person, flow, status, stopped_connection, error_kind, leg, created_at)
WHERE stopped = 1;
CREATE INDEX runs_needing ON runs (created_at) WHERE needs_person = 1;

-- How many runs stopped or wait where, and why: the arms from which lists of them are merged.
CREATE TABLE stops (
  needs_person INTEGER NOT NULL,
  flow TEXT NOT NULL,
  status TEXT NOT NULL,
  stopped_connection TEXT NOT NULL,
  error_kind TEXT NOT NULL,
  -- '' for none.
  leg TEXT NOT NULL,
  runs INTEGER NOT NULL,
  PRIMARY KEY (needs_person, flow, status, stopped_connection, error_kind, leg)
) STRICT, WITHOUT ROWID;

INSERT INTO stops (needs_person, flow, status, stopped_connection, error_kind, leg, runs)
SELECT needs_person, flow, status, stopped_connection, error_kind, COALESCE(leg, ''), COUNT(*)
FROM runs WHERE stopped = 1 GROUP BY 1, 2, 3, 4, 5, 6;

CREATE TRIGGER stops_insert AFTER INSERT ON runs WHEN NEW.stopped = 1
BEGIN
  INSERT INTO stops (needs_person, flow, status, stopped_connection, error_kind, leg, runs)
  VALUES (NEW.needs_person, NEW.flow, NEW.status, NEW.stopped_connection, NEW.error_kind, COALESCE(NEW.leg, ''), 1)
  ON CONFLICT DO UPDATE SET runs = runs + 1;
END;

CREATE TRIGGER stops_update AFTER UPDATE OF status, error_kind, leg, stopped_connection, needs_person ON runs
WHEN OLD.stopped = 1 OR NEW.stopped = 1
BEGIN
  UPDATE stops SET runs = runs - 1
  WHERE OLD.stopped = 1 AND needs_person = OLD.needs_person AND flow = OLD.flow AND status = OLD.status
    AND stopped_connection = OLD.stopped_connection AND error_kind = OLD.error_kind AND leg = COALESCE(OLD.leg, '');
  INSERT INTO stops (needs_person, flow, status, stopped_connection, error_kind, leg, runs)
  SELECT NEW.needs_person, NEW.flow, NEW.status, NEW.stopped_connection, NEW.error_kind, COALESCE(NEW.leg, ''), 1
  WHERE NEW.stopped = 1
  ON CONFLICT DO UPDATE SET runs = runs + 1;
END;

CREATE TRIGGER stops_delete AFTER DELETE ON runs WHEN OLD.stopped = 1
BEGIN
  UPDATE stops SET runs = runs - 1
  WHERE needs_person = OLD.needs_person AND flow = OLD.flow AND status = OLD.status
    AND stopped_connection = OLD.stopped_connection AND error_kind = OLD.error_kind AND leg = COALESCE(OLD.leg, '');
END;

-- Which runs have changed, in the order of the commits. The newest row is never removed, so that numbers only rise.
CREATE TABLE changes (
  seq INTEGER PRIMARY KEY,
  run_no INTEGER NOT NULL
) STRICT;

CREATE TRIGGER changes_insert AFTER INSERT ON runs
BEGIN
  INSERT INTO changes (run_no) VALUES (NEW.no);
END;

CREATE TRIGGER changes_update
AFTER UPDATE OF status, step_count, error, leg, waits_for, due_at, turn, emptied_at, needs_person ON runs
WHEN OLD.step_count <> NEW.step_count OR OLD.status <> NEW.status OR OLD.error IS NOT NEW.error
  OR OLD.leg IS NOT NEW.leg OR OLD.waits_for IS NOT NEW.waits_for OR OLD.due_at IS NOT NEW.due_at
  OR OLD.turn <> NEW.turn OR OLD.emptied_at IS NOT NEW.emptied_at OR OLD.needs_person <> NEW.needs_person
BEGIN
  INSERT INTO changes (run_no) VALUES (NEW.no);
END;

INSERT INTO changes (run_no) SELECT no FROM runs ORDER BY no;

-- The words by which a run is found, of its newest indexed state. SQLite's full-text index would keep removed words in
-- its segments; rows of a table are gone with the rest of the payload.
CREATE TABLE documents (
  run_no INTEGER PRIMARY KEY REFERENCES runs (no) ON DELETE CASCADE,
  words TEXT NOT NULL
) STRICT;

CREATE TABLE words (
  word TEXT NOT NULL,
  run_no INTEGER NOT NULL,
  PRIMARY KEY (word, run_no)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER documents_insert AFTER INSERT ON documents
BEGIN
  INSERT OR IGNORE INTO words (word, run_no) SELECT value, NEW.run_no FROM json_each(NEW.words);
END;

CREATE TRIGGER documents_delete AFTER DELETE ON documents
BEGIN
  DELETE FROM words WHERE run_no = OLD.run_no AND word IN (SELECT value FROM json_each(OLD.words));
END;

-- Up to which change runs have been indexed.
INSERT INTO meta (name, value) VALUES ('indexed', CAST('0' AS BLOB));

-- Milliseconds up to which durations are counted together.
CREATE TABLE durations (upto INTEGER PRIMARY KEY) STRICT;
INSERT INTO durations VALUES
  (100), (200), (500), (1000), (2000), (5000), (10000), (20000), (60000), (120000), (300000), (600000), (1800000),
  (3600000), (10800000), (43200000), (86400000), (259200000), (604800000);

-- How many runs ended, by time. `grain` is seconds, `start` an instant; `took` is of `durations`, 0 above all of them.
CREATE TABLE endings (
  grain INTEGER NOT NULL,
  start INTEGER NOT NULL,
  flow TEXT NOT NULL,
  status TEXT NOT NULL,
  took INTEGER NOT NULL,
  runs INTEGER NOT NULL,
  PRIMARY KEY (grain, start, flow, status, took)
) STRICT, WITHOUT ROWID;

INSERT INTO endings (grain, start, flow, status, took, runs)
SELECT column1, ended_at - ended_at % (column1 * 1000000), flow, status,
       COALESCE((SELECT MIN(upto) FROM durations WHERE upto >= (ended_at - created_at + 999) / 1000), 0), COUNT(*)
FROM (VALUES (60), (900), (86400)) JOIN runs
WHERE ended_at IS NOT NULL
GROUP BY 1, 2, 3, 4, 5;

CREATE TRIGGER endings_update AFTER UPDATE OF ended_at ON runs WHEN OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL
BEGIN
  INSERT INTO endings (grain, start, flow, status, took, runs)
  SELECT column1, NEW.ended_at - NEW.ended_at % (column1 * 1000000), NEW.flow, NEW.status,
         COALESCE((SELECT MIN(upto) FROM durations WHERE upto >= (NEW.ended_at - NEW.created_at + 999) / 1000), 0), 1
  FROM (VALUES (60), (900), (86400)) WHERE TRUE
  ON CONFLICT (grain, start, flow, status, took) DO UPDATE SET runs = runs + 1;
END;
