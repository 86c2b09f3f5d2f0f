-- The digest of the plan that an approval is for.
ALTER TABLE rollout_commands ADD COLUMN plan text;
