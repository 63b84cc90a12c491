-- Runs to which a person has said yes, each chain of replays once; they count on when the runs are gone.
CREATE TABLE approvals (
  flow TEXT NOT NULL,
  root TEXT NOT NULL,
  PRIMARY KEY (flow, root)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER approvals_audit AFTER INSERT ON audit WHEN NEW.kind = 'run' AND NEW.action = 'approve'
BEGIN
  INSERT INTO approvals (flow, root) SELECT flow, root FROM runs WHERE id = NEW.subject ON CONFLICT DO NOTHING;
END;
