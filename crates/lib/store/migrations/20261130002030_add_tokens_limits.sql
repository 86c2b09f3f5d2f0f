-- What a token may be used for at most.
ALTER TABLE tokens ADD COLUMN limits jsonb NOT NULL DEFAULT '{}';
