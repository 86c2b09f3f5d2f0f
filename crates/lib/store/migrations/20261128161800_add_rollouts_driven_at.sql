-- When a worker last took the rollout up, so that each gets its turn however many there are.
ALTER TABLE rollouts ADD COLUMN driven_at timestamptz;
