-- What agents know of their hosts besides what runs. Only the newest counts: a row is written once a minute.
CREATE TABLE host_facts (
    host_id uuid PRIMARY KEY REFERENCES hosts (id),
    at timestamptz NOT NULL DEFAULT now(),
    facts jsonb NOT NULL,
    -- The closure that somebody wants to know of: the agent is asked until it has answered, for a few seconds.
    probe text,
    probe_asked_at timestamptz,
    CONSTRAINT host_facts_facts_check CHECK (jsonb_typeof(facts) = 'object'),
    CONSTRAINT host_facts_size_check CHECK (octet_length(facts::text) <= 262144)
);
