-- name: claimed
-- The claims that are good, in one row.
WITH given (place, id, fence, owner) AS (VALUES
(?, ?, ?, ?)
)
SELECT json_group_array(json_array(place, no, step_count))
FROM given CROSS JOIN runs USING (id, fence, owner);

-- name: write_runs
-- A person's step that came in since the claim makes a run that is let go of due at once.
WITH given (no, step_count, status, error, leg, waits_for, stopped_connection, error_kind, stopped, needs_person,
            label, due_at, fingerprint, leaves, lease_until, freed, ended, now) AS (VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
)
UPDATE runs
SET status = given.status, error = given.error, leg = given.leg, waits_for = given.waits_for,
    stopped_connection = given.stopped_connection, error_kind = given.error_kind, stopped = given.stopped,
    needs_person = given.needs_person, label = COALESCE(given.label, runs.label),
    due_at = CASE WHEN ended THEN NULL
                  WHEN freed AND nudged THEN MIN(COALESCE(given.due_at, now), now)
                  ELSE given.due_at END,
    fingerprint = COALESCE(given.fingerprint, runs.fingerprint), leaves = given.leaves, step_count = given.step_count,
    updated_at = now,
    owner = CASE WHEN freed THEN NULL ELSE owner END,
    lease_until = CASE WHEN freed THEN NULL ELSE COALESCE(given.lease_until, runs.lease_until) END,
    ended_at = CASE WHEN ended THEN now END,
    turn = CASE WHEN ended THEN 0 ELSE turn END
FROM given WHERE runs.no = given.no;

-- name: pass_turns
-- To the heirs of these that have ended.
UPDATE runs SET turn = 1
WHERE no IN (
  SELECT (SELECT heir.no FROM runs AS heir
          WHERE heir.flow = gone.flow AND heir.key = gone.key AND heir.ended_at IS NULL
          ORDER BY heir.event_seq, heir.no LIMIT 1)
  FROM runs AS gone WHERE gone.no IN (VALUES
(?)
));

-- name: wake
WITH given (waits_for, now) AS (VALUES
(?, ?)
)
UPDATE runs SET due_at = given.now
FROM given
WHERE runs.waits_for = given.waits_for AND ended_at IS NULL AND (due_at IS NULL OR due_at > given.now);

-- name: take_lock
INSERT INTO locks (name, run_no) VALUES (?, ?) ON CONFLICT (name) DO NOTHING;

-- name: lock_holder
SELECT runs.no, runs.id FROM locks JOIN runs ON runs.no = locks.run_no WHERE locks.name = ?;

-- name: drop_locks
WITH given (name, run_no) AS (VALUES
(?, ?)
)
DELETE FROM locks WHERE name IN (SELECT name FROM given CROSS JOIN locks USING (name, run_no));

-- name: drop_all_locks
DELETE FROM locks WHERE run_no IN (VALUES
(?)
) RETURNING name;

-- name: use_object
INSERT INTO objects (connection, object, object_id, run_no, leg) VALUES
(?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING;

-- name: release_object
-- For the whole chain of replays: what a replay undoes, the runs before it used.
DELETE FROM objects
WHERE connection = ? AND object = ? AND object_id = ?
  AND run_no IN (SELECT no FROM runs WHERE root = (SELECT root FROM runs WHERE no = ?)) AND leg = ?;
