-- `seq` grows in the order of creation within an environment, whose row is locked meanwhile.
CREATE TABLE rollouts (
    id uuid PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT rollouts_seq_key UNIQUE,
    environment_id uuid NOT NULL REFERENCES environments (id),
    release_id uuid NOT NULL REFERENCES releases (id),
    strategy jsonb NOT NULL,
    state text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    scope text,
    reason text,
    author_id uuid NOT NULL REFERENCES principals (id),
    approver_id uuid REFERENCES principals (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    lease_owner text,
    lease_epoch bigint NOT NULL DEFAULT 0,
    lease_expires_at timestamptz,
    CONSTRAINT rollouts_state_check CHECK (state IN (
        'pending_approval', 'staging', 'rolling', 'paused', 'reverting',
        'succeeded', 'reverted', 'aborted', 'failed'
    )),
    CONSTRAINT rollouts_scope_check CHECK (scope IN ('all', 'in_flight')),
    CONSTRAINT rollouts_finished_check CHECK (
        (finished_at IS NOT NULL) = (state IN ('succeeded', 'reverted', 'aborted', 'failed'))
    ),
    CONSTRAINT rollouts_lease_check CHECK ((lease_owner IS NULL) = (lease_expires_at IS NULL))
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX rollouts_one_open_idx ON rollouts (environment_id) WHERE finished_at IS NULL;
CREATE INDEX rollouts_environment_idx ON rollouts (environment_id, seq DESC);
