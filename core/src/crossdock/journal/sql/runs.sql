-- name: last_event
SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'events';

-- name: insert_events
INSERT INTO events (seq, connection, id, type, subject, data, received_at, occurred_at, trace, via) VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (connection, id) DO NOTHING;

-- name: events_after
SELECT seq FROM events WHERE seq > ?;

-- name: insert_runs
INSERT INTO runs (id, flow, key, status, event_seq, plan_hash, trace, replay_of, root, created_at, updated_at, due_at,
                  turn) VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NOT EXISTS (SELECT 1 FROM runs WHERE flow = ? AND key = ? AND turn = 1));

-- name: has_plan
SELECT 1 FROM plans WHERE hash = ?;

-- name: insert_plan
INSERT INTO plans (hash, flow, body, created_at) VALUES (:hash, :flow, :body, :created_at)
ON CONFLICT (hash) DO NOTHING;

-- name: root_of
SELECT root FROM runs WHERE id = ?;

-- name: emptied_at
SELECT emptied_at FROM runs WHERE id = ?;

-- name: replay_id
SELECT id FROM runs WHERE replay_of = ?;

-- name: yield_turn
-- A run that has not begun gives way to a run of an earlier event.
UPDATE runs SET turn = 0
WHERE flow = :flow AND key = :key AND turn = 1 AND fence = 0 AND event_seq > :event_seq;

-- name: insert_run
INSERT INTO runs (id, flow, key, status, event_seq, plan_hash, trace, replay_of, root, label,
                  created_at, updated_at, due_at, turn)
VALUES (:id, :flow, :key, :status, :event_seq, :plan_hash, :trace, :replay_of, :root,
        (SELECT label FROM runs WHERE id = :replay_of), :created_at, :created_at, :due_at,
        NOT EXISTS (SELECT 1 FROM runs WHERE flow = :flow AND key = :key AND turn = 1))
RETURNING no;

-- name: select_ready
SELECT no, owner FROM runs
WHERE turn = 1 AND ready_at <= :now
  AND flow NOT IN (SELECT name FROM pauses WHERE kind = 'flow')
ORDER BY ready_at, no
LIMIT :limit;

-- name: select_claimable
SELECT no, owner FROM runs
WHERE id = :id AND turn = 1 AND (owner IS NULL OR lease_until <= :now);

-- name: claim_runs
WITH given (no, owner, lease_until, now) AS (VALUES
(?, ?, ?, ?)
)
UPDATE runs
SET owner = given.owner, lease_until = given.lease_until, fence = fence + 1, nudged = 0,
    takeovers = takeovers + (runs.owner IS NOT NULL), updated_at = now
FROM given WHERE runs.no = given.no
RETURNING *;

-- name: select_open
SELECT no, step_count FROM runs WHERE id = ? AND ended_at IS NULL;

-- name: insert_step
INSERT INTO steps (run_no, seq, kind, leg, phase, data, at) VALUES
(?, ?, ?, ?, ?, ?, ?);

-- name: count_steps
UPDATE runs SET step_count = :step_count WHERE no = :no;

-- name: nudge
UPDATE runs
SET nudged = 1, step_count = :step_count, due_at = MIN(COALESCE(due_at, :due_at), :due_at), updated_at = :now
WHERE no = :no;

-- name: mark_told
UPDATE runs SET told = ? WHERE id = ?;

-- name: prolong_lease
UPDATE runs SET lease_until = :lease_until WHERE id = :id AND fence = :fence AND owner = :owner;

-- name: release_run
UPDATE runs
SET owner = NULL, lease_until = NULL, updated_at = :now,
    due_at = CASE WHEN nudged THEN MIN(COALESCE(:due_at, :now), :now) ELSE :due_at END
WHERE id = :id AND fence = :fence AND owner = :owner;

-- name: owners
SELECT owner FROM runs WHERE owner IS NOT NULL UNION SELECT owner FROM token_leases;

-- name: expire_owner
UPDATE runs SET lease_until = 0 WHERE owner = ?;

-- name: drop_token_lease
DELETE FROM token_leases WHERE owner = ?;
