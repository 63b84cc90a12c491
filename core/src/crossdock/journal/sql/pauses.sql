-- name: pause
INSERT INTO pauses (kind, name, actor, why, since) VALUES (:kind, :name, :actor, :why, :since)
ON CONFLICT (kind, name) DO NOTHING RETURNING 1;

-- name: resume
DELETE FROM pauses WHERE kind = :kind AND name = :name RETURNING 1;

-- name: pauses
SELECT * FROM pauses ORDER BY kind, name;

-- name: is_paused
SELECT 1 FROM pauses WHERE kind = 'connection' AND name = ?;

-- name: ready_of_flow
-- They have gathered, and are not to begin all at once.
UPDATE runs SET due_at = :now + ranked.place * MIN(:gap, :spread / ranked.total)
FROM (SELECT no, ROW_NUMBER() OVER (ORDER BY due_at, no) - 1 AS place, COUNT(*) OVER () AS total
      FROM runs WHERE flow = :flow AND turn = 1 AND owner IS NULL AND due_at <= :now) AS ranked
WHERE runs.no = ranked.no;
