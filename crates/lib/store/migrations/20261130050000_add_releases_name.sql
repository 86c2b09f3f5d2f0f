-- A release's name for people, given once. Null for those without one.
ALTER TABLE releases ADD COLUMN name text CONSTRAINT releases_name_key UNIQUE;
ALTER TABLE release_drafts ADD COLUMN name text;
