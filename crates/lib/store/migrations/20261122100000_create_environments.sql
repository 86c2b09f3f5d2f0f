-- Names sort by bytes everywhere, as they do in the programs.
CREATE TABLE environments (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT environments_name_key UNIQUE,
    strategy jsonb NOT NULL DEFAULT '{}',
    approval_required boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT environments_strategy_check CHECK (jsonb_typeof(strategy) = 'object')
);
