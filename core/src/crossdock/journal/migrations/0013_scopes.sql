-- The parts of the API that a token opens, as JSON; NULL: all of it, and the pages.
ALTER TABLE access_tokens ADD COLUMN scopes TEXT;
