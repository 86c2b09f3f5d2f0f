-- When it may begin at the earliest, and what it waits for now.
ALTER TABLE rollouts
    ADD COLUMN not_before timestamptz,
    ADD COLUMN hold jsonb;
