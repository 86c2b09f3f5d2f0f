-- The audit log. No foreign keys: an event outlives what it is about.
CREATE TABLE events (
    number bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    actor_kind text NOT NULL,
    actor_name text NOT NULL,
    kind text NOT NULL,
    environment_id uuid,
    rollout_id uuid,
    step_id uuid,
    host_id uuid,
    from_state text,
    to_state text,
    cause text NOT NULL,
    hash bytea NOT NULL,
    seal bytea NOT NULL,
    seal_key text NOT NULL,
    CONSTRAINT events_actor_check CHECK (actor_kind IN ('principal', 'host', 'rules', 'console')),
    CONSTRAINT events_hash_check CHECK (octet_length(hash) = 32 AND octet_length(seal) = 32),
    CONSTRAINT events_states_check CHECK (from_state <> '' AND to_state <> '')
);

CREATE INDEX events_rollout_idx ON events (rollout_id, number) WHERE rollout_id IS NOT NULL;

-- The last event. Whoever appends holds this row's lock, and takes it last of all.
CREATE TABLE event_head (
    "only" boolean PRIMARY KEY DEFAULT true,
    number bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT event_head_only_check CHECK ("only"),
    CONSTRAINT event_head_hash_check CHECK (octet_length(hash) = 32)
);

INSERT INTO event_head (number, hash) VALUES (0, decode(repeat('00', 32), 'hex'));
