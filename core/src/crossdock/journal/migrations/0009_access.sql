-- People who may use the dashboard and the API, and what they prove it with. Nothing here opens anything by itself:
-- passwords are hashed with scrypt, tokens and sessions are kept as their SHA-256.
CREATE TABLE people (
  name TEXT PRIMARY KEY,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
  password TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  disabled_at INTEGER
) STRICT;

CREATE TABLE access_tokens (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  used_at INTEGER,
  revoked_at INTEGER
) STRICT;

-- `person` NULL: whoever signed in with the admin token.
CREATE TABLE sessions (
  hash BLOB PRIMARY KEY,
  person TEXT REFERENCES people (name) ON DELETE CASCADE,
  csrf TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_person ON sessions (person);

-- Failed sign-ins, by name and by address (hashed): in the journal, so that all processes count together.
CREATE TABLE refusals (
  subject BLOB PRIMARY KEY,
  failures INTEGER NOT NULL,
  last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
