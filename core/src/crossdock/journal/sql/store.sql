-- name: pragmas
-- Only a file that is still empty takes it: pages that fall free can be given back later.
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA journal_size_limit = 67108864;
-- What retention removes is not to be found in the file.
PRAGMA secure_delete = ON;

-- name: reader_pragmas
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA query_only = ON;

-- name: read_pragmas
PRAGMA journal_mode;
PRAGMA synchronous;
PRAGMA foreign_keys;
PRAGMA busy_timeout;
PRAGMA query_only;

-- name: read_space
PRAGMA page_size;
PRAGMA page_count;
PRAGMA freelist_count;

-- name: give_back
PRAGMA incremental_vacuum(64);

-- name: truncate_wal
PRAGMA wal_checkpoint(TRUNCATE);

-- name: begin
BEGIN IMMEDIATE;

-- name: begin_reading
BEGIN DEFERRED;

-- name: commit
COMMIT;

-- name: rollback
ROLLBACK;

-- name: savepoint
SAVEPOINT unit;

-- name: release
RELEASE unit;

-- name: undo_unit
ROLLBACK TO unit;

-- name: other_tables
SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' LIMIT 1;

-- name: create_migrations
CREATE TABLE IF NOT EXISTS migrations (
  number INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  checksum TEXT NOT NULL,
  applied_at INTEGER NOT NULL
) STRICT;

-- name: has_migrations
SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migrations';

-- name: applied_migrations
SELECT number, name, checksum FROM migrations ORDER BY number;

-- name: record_migration
INSERT INTO migrations (number, name, checksum, applied_at) VALUES (?, ?, ?, ?);

-- name: cursor_key
SELECT value FROM meta WHERE name = 'cursor_key';
