-- What a switch would change on hosts, by the digest of it: hosts with the same plan share a row. The text is JSON, and its
-- digest can be computed again from it.
CREATE TABLE host_plans (
    digest text PRIMARY KEY,
    plan text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT host_plans_digest_check CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
    CONSTRAINT host_plans_plan_check CHECK (octet_length(plan) <= 524288)
);
