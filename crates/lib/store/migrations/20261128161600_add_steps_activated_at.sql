-- Since when the newest activation may have begun: what bounds it counts from there, through all its states.
ALTER TABLE steps ADD COLUMN activated_at timestamptz;
