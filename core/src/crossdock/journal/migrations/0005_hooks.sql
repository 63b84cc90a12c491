-- Webhooks that were registered at vendors from here. While `pending_until` is set, the registration is under way and a
-- handshake may bring its secret; the process that registers and the one that hears the vendor are not the same.
CREATE TABLE hooks (
  no INTEGER PRIMARY KEY AUTOINCREMENT,
  connection TEXT NOT NULL,
  nonce TEXT NOT NULL UNIQUE,
  topic TEXT NOT NULL,
  url TEXT NOT NULL,
  subscription TEXT,
  -- Encrypted with the vault's key.
  secret BLOB,
  pending_until INTEGER,
  created_at INTEGER NOT NULL,
  registered_at INTEGER,
  CHECK ((pending_until IS NULL) = (registered_at IS NOT NULL))
) STRICT;

CREATE INDEX hooks_connection ON hooks (connection);
