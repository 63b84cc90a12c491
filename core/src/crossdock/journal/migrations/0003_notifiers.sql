-- Whose alert it is, so that those of a notifier that has its hands full can be passed over without being read.
ALTER TABLE alerts ADD COLUMN notifier TEXT GENERATED ALWAYS AS (json_extract(data, '$.notifier')) VIRTUAL;

DROP INDEX alerts_due;
CREATE INDEX alerts_due ON alerts (due_at, no, notifier) WHERE due_at IS NOT NULL;
