-- Documents that are attached to releases, as they were written. Nothing is changed: a newer one is another version.
-- Of each kind the first version and the newest are kept. Postgres compresses long texts by itself.
CREATE TABLE release_attachments (
    release_id uuid NOT NULL REFERENCES releases (id),
    kind text NOT NULL,
    version integer NOT NULL,
    format text NOT NULL,
    digest text NOT NULL,
    entries integer NOT NULL,
    severities jsonb NOT NULL,
    dismissed integer NOT NULL,
    document text NOT NULL,
    by_name text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (release_id, kind, version)
);
