-- name: indexed
SELECT CAST(CAST(value AS TEXT) AS INTEGER) FROM meta WHERE name = 'indexed';

-- name: set_indexed
UPDATE meta SET value = CAST(CAST(:last AS TEXT) AS BLOB)
WHERE name = 'indexed' AND CAST(CAST(value AS TEXT) AS INTEGER) = :after
RETURNING 1;

-- name: end_of_batch
SELECT MAX(seq) FROM (SELECT seq FROM changes WHERE seq > :after ORDER BY seq LIMIT :limit);

-- name: runs_at_rest
-- Not those that are at work, or whose turn it is and that have nothing to tell yet: they will change again.
SELECT runs.no, runs.key, runs.error, runs.emptied_at, events.subject, events.data FROM
  (SELECT DISTINCT run_no FROM changes WHERE seq > :after AND seq <= :last) AS changed
  CROSS JOIN runs ON runs.no = changed.run_no
  JOIN events ON events.seq = runs.event_seq
WHERE runs.owner IS NULL AND (runs.step_count > 0 OR runs.turn = 0);

-- name: telling_steps
SELECT data FROM steps
WHERE run_no = ? AND phase <> 'intent' AND kind NOT IN ('plan', 'stop', 'end')
ORDER BY seq;

-- name: drop_documents
DELETE FROM documents WHERE run_no IN (
  SELECT documents.run_no FROM json_each(:documents) AS doc
  JOIN documents ON documents.run_no = doc.value ->> 'no' AND documents.words <> doc.value ->> 'words');

-- name: put_documents
-- A run whose payload has been removed since it was read is read again: that was a change, too.
INSERT INTO documents (run_no, words)
SELECT runs.no, doc.value ->> 'words' FROM json_each(:documents) AS doc
CROSS JOIN runs ON runs.no = doc.value ->> 'no' AND runs.emptied_at IS doc.value ->> 'emptied_at'
WHERE TRUE
ON CONFLICT DO NOTHING;

-- name: drop_changes
DELETE FROM changes WHERE seq <= MIN(:last, (SELECT MAX(seq) FROM changes) - :kept);
