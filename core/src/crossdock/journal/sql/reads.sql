-- name: plan
SELECT body FROM plans WHERE hash = ?;

-- name: alerts_of
SELECT id, data, tries FROM alerts WHERE id > :run || ':' AND id < :run || ';' ORDER BY no;

-- name: run
SELECT * FROM runs WHERE id = ?;

-- name: steps
SELECT runs.id AS run_id, steps.* FROM steps JOIN runs ON runs.no = steps.run_no
WHERE runs.id = ? ORDER BY steps.seq;

-- name: event
SELECT * FROM events WHERE seq = ?;

-- name: events
SELECT * FROM events WHERE seq IN (VALUES
(?)
);

-- name: replay
SELECT * FROM runs WHERE replay_of = ?;

-- name: next_due
SELECT MIN(ready_at) FROM runs WHERE turn = 1 AND ready_at > ?;

-- name: oldest_due
SELECT MIN(ready_at) FROM runs
WHERE turn = 1 AND ready_at <= ? AND flow NOT IN (SELECT name FROM pauses WHERE kind = 'flow');

-- name: untold
SELECT * FROM runs WHERE ended_at > :since AND told < step_count LIMIT :limit;

-- name: blocked
SELECT waiting.*, blocker.id AS behind, blocker.status AS behind_status
FROM runs AS blocker
JOIN runs AS waiting ON waiting.flow = blocker.flow AND waiting.key = blocker.key
WHERE blocker.status IN ('held', 'in_doubt', 'awaiting_approval') AND blocker.turn = 1
  AND waiting.ended_at IS NULL AND waiting.no <> blocker.no
UNION
SELECT waiting.*, blocker.id, blocker.status
FROM runs AS blocker
JOIN locks ON locks.run_no = blocker.no
JOIN runs AS waiting ON waiting.waits_for = locks.name
WHERE blocker.status IN ('held', 'in_doubt', 'awaiting_approval') AND waiting.ended_at IS NULL AND waiting.no <> blocker.no
UNION
SELECT waiting.*, blocker.id, blocker.status
FROM runs AS blocker
JOIN runs AS waiting ON waiting.waits_for = 'run:' || blocker.id
WHERE blocker.status IN ('held', 'in_doubt', 'awaiting_approval') AND waiting.ended_at IS NULL
ORDER BY no LIMIT :limit;

-- name: counts
SELECT flow, status, runs FROM tallies WHERE runs > 0 ORDER BY flow, status;

-- name: last_succeeded
SELECT id, root, fingerprint, event_seq FROM (
  SELECT id, root, fingerprint, event_seq FROM runs AS run
  WHERE flow = :flow AND key = :key AND status = 'succeeded' AND root <> :root
    AND NOT EXISTS (SELECT 1 FROM runs AS replay WHERE replay.replay_of = run.id)
  ORDER BY event_seq DESC, no DESC LIMIT 1
)
UNION ALL
SELECT run_id, root, fingerprint, event_seq FROM past_successes
WHERE flow = :flow AND key = :key AND root <> :root
ORDER BY event_seq DESC LIMIT 1;

-- name: others_since
SELECT 1 FROM runs JOIN events ON events.seq = runs.event_seq
WHERE runs.key = :key AND runs.status = 'succeeded' AND runs.event_seq > :after
  AND events.connection = :connection AND events.type <> :type AND events.subject = :subject
LIMIT 1;

-- name: leaving
SELECT * FROM runs AS run
WHERE flow = :flow AND key = :key AND leaves = 1 AND root <> :root
  AND NOT EXISTS (SELECT 1 FROM runs AS replay WHERE replay.replay_of = run.id)
ORDER BY no DESC LIMIT 1;

-- name: other_users
SELECT DISTINCT runs.id, objects.run_no FROM objects JOIN runs ON runs.no = objects.run_no
WHERE objects.connection = ? AND objects.object = ? AND objects.object_id = ? AND runs.root <> ?
ORDER BY objects.run_no LIMIT 21;

-- name: origin
SELECT runs.* FROM objects JOIN runs ON runs.no = objects.run_no
WHERE objects.connection = ? AND objects.object = ? AND objects.object_id = ? AND runs.flow = ?
ORDER BY runs.no DESC LIMIT 1;

-- name: making
-- An intent, or a doubt that a replay has taken over, whose object is not known.
SELECT * FROM runs AS run
WHERE flow = :flow AND ended_at IS NULL
  AND EXISTS (SELECT 1 FROM steps
              WHERE steps.run_no = run.no AND steps.at <= :before
                AND (steps.kind, steps.phase) IN (VALUES ('apply', 'intent'), ('inherit', 'doubt'))
                AND json_extract(steps.data, '$.do') IN (SELECT value FROM json_each(:actions))
                AND NOT EXISTS (SELECT 1 FROM objects
                                WHERE objects.run_no = run.no AND objects.connection = :connection
                                  AND objects.object = :object AND objects.leg = steps.leg))
ORDER BY no LIMIT 1;

-- name: connection_state
SELECT * FROM connections WHERE name = ?;

-- name: closed_connections
SELECT * FROM connections WHERE status <> 'active';

-- name: waiting_for
SELECT COUNT(*) FROM runs WHERE waits_for = ? AND ended_at IS NULL;

-- name: load_token
SELECT ciphertext, version FROM tokens WHERE name = ?;

-- name: approved
SELECT COUNT(*) FROM approvals WHERE flow = ?;
