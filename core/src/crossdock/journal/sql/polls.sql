-- name: begin_poll
-- Another account has its own past: it is read from the start point on. So is one whose start point was moved back.
INSERT INTO polls (connection, account, since, due_at) VALUES (:connection, :account, :since, :due_at)
ON CONFLICT (connection) DO UPDATE
SET account = excluded.account, since = excluded.since, due_at = excluded.due_at, cursor = NULL, fence = fence + 1,
    owner = NULL, lease_until = NULL, failures = 0, failing_since = NULL, reason = NULL, read_at = NULL
WHERE polls.account <> excluded.account OR (:moved AND excluded.since < polls.since)
RETURNING 1;

-- name: claim_poll
UPDATE polls SET owner = :owner, lease_until = :lease_until, fence = fence + 1, called = 0
WHERE connection = :connection AND (due_at <= :now OR called = 1) AND (owner IS NULL OR lease_until <= :now)
RETURNING *;

-- name: turn_page
UPDATE polls SET cursor = :cursor, lease_until = :lease_until
WHERE connection = :connection AND owner = :owner AND fence = :fence
RETURNING 1;

-- name: end_poll
UPDATE polls
SET cursor = :cursor, owner = NULL, lease_until = NULL, due_at = :due_at, failures = 0, failing_since = NULL,
    reason = NULL, read_at = :now
WHERE connection = :connection AND owner = :owner AND fence = :fence
RETURNING 1;

-- name: fail_poll
UPDATE polls
SET owner = NULL, lease_until = NULL, due_at = :due_at, failures = failures + 1,
    failing_since = COALESCE(failing_since, :now), reason = :reason
WHERE connection = :connection AND owner = :owner AND fence = :fence;

-- name: release_poll
UPDATE polls SET owner = NULL, lease_until = NULL
WHERE connection = :connection AND owner = :owner AND fence = :fence;

-- name: call_poll
UPDATE polls SET called = 1 WHERE connection = ?;

-- name: free_polls
UPDATE polls SET owner = NULL, lease_until = NULL WHERE owner = ?;

-- name: all_polls
SELECT * FROM polls ORDER BY connection;
