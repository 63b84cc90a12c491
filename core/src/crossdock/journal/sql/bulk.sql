-- name: put_job
INSERT INTO bulk_jobs (id, idempotency_key, action, wanted, edits, why, actor, role, pace, stop_after, status, created_at)
VALUES (:id, :idempotency_key, :action, :wanted, :edits, :why, :actor, :role, :pace, :stop_after, 'working', :now)
ON CONFLICT (idempotency_key) DO NOTHING
RETURNING no;

-- name: put_item
INSERT INTO bulk_items (job_no, place, run_id) VALUES
(?, ?, ?);

-- name: job_of_key
SELECT id FROM bulk_jobs WHERE idempotency_key = ?;

-- name: job
SELECT * FROM bulk_jobs WHERE id = ?;

-- name: jobs
SELECT * FROM bulk_jobs ORDER BY no DESC LIMIT ?;

-- name: claim_job
UPDATE bulk_jobs SET owner = :owner, lease_until = :lease_until, fence = fence + 1
WHERE no = (SELECT no FROM bulk_jobs WHERE status = 'working' AND (owner IS NULL OR lease_until <= :now) ORDER BY no LIMIT 1)
RETURNING *;

-- name: keep_job
UPDATE bulk_jobs SET lease_until = :lease_until
WHERE no = :no AND owner = :owner AND fence = :fence AND status = 'working' RETURNING 1;

-- name: leave_job
UPDATE bulk_jobs SET owner = NULL, lease_until = NULL WHERE no = :no AND owner = :owner AND fence = :fence;

-- name: next_item
SELECT place, run_id FROM bulk_items WHERE job_no = ? AND state = 'waiting' ORDER BY place LIMIT 1;

-- name: note_item
UPDATE bulk_items SET state = :state, result = :result, told = :told
WHERE job_no = :no AND place = :place
  AND EXISTS (SELECT 1 FROM bulk_jobs WHERE no = :no AND owner = :owner AND fence = :fence)
RETURNING 1;

-- name: end_job
UPDATE bulk_jobs SET status = :status, reason = :reason, owner = NULL, lease_until = NULL,
  ended_at = CASE WHEN :status = 'done' THEN :now END
WHERE no = :no AND owner = :owner AND fence = :fence;

-- name: stop_job
UPDATE bulk_jobs SET status = 'stopped', reason = :reason, owner = NULL, lease_until = NULL
WHERE id = :id AND status = 'working' RETURNING 1;

-- name: continue_job
UPDATE bulk_jobs SET status = 'working', reason = NULL WHERE id = :id AND status = 'stopped' RETURNING 1;

-- name: progress
-- How each of its runs stands now; a run that retention has deleted had ended well enough.
SELECT bulk_items.state, COUNT(*) AS number,
       CASE WHEN bulk_jobs.action = 'dismiss' THEN 'dismissed' ELSE COALESCE(runs.status, 'gone') END AS status
FROM bulk_items JOIN bulk_jobs ON bulk_jobs.no = bulk_items.job_no LEFT JOIN runs ON runs.id = bulk_items.result
WHERE bulk_items.job_no = ? GROUP BY 1, 3;

-- name: troubles
SELECT bulk_items.run_id, bulk_items.result, bulk_items.state, bulk_items.told, runs.status, runs.label, runs.key, runs.error
FROM bulk_items JOIN bulk_jobs ON bulk_jobs.no = bulk_items.job_no
LEFT JOIN runs ON runs.id = COALESCE(bulk_items.result, bulk_items.run_id)
WHERE bulk_items.job_no = :no
  AND (bulk_items.state = 'skipped'
       OR (bulk_items.state = 'done' AND bulk_jobs.action <> 'dismiss' AND runs.status IN ('dead', 'rolled_back', 'held', 'in_doubt')))
ORDER BY bulk_items.place LIMIT :limit;

-- name: forget_jobs
DELETE FROM bulk_jobs WHERE created_at < ? AND status <> 'working';
