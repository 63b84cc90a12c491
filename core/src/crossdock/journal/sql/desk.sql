-- name: close_connection
-- Credentials that are refused stay so while the vendor does not answer, either.
INSERT INTO connections (name, status, reason, since, probe_at) VALUES (:name, :status, :reason, :since, :probe_at)
ON CONFLICT (name) DO UPDATE
SET status = excluded.status, reason = excluded.reason, since = excluded.since, probe_at = excluded.probe_at,
    probes = 0, scout = NULL
WHERE connections.status <> excluded.status AND connections.status <> 'paused'
RETURNING 1;

-- name: open_connection
UPDATE connections SET status = 'active', reason = NULL, since = :now, probe_at = NULL, probes = 0, scout = NULL
WHERE name = :name AND status <> 'active';

-- name: wake_spread
-- All at once would be the next outage: one after the other, and those that wait longest first.
UPDATE runs SET due_at = :now + ranked.place * MIN(:gap, :spread / ranked.total)
FROM (SELECT no, ROW_NUMBER() OVER (ORDER BY no) - 1 AS place, COUNT(*) OVER () AS total
      FROM runs WHERE waits_for = :waits_for AND ended_at IS NULL) AS ranked
WHERE runs.no = ranked.no AND runs.owner IS NULL;

-- name: postpone_probe
UPDATE connections SET scout = NULL, probes = probes + 1, probe_at = :probe_at, reason = :reason
WHERE name = :name AND scout = :scout AND status <> 'active';

-- name: hasten_probe
UPDATE connections SET scout = NULL, probes = 0, probe_at = :now WHERE name = :name AND status <> 'active';

-- name: probe_is_due
-- Not while the last one is still at the vendor, which may be silent for longer than the pause.
SELECT 1 FROM connections WHERE name = :name AND status <> 'active' AND probe_at <= :now
AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = connections.scout AND runs.owner IS NOT NULL);

-- name: pick_scout
UPDATE runs SET due_at = :now
WHERE no = (SELECT no FROM runs WHERE waits_for = :waits_for AND turn = 1 AND owner IS NULL
            ORDER BY updated_at, no LIMIT 1)
RETURNING id;

-- name: send_scout
UPDATE connections SET scout = :scout, probe_at = :probe_at WHERE name = :name;

-- name: connection_status
SELECT status FROM connections WHERE name = ?;

-- name: put_alert
INSERT INTO alerts (id, data, due_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING 1;

-- name: due_alerts
SELECT no, id, data, tries FROM alerts
WHERE due_at <= :now AND coalesce(notifier, '') NOT IN (SELECT value FROM json_each(:but_for))
  AND id NOT IN (SELECT value FROM json_each(:in_hand))
ORDER BY due_at, no LIMIT :limit;

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

-- name: probe
INSERT INTO meta (name, value) VALUES ('probed_at', CAST(:now AS BLOB))
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: dismiss
UPDATE runs SET dismissed = 1, needs_person = 0 WHERE id = ? AND needs_person = 1 AND ended_at IS NOT NULL RETURNING 1;
