-- Where messages go. What gives access there is sealed with a key that the database does not have.
CREATE TABLE destinations (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT destinations_name_key UNIQUE,
    kind text NOT NULL,
    -- What of the address may be shown.
    shown text NOT NULL,
    room text,
    recipients text[] NOT NULL DEFAULT '{}',
    sealed bytea,
    sealed_key text,
    -- Empty: of all of them.
    environments text[] NOT NULL DEFAULT '{}',
    messages text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    disabled_at timestamptz,
    disabled_because text,
    CONSTRAINT destinations_kind_check CHECK (kind IN ('standard', 'slack', 'matrix', 'email')),
    CONSTRAINT destinations_sealed_check CHECK ((sealed IS NULL) = (sealed_key IS NULL))
);
