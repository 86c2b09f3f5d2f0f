-- Who drives rollouts: only to be seen, nothing is decided by it. Leases on rollouts are what counts.
CREATE TABLE workers (
    id text PRIMARY KEY,
    version text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
