-- Equal to `since` while the rollout is paused for want of a verdict. A program that does not know of it moves `since`
-- alone, and so ends it.
ALTER TABLE rollouts ADD COLUMN awaits_verdict_since timestamptz;
