-- name: set_connection
INSERT INTO connections (name, status, reason, since) VALUES (:name, :status, :reason, :since)
ON CONFLICT (name) DO UPDATE SET status = excluded.status, reason = excluded.reason, since = excluded.since;

-- name: connection_status
SELECT status FROM connections WHERE name = ?;

-- name: put_alert
INSERT INTO alerts (id, data, due_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING 1;

-- name: due_alerts
SELECT no, id, data, tries FROM alerts WHERE due_at <= :now ORDER BY due_at, no LIMIT :limit;

-- name: hide_alert
UPDATE alerts SET due_at = :until, tries = tries + 1 WHERE no = :no;

-- name: mark_alert
UPDATE alerts SET due_at = :retry_at WHERE id = :id;

-- name: first_token
INSERT INTO tokens (name, ciphertext, version) VALUES (:name, :ciphertext, 1)
ON CONFLICT (name) DO NOTHING RETURNING version;

-- name: swap_token
UPDATE tokens SET ciphertext = :ciphertext, version = version + 1
WHERE name = :name AND version = :expected RETURNING version;

-- name: lease_token
INSERT INTO token_leases (name, owner, until) VALUES (:name, :owner, :until)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
WHERE token_leases.owner = excluded.owner OR token_leases.until <= :now
RETURNING 1;

-- name: release_token
DELETE FROM token_leases WHERE name = ? AND owner = ?;
