-- Maintenance windows and freezes.
ALTER TABLE environments ADD COLUMN calendar jsonb NOT NULL DEFAULT '{}';
