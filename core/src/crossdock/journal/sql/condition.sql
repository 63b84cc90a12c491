-- name: undelivered
SELECT counted.notifier, counted.number, json_extract(alerts.data, '$.alert.at') AS oldest
FROM (SELECT coalesce(notifier, '') AS notifier, COUNT(*) AS number, MIN(no) AS first FROM alerts
      WHERE due_at IS NOT NULL GROUP BY 1) AS counted
JOIN alerts ON alerts.no = counted.first;

-- name: heard
SELECT connection, MAX(received_at) AS received_at
FROM (SELECT connection, via, received_at FROM events ORDER BY seq DESC LIMIT ?)
WHERE via = 'webhook' GROUP BY connection;

-- name: put_off
-- Runs over which the runtime itself fails, or that need what is not configured or installed.
SELECT id, flow, json_extract(error, '$.message') AS message FROM runs
WHERE ended_at IS NULL AND json_extract(error, '$.kind') IN ('defect', 'config')
ORDER BY no LIMIT ?;

-- name: quick_check
PRAGMA quick_check(3);
