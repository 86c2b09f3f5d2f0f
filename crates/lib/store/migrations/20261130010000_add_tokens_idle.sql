-- A session of the console is a token that ends when it was not used for so long.
ALTER TABLE tokens ADD COLUMN idle_seconds integer CONSTRAINT tokens_idle_check CHECK (idle_seconds > 0);
