-- The digest of the plan that was approved; null where an approval named none.
ALTER TABLE rollouts ADD COLUMN approved_plan text;
