-- How many hosts a release has a closure for, so that a list need not count them. Null where an earlier program made it.
ALTER TABLE releases ADD COLUMN host_count bigint;
