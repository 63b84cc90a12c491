-- name: emptiable
-- Not what a replay that goes on has yet to take over.
SELECT no, id, event_seq, error FROM runs AS run
WHERE ended_at < :ended_before AND ended_at IS NOT NULL AND emptied_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM runs AS replay WHERE replay.replay_of = run.id AND replay.ended_at IS NULL)
ORDER BY ended_at LIMIT :limit;

-- name: whole_steps
SELECT seq, kind, leg, phase, data, at FROM steps WHERE run_no = ? ORDER BY seq;

-- name: delete_steps
DELETE FROM steps WHERE run_no = ?;

-- name: forget_words
-- Those of what is left come back with the index's next round.
DELETE FROM documents WHERE run_no = ?;

-- name: empty_run
UPDATE runs SET error = :error, label = NULL, emptied_at = :now WHERE no = :no;

-- name: references_at_the_end
PRAGMA defer_foreign_keys = ON;

-- name: whole_event
SELECT * FROM events
WHERE seq = :seq AND emptied_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM runs WHERE event_seq = :seq AND emptied_at IS NULL);

-- name: put_back_event
INSERT INTO events (seq, connection, id, type, subject, data, received_at, occurred_at, trace, via, emptied_at)
VALUES (:seq, :connection, :id, :type, :subject, '{}', :received_at, :occurred_at, :trace, :via, :now);

-- name: idle_events
-- Events that no run is about, or none that is kept whole.
SELECT seq FROM events
WHERE received_at < :received_before AND emptied_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM runs WHERE event_seq = seq AND runs.emptied_at IS NULL)
ORDER BY received_at LIMIT :limit;

-- name: prunable
-- A chain of replays goes as a whole. Not one that left something and may yet be replayed, nor one of a key that is
-- at work now; not one of which a person has yet to be told; and not one that uses what another may yet undo.
WITH undoable AS MATERIALIZED (
  SELECT objects.connection, objects.object, objects.object_id, runs.root
  FROM runs JOIN objects ON objects.run_no = runs.no
  WHERE runs.ended_at IS NULL
  UNION ALL
  SELECT objects.connection, objects.object, objects.object_id, runs.root
  FROM runs JOIN objects ON objects.run_no = runs.no
  WHERE runs.leaves = 1 AND NOT EXISTS (SELECT 1 FROM runs AS replay WHERE replay.replay_of = runs.id)
)
SELECT root FROM runs AS last
WHERE ended_at < :ended_before AND leaves = 0
  AND NOT EXISTS (SELECT 1 FROM runs AS replay WHERE replay.replay_of = last.id)
  AND NOT EXISTS (SELECT 1 FROM runs AS open
                  WHERE open.flow = last.flow AND open.key = last.key AND open.ended_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM runs AS run
                  JOIN alerts ON alerts.id >= run.id || ':' AND alerts.id < run.id || ';'
                  WHERE run.root = last.root AND alerts.due_at IS NOT NULL)
  AND NOT EXISTS (SELECT 1 FROM runs AS run
                  JOIN objects ON objects.run_no = run.no
                  JOIN undoable USING (connection, object, object_id)
                  WHERE run.root = last.root AND undoable.root <> last.root)
ORDER BY ended_at LIMIT :limit;

-- name: chain
SELECT no, id, event_seq FROM runs WHERE root = ? ORDER BY no;

-- name: remember_success
INSERT INTO past_successes (flow, key, run_id, root, event_seq, fingerprint)
SELECT flow, key, id, root, event_seq, fingerprint FROM runs AS run
WHERE no = :no AND status = 'succeeded' AND NOT EXISTS (SELECT 1 FROM runs AS replay WHERE replay.replay_of = run.id)
ON CONFLICT (flow, key) DO UPDATE
SET run_id = excluded.run_id, root = excluded.root, event_seq = excluded.event_seq, fingerprint = excluded.fingerprint
WHERE excluded.event_seq >= past_successes.event_seq;

-- name: delete_run
DELETE FROM runs WHERE no = ?;

-- name: forgettable_events
SELECT seq FROM events
WHERE received_at < :received_before AND emptied_at IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM runs WHERE event_seq = seq)
ORDER BY received_at LIMIT :limit;

-- name: delete_event
DELETE FROM events WHERE seq = ?;

-- name: delete_delivered
DELETE FROM alerts WHERE id >= :run || ':' AND id < :run || ';' AND due_at IS NULL;

-- name: delete_delivered_of_connections
DELETE FROM alerts
WHERE id >= 'connection:' AND id < 'connection;' AND due_at IS NULL AND json_extract(data, '$.alert.at') < :told_before;

-- name: delete_delivered_of_emptied
-- Its notifier took it only after the payload, which it quotes, was gone.
DELETE FROM alerts
WHERE due_at IS NULL AND EXISTS (
  SELECT 1 FROM runs WHERE runs.id = substr(alerts.id, 1, instr(alerts.id, ':') - 1) AND emptied_at IS NOT NULL);

-- name: count_emptiable
SELECT COUNT(*) FROM runs AS run
WHERE ended_at < :ended_before AND ended_at IS NOT NULL AND emptied_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM runs AS replay WHERE replay.replay_of = run.id AND replay.ended_at IS NULL);
