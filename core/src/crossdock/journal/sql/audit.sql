-- name: note_act
INSERT INTO audit (at, actor, via, action, kind, subject, why, before, after)
VALUES (:at, :actor, :via, :action, :kind, :subject, :why, :before, :after);

-- name: acts
SELECT * FROM audit WHERE no < :older_than ORDER BY no DESC LIMIT :limit;

-- name: acts_on
SELECT * FROM audit WHERE kind = :kind AND subject = :subject AND no < :older_than ORDER BY no DESC LIMIT :limit;

-- name: acts_on_kind
SELECT * FROM audit WHERE kind = :kind AND no < :older_than ORDER BY no DESC LIMIT :limit;

-- name: acts_of
SELECT * FROM audit
WHERE actor = :actor AND no < :older_than
  AND (:kind IS NULL OR kind = :kind) AND (:subject IS NULL OR subject = :subject)
ORDER BY no DESC LIMIT :limit;

-- name: empty_acts
-- What a person changed in a run's input goes with the payload; that they did it stays.
UPDATE audit SET why = NULL, before = NULL, after = NULL
WHERE kind = 'run' AND subject = ? AND COALESCE(why, before, after) IS NOT NULL;
