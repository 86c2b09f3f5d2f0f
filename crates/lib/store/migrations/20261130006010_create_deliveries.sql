-- The outbox: a message to a destination. `seq` is the order within a lane, where one waits for the one before it.
CREATE TABLE deliveries (
    id uuid PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT deliveries_seq_key UNIQUE,
    destination_id uuid NOT NULL REFERENCES destinations (id) ON DELETE CASCADE,
    lane text NOT NULL,
    message jsonb NOT NULL,
    state text NOT NULL DEFAULT 'waiting',
    attempts integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    next_at timestamptz NOT NULL DEFAULT now(),
    -- A failure after that is the last one.
    until timestamptz NOT NULL,
    lease uuid,
    leased_until timestamptz,
    last_error text,
    finished_at timestamptz,
    CONSTRAINT deliveries_state_check CHECK (state IN ('waiting', 'delivered', 'dead')),
    CONSTRAINT deliveries_finished_check CHECK ((finished_at IS NULL) = (state = 'waiting')),
    CONSTRAINT deliveries_lease_check CHECK ((lease IS NULL) = (leased_until IS NULL)),
    CONSTRAINT deliveries_message_check CHECK (jsonb_typeof(message) = 'object')
) WITH (fillfactor = 80);

CREATE INDEX deliveries_waiting_idx ON deliveries (destination_id, lane, seq) WHERE state = 'waiting';
CREATE INDEX deliveries_destination_idx ON deliveries (destination_id, seq DESC);
CREATE INDEX deliveries_finished_idx ON deliveries (finished_at) WHERE state <> 'waiting';
