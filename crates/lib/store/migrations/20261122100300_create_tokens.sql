-- Only the SHA-256 of a token is kept.
CREATE TABLE tokens (
    id uuid PRIMARY KEY,
    principal_id uuid REFERENCES principals (id),
    host_id uuid REFERENCES hosts (id),
    label text NOT NULL,
    sha256 bytea NOT NULL CONSTRAINT tokens_sha256_key UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT tokens_owner_check CHECK (num_nonnulls(principal_id, host_id) = 1),
    CONSTRAINT tokens_sha256_check CHECK (octet_length(sha256) = 32)
) WITH (fillfactor = 80);

CREATE INDEX tokens_principal_idx ON tokens (principal_id) WHERE principal_id IS NOT NULL;
CREATE INDEX tokens_host_idx ON tokens (host_id) WHERE host_id IS NOT NULL;
