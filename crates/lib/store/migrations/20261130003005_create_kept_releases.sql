-- Releases whose closures no cache may collect, whether or not anything runs them.
CREATE TABLE kept_releases (
    release_id uuid PRIMARY KEY REFERENCES releases (id),
    by_name text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    until timestamptz,
    reason text
);
