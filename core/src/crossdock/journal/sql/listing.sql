-- name: arms_of_all
SELECT DISTINCT status FROM tallies
WHERE runs > 0 AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)));

-- name: arms_of_flow
SELECT status FROM tallies
WHERE flow = :flow AND runs > 0 AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)));

-- name: newest_of_all
-- Of each arm as many as a page has, and of those the newest.
SELECT runs.no, runs.created_at FROM json_each(:arms) AS arm CROSS JOIN runs
WHERE runs.no IN (SELECT r.no FROM runs AS r INDEXED BY runs_status
                  WHERE r.status = arm.value ->> 0
                    AND r.created_at >= :since AND r.created_at <= :newest AND (r.created_at < :at OR r.no < :no)
                  ORDER BY r.created_at DESC, r.no DESC LIMIT :limit)
ORDER BY runs.created_at DESC, runs.no DESC LIMIT :limit;

-- name: newest_of_flow
SELECT runs.no, runs.created_at FROM json_each(:arms) AS arm CROSS JOIN runs
WHERE runs.no IN (SELECT r.no FROM runs AS r INDEXED BY runs_flow_status
                  WHERE r.flow = :flow AND r.status = arm.value ->> 0
                    AND r.created_at >= :since AND r.created_at <= :newest AND (r.created_at < :at OR r.no < :no)
                  ORDER BY r.created_at DESC, r.no DESC LIMIT :limit)
ORDER BY runs.created_at DESC, runs.no DESC LIMIT :limit;

-- name: newest_of_stops
-- No more arms than a page has rows can have one of its rows: those whose newest runs are the newest.
WITH arms AS MATERIALIZED (
  SELECT first.* FROM (
    SELECT needs_person, flow, status, stopped_connection, error_kind, leg,
           (SELECT r.no FROM runs AS r INDEXED BY runs_stopped
            WHERE r.stopped = 1 AND r.needs_person = stops.needs_person AND r.flow = stops.flow
              AND r.status = stops.status AND r.stopped_connection = stops.stopped_connection
              AND r.error_kind = stops.error_kind AND r.leg IS nullif(stops.leg, '')
              AND r.created_at >= :since AND r.created_at <= :newest AND (r.created_at < :at OR r.no < :no)
            ORDER BY r.created_at DESC, r.no DESC LIMIT 1) AS newest_no
    FROM stops
    WHERE runs > 0
      AND (:needs_person IS NULL OR needs_person = :needs_person)
      AND (:flow IS NULL OR flow = :flow)
      AND (:statuses IS NULL OR status IN (SELECT value FROM json_each(:statuses)))
      AND (:connection IS NULL OR stopped_connection = :connection)
      AND (:error_kind IS NULL OR error_kind = :error_kind)
      AND (:leg IS NULL OR leg = :leg)
  ) AS first CROSS JOIN runs ON runs.no = first.newest_no
  ORDER BY runs.created_at DESC, runs.no DESC LIMIT :limit
)
SELECT runs.no, runs.created_at FROM arms CROSS JOIN runs
WHERE runs.no IN (SELECT r.no FROM runs AS r INDEXED BY runs_stopped
                  WHERE r.stopped = 1 AND r.needs_person = arms.needs_person AND r.flow = arms.flow
                    AND r.status = arms.status AND r.stopped_connection = arms.stopped_connection
                    AND r.error_kind = arms.error_kind AND r.leg IS nullif(arms.leg, '')
                    AND r.created_at >= :since AND r.created_at <= :newest AND (r.created_at < :at OR r.no < :no)
                  ORDER BY r.created_at DESC, r.no DESC LIMIT :limit)
ORDER BY runs.created_at DESC, runs.no DESC LIMIT :limit;

-- name: runs_of_key
SELECT no, created_at FROM runs
WHERE key = :key AND created_at >= :since AND created_at <= :newest AND (created_at < :at OR no < :no)
ORDER BY created_at DESC, no DESC LIMIT :most;

-- name: runs_of_root
SELECT no, created_at FROM runs
WHERE root = :root AND created_at >= :since AND created_at <= :newest AND (created_at < :at OR no < :no)
ORDER BY created_at DESC, no DESC LIMIT :most;

-- name: runs_that_replay
SELECT no, created_at FROM runs
WHERE replay_of = :replay_of AND created_at >= :since AND created_at <= :newest AND (created_at < :at OR no < :no)
ORDER BY created_at DESC, no DESC LIMIT :most;

-- name: runs_by_id
SELECT no FROM runs WHERE id >= :id AND id < :id || '{' AND no < :no ORDER BY id DESC LIMIT :most;

-- name: runs_by_key
SELECT no FROM runs WHERE key = :text AND no < :no ORDER BY created_at DESC, no DESC LIMIT :most;

-- name: count_word
SELECT COUNT(*) FROM (SELECT 1 FROM words WHERE word >= :word AND word < :beyond LIMIT :most);

-- name: runs_with_word
SELECT run_no FROM words WHERE word = :word AND run_no < :no ORDER BY run_no DESC LIMIT :most;

-- name: runs_with_beginning
SELECT DISTINCT run_no FROM words WHERE word >= :word AND word < :beyond AND run_no < :no
ORDER BY run_no DESC LIMIT :most;

-- name: documents_before
SELECT run_no FROM (SELECT run_no, words FROM documents WHERE run_no < :no ORDER BY run_no DESC LIMIT :most) AS newest
WHERE NOT EXISTS (SELECT 1 FROM json_each(:marks) AS mark WHERE instr(newest.words, mark.value) = 0)
ORDER BY run_no DESC;

-- name: end_of_documents_before
SELECT MIN(run_no), COUNT(*) FROM (SELECT run_no FROM documents WHERE run_no < :no ORDER BY run_no DESC LIMIT :most);

-- name: matching
-- Of these runs those that are all of what is wanted.
SELECT runs.no, runs.created_at FROM json_each(:nos) AS found CROSS JOIN runs ON runs.no = found.value
LEFT JOIN documents ON documents.run_no = runs.no
WHERE (:flow IS NULL OR runs.flow = :flow)
  AND (:statuses IS NULL OR runs.status IN (SELECT value FROM json_each(:statuses)))
  AND (:key IS NULL OR runs.key = :key)
  AND (:connection IS NULL OR (runs.stopped = 1 AND runs.stopped_connection = :connection))
  AND (:error_kind IS NULL OR (runs.stopped = 1 AND runs.error_kind = :error_kind))
  AND (:leg IS NULL OR (runs.stopped = 1 AND COALESCE(runs.leg, '') = :leg))
  AND (:needs_person IS NULL OR runs.needs_person = :needs_person)
  AND (:replay_of IS NULL OR runs.replay_of = :replay_of)
  AND (:root IS NULL OR runs.root = :root)
  AND runs.created_at >= :since AND runs.created_at < :until
  AND (:marks IS NULL OR runs.id >= :id AND runs.id < :id || '{' OR runs.key = :text
       OR (documents.words IS NOT NULL AND json_array_length(:marks) > 0
           AND NOT EXISTS (SELECT 1 FROM json_each(:marks) AS mark WHERE instr(documents.words, mark.value) = 0)))
LIMIT :limit;

-- name: whole
SELECT runs.* FROM json_each(:nos) AS page CROSS JOIN runs ON runs.no = page.value;

-- name: brief
SELECT runs.id, runs.status, runs.needs_person, runs.emptied_at
FROM json_each(:nos) AS page CROSS JOIN runs ON runs.no = page.value;
