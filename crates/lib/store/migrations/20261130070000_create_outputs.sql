-- What switch scripts and hooks printed. A host has a share of what is kept of a rollout, and this says how much of it is
-- used, in bytes with a fixed amount for every piece.
CREATE TABLE host_outputs (
    rollout_id uuid NOT NULL REFERENCES rollouts (id),
    host_id uuid NOT NULL REFERENCES hosts (id),
    bytes bigint NOT NULL DEFAULT 0,
    is_cut boolean NOT NULL DEFAULT false,
    CONSTRAINT host_outputs_pkey PRIMARY KEY (rollout_id, host_id),
    CONSTRAINT host_outputs_bytes_check CHECK (bytes >= 0)
) WITH (fillfactor = 80);

-- Numbers are given under a lock of the rollout, so that whoever reads on from one misses none.
CREATE TABLE output_pieces (
    rollout_id uuid NOT NULL,
    number bigint NOT NULL,
    host_id uuid NOT NULL,
    attempt uuid NOT NULL,
    job text NOT NULL,
    end_at bigint NOT NULL,
    skipped bigint NOT NULL DEFAULT 0,
    is_cut boolean NOT NULL DEFAULT false,
    text text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT output_pieces_pkey PRIMARY KEY (rollout_id, number),
    CONSTRAINT output_pieces_host_fkey FOREIGN KEY (rollout_id, host_id)
        REFERENCES host_outputs (rollout_id, host_id) ON DELETE CASCADE,
    CONSTRAINT output_pieces_size_check CHECK (octet_length(text) <= 32768 AND octet_length(job) <= 40),
    CONSTRAINT output_pieces_numbers_check CHECK (number > 0 AND end_at >= 0 AND skipped >= 0)
);

-- How far a job's output is known; and what one host printed.
CREATE INDEX output_pieces_job_idx ON output_pieces (attempt, job, number DESC);
CREATE INDEX output_pieces_host_idx ON output_pieces (rollout_id, host_id, number);
