CREATE TABLE jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    text text NOT NULL,
    result text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX jobs_open_idx ON jobs (id) WHERE result IS NULL;
