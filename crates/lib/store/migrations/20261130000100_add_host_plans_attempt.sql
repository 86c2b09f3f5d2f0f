-- The attempt that brought a plan: each brings one. None for those that were kept before.
ALTER TABLE host_plans ADD COLUMN attempt uuid UNIQUE;
