-- Whether hosts that the release has a closure for were left out by name. Null where an earlier program made it.
ALTER TABLE rollouts ADD COLUMN narrowed boolean;
