CREATE TABLE steps (
    id uuid PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    rollout_id uuid NOT NULL REFERENCES rollouts (id),
    host_id uuid NOT NULL REFERENCES hosts (id),
    wave integer NOT NULL,
    state text NOT NULL DEFAULT 'waiting',
    since timestamptz NOT NULL DEFAULT now(),
    attempt uuid CONSTRAINT steps_attempt_key UNIQUE,
    failures integer NOT NULL DEFAULT 0,
    closure text NOT NULL,
    prior text,
    reason text,
    CONSTRAINT steps_rollout_host_key UNIQUE (rollout_id, host_id),
    CONSTRAINT steps_state_check CHECK (state IN (
        'waiting', 'staging', 'staged', 'activating', 'verifying', 'verified',
        'committed', 'reverting', 'reverted', 'stuck', 'skipped'
    )),
    CONSTRAINT steps_counts_check CHECK (wave >= 0 AND failures >= 0)
) WITH (fillfactor = 80);

-- A host's newest step first.
CREATE INDEX steps_host_idx ON steps (host_id, seq DESC);
CREATE INDEX steps_stuck_idx ON steps (rollout_id) WHERE state = 'stuck';
