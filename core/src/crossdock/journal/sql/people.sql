-- name: put_person
INSERT INTO people (name, role, password, created_at) VALUES (:name, :role, :password, :now)
ON CONFLICT (name) DO NOTHING RETURNING 1;

-- name: set_role
UPDATE people SET role = :role WHERE name = :name RETURNING 1;

-- name: set_password
UPDATE people SET password = :password WHERE name = :name RETURNING 1;

-- name: disable_person
UPDATE people SET disabled_at = :now WHERE name = :name AND disabled_at IS NULL RETURNING 1;

-- name: enable_person
UPDATE people SET disabled_at = NULL WHERE name = :name AND disabled_at IS NOT NULL RETURNING 1;

-- name: end_sessions
DELETE FROM sessions WHERE person = ?;

-- name: person
SELECT * FROM people WHERE name = ?;

-- name: people
SELECT * FROM people ORDER BY name;

-- name: guarded
SELECT EXISTS (SELECT 1 FROM people);

-- name: put_token
INSERT INTO access_tokens (id, name, hash, role, created_by, created_at, expires_at, scopes)
VALUES (:id, :name, :hash, :role, :created_by, :now, :expires_at, :scopes);

-- name: token
SELECT * FROM access_tokens WHERE hash = ?;

-- name: tokens
SELECT * FROM access_tokens ORDER BY created_at DESC, id;

-- name: use_token
UPDATE access_tokens SET used_at = :now WHERE id = :id AND (used_at IS NULL OR used_at < :before);

-- name: revoke_token
UPDATE access_tokens SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL RETURNING name;

-- name: put_session
INSERT INTO sessions (hash, person, csrf, created_at, seen_at) VALUES (:hash, :person, :csrf, :now, :now);

-- name: session
SELECT sessions.*, people.role, people.disabled_at FROM sessions LEFT JOIN people ON people.name = sessions.person
WHERE hash = ?;

-- name: see_session
UPDATE sessions SET seen_at = :now WHERE hash = :hash AND seen_at < :before;

-- name: end_session
DELETE FROM sessions WHERE hash = ?;

-- name: forget_sessions
DELETE FROM sessions WHERE seen_at < :idle OR created_at < :oldest;

-- name: refusals
SELECT failures, last_at FROM refusals WHERE subject = ?;

-- name: refuse
INSERT INTO refusals (subject, failures, last_at) VALUES (:subject, 1, :now)
ON CONFLICT (subject) DO UPDATE SET failures = failures + 1, last_at = excluded.last_at;

-- name: pardon
DELETE FROM refusals WHERE subject = ?;

-- name: forget_refusals
DELETE FROM refusals WHERE last_at < ?;
