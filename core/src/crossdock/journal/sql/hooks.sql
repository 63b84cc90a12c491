-- name: begin_hook
INSERT INTO hooks (connection, nonce, topic, url, pending_until, created_at)
VALUES (:connection, :nonce, :topic, :url, :pending_until, :now);

-- name: agree_hook
-- One handshake for each registration: whoever comes second has seen the URL, and is not the vendor.
UPDATE hooks SET secret = :secret
WHERE connection = :connection AND nonce = :nonce AND pending_until > :now AND secret IS NULL
RETURNING 1;

-- name: finish_hook
UPDATE hooks SET pending_until = NULL, subscription = :subscription, registered_at = :now
WHERE nonce = :nonce AND (secret IS NOT NULL OR NOT :needs_secret)
RETURNING 1;

-- name: drop_hook
DELETE FROM hooks WHERE nonce = ?;

-- name: hooks_of
SELECT * FROM hooks WHERE connection = ? ORDER BY no DESC;

-- name: registered_hooks
SELECT connection, COUNT(*) AS number, MAX(registered_at) AS registered_at FROM hooks
WHERE registered_at IS NOT NULL GROUP BY connection;

-- name: forget_hooks
DELETE FROM hooks WHERE pending_until < :before;
