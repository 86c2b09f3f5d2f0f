-- Every sync updates its host's row; the free space keeps these updates within their page.
CREATE TABLE hosts (
    id uuid PRIMARY KEY,
    environment_id uuid NOT NULL REFERENCES environments (id),
    name text COLLATE "C" NOT NULL CONSTRAINT hosts_name_key UNIQUE,
    labels jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz,
    last_seen_at timestamptz,
    agent_version text,
    clock_skew_seconds bigint,
    boot_id text,
    live text,
    boot_default text,
    report jsonb,
    unsettled uuid,
    observed_at timestamptz,
    CONSTRAINT hosts_labels_check CHECK (jsonb_typeof(labels) = 'object')
) WITH (fillfactor = 70);

CREATE INDEX hosts_environment_idx ON hosts (environment_id, name);
