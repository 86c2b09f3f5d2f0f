-- What was signed of a release, byte for byte. Agents with release keys run nothing else.
CREATE TABLE release_manifests (
    release_id uuid PRIMARY KEY REFERENCES releases (id),
    environment_id uuid NOT NULL REFERENCES environments (id),
    number bigint NOT NULL CHECK (number > 0),
    expires_at timestamptz NOT NULL,
    digest text NOT NULL,
    manifest bytea NOT NULL,
    signatures text[] NOT NULL,
    UNIQUE (environment_id, number)
);
