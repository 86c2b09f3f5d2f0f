CREATE TABLE rollout_commands (
    id uuid PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    rollout_id uuid NOT NULL REFERENCES rollouts (id),
    kind text NOT NULL,
    principal_id uuid NOT NULL REFERENCES principals (id),
    reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    applied_at timestamptz,
    refused text,
    CONSTRAINT rollout_commands_kind_check CHECK (kind IN ('approve', 'pause', 'resume', 'revert', 'abort')),
    CONSTRAINT rollout_commands_refused_check CHECK (refused IS NULL OR applied_at IS NOT NULL)
);

CREATE INDEX rollout_commands_rollout_idx ON rollout_commands (rollout_id, seq);
CREATE INDEX rollout_commands_waiting_idx ON rollout_commands (rollout_id) WHERE applied_at IS NULL;
