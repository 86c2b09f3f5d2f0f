-- A deleted environment is kept: its rollouts and events are about it. A program that does not know the column shows it
-- as one without hosts.
ALTER TABLE environments ADD COLUMN deleted_at timestamptz;
