-- `seq` is the order of registration: ids come from several machines' clocks.
CREATE TABLE releases (
    id uuid PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT releases_seq_key UNIQUE,
    flake_ref text,
    rev text,
    nar_hash text,
    message text,
    author_id uuid NOT NULL REFERENCES principals (id),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE release_closures (
    release_id uuid NOT NULL REFERENCES releases (id),
    host_id uuid NOT NULL REFERENCES hosts (id),
    closure text NOT NULL,
    PRIMARY KEY (release_id, host_id)
);
