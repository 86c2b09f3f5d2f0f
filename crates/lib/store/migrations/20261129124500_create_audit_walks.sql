-- How far the walks through the audit log have come: `newest` looks at new events, `whole` at all of them, again and again.
-- A row counts only with its seal; one without, as these two, begins at the first event.
CREATE TABLE audit_walks (
    name text PRIMARY KEY,
    number bigint NOT NULL DEFAULT 0,
    hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    seal_key text NOT NULL DEFAULT '',
    walked_at timestamptz,
    ended_at timestamptz,
    problem text,
    seal bytea,
    sealed_with text,
    CONSTRAINT audit_walks_name_check CHECK (name IN ('newest', 'whole')),
    CONSTRAINT audit_walks_hash_check CHECK (octet_length(hash) = 32 AND octet_length(seal) = 32)
) WITH (fillfactor = 50);

INSERT INTO audit_walks (name) VALUES ('newest'), ('whole');
