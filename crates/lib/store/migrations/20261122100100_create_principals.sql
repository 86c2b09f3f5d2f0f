CREATE TABLE principals (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT principals_name_key UNIQUE,
    role text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz,
    CONSTRAINT principals_role_check CHECK (role IN ('viewer', 'deployer', 'approver', 'admin'))
);
