-- name: one
SELECT * FROM talks WHERE no = ?;

-- name: by_lead
SELECT * FROM talks WHERE lead = :alert;

-- name: by_alert
SELECT talks.* FROM talk_alerts JOIN talks ON talks.no = talk_alerts.talk_no WHERE talk_alerts.alert = :alert;

-- name: by_thread
SELECT talks.* FROM talk_threads JOIN talks ON talks.no = talk_threads.talk_no
WHERE talk_threads.thread = :thread AND talks.notifier = :notifier AND talks.over = 0
ORDER BY talks.no DESC LIMIT 1;

-- name: by_likeness
SELECT * FROM talks
WHERE notifier = :notifier AND likeness = :likeness AND open_until > :now AND over = 0
ORDER BY no DESC LIMIT 1;

-- name: begin
INSERT INTO talks (notifier, likeness, lead, begun_at, open_until)
VALUES (:notifier, :likeness, :alert, :now, :until) RETURNING *;

-- name: lead_instead
UPDATE talks SET lead = :alert, open_until = :until WHERE no = :no;

-- name: add_thread
INSERT INTO talk_threads (thread, talk_no) VALUES (:thread, :no) ON CONFLICT DO NOTHING;

-- name: count_threads
UPDATE talks SET threads = (SELECT COUNT(*) FROM talk_threads WHERE talk_no = :no) WHERE no = :no RETURNING threads;

-- name: add_alert
INSERT INTO talk_alerts (alert, talk_no, place) SELECT :alert, no, joined + 1 FROM talks WHERE no = :no;

-- name: count_alert
UPDATE talks SET joined = joined + 1, version = version + 1,
  due_at = CASE WHEN :gathers THEN MIN(COALESCE(due_at, :gathered), :gathered)
                WHEN posted IS NOT NULL THEN MIN(COALESCE(due_at, 9223372036854775807), MAX(:now, written_at + :every))
                ELSE due_at END
WHERE no = :no;

-- name: hide_alert
UPDATE alerts SET due_at = :until WHERE id = :alert;

-- name: forget_alert
DELETE FROM talk_alerts WHERE alert = :alert;

-- name: posted
-- What joined while it was on its way is told by the next writing.
UPDATE talks SET posted = :posted, written_at = :now, tries = 0,
  due_at = CASE WHEN version > :version THEN :now + CASE WHEN threads > 1 THEN :every ELSE 0 END END
WHERE no = :no;

-- name: wake
UPDATE talks SET version = version + 1, due_at = MIN(COALESCE(due_at, :now), :now) WHERE no = :no;

-- name: end
UPDATE talks SET over = 1 WHERE no = :no;

-- name: any_due
SELECT 1 FROM talks WHERE due_at <= :now LIMIT 1;

-- name: due
SELECT * FROM talks WHERE due_at <= :now AND no NOT IN (SELECT value FROM json_each(:in_hand)) ORDER BY due_at LIMIT :limit;

-- name: hide
UPDATE talks SET due_at = :until, tries = tries + 1 WHERE no = :no;

-- name: written
UPDATE talks SET written_at = :now, tries = 0,
  due_at = CASE WHEN version > :version THEN :now + CASE WHEN threads > 1 THEN :every ELSE 0 END END
WHERE no = :no;

-- name: put_off
UPDATE talks SET due_at = :until WHERE no = :no;

-- name: told
UPDATE alerts SET due_at = NULL
WHERE id IN (SELECT alert FROM talk_alerts WHERE talk_no = :no AND place <= :place) AND due_at IS NOT NULL;

-- name: pending
SELECT alerts.data FROM talk_alerts JOIN alerts ON alerts.id = talk_alerts.alert
WHERE talk_alerts.talk_no = :no AND alerts.due_at IS NOT NULL AND talk_alerts.place <= :place
ORDER BY talk_alerts.place DESC LIMIT :limit;

-- name: count_pending
SELECT COUNT(*) FROM talk_alerts JOIN alerts ON alerts.id = talk_alerts.alert
WHERE talk_alerts.talk_no = :no AND alerts.due_at IS NOT NULL AND talk_alerts.place <= :place;

-- name: alert
SELECT id, data, tries FROM alerts WHERE id = :alert;

-- name: standing
-- How many of its chains of runs have which status now.
SELECT status, COUNT(*) AS chains FROM (
  SELECT runs.status, MAX(runs.no) FROM talk_threads JOIN runs ON runs.root = talk_threads.thread
  WHERE talk_threads.talk_no = :no GROUP BY runs.root
) GROUP BY status;

-- name: newest
SELECT runs.* FROM talk_threads JOIN runs ON runs.root = talk_threads.thread
WHERE talk_threads.talk_no = :no ORDER BY runs.no DESC LIMIT :limit;

-- name: chain
SELECT * FROM runs WHERE root = ? ORDER BY no;

-- name: acts
SELECT audit.* FROM audit JOIN runs ON audit.kind = 'run' AND audit.subject = runs.id
WHERE runs.root = :root ORDER BY audit.no DESC LIMIT :limit;

-- name: troubled
-- Whether people were told that a run of this chain had failed or needed them.
SELECT 1 FROM runs JOIN alerts ON alerts.id > runs.id || ':' AND alerts.id < runs.id || ';'
WHERE runs.root = :root
  AND substr(alerts.id, length(runs.id) + 2, instr(substr(alerts.id, length(runs.id) + 2), ':') - 1)
      IN ('dead', 'rolled_back', 'held', 'in_doubt', 'cancelled')
LIMIT 1;

-- name: recipients
SELECT notifier FROM alerts WHERE id > :about || '@' AND id < :about || 'A' ORDER BY no;

-- name: spend
INSERT INTO spent_tokens (nonce, until) VALUES (:nonce, :until) ON CONFLICT DO NOTHING RETURNING 1;

-- name: forget_spent
DELETE FROM spent_tokens WHERE until < :now;

-- name: forget
DELETE FROM talks
WHERE begun_at < :before AND due_at IS NULL AND NOT EXISTS (
  SELECT 1 FROM talk_alerts JOIN alerts ON alerts.id = talk_alerts.alert
  WHERE talk_alerts.talk_no = talks.no AND alerts.due_at IS NOT NULL);
