-- What an environment permits beyond its rules; off unless somebody says so.
ALTER TABLE environments
    ADD COLUMN own_strategy_allowed boolean NOT NULL DEFAULT false,
    ADD COLUMN related_approval_allowed boolean NOT NULL DEFAULT false;
