-- What a person has stopped for a while: runs of a flow are not performed, a connection is not used.
CREATE TABLE pauses (
  kind TEXT NOT NULL CHECK (kind IN ('flow', 'connection')),
  name TEXT NOT NULL,
  actor TEXT NOT NULL,
  why TEXT,
  since INTEGER NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
