-- Releases that are still being written. A sealed one is a row of `releases`, and its draft is gone.
CREATE TABLE release_drafts (
    id uuid PRIMARY KEY,
    flake_ref text,
    rev text,
    nar_hash text,
    message text,
    author_id uuid NOT NULL REFERENCES principals (id),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX release_drafts_author_idx ON release_drafts (author_id, created_at);

CREATE TABLE release_draft_closures (
    draft_id uuid NOT NULL REFERENCES release_drafts (id) ON DELETE CASCADE,
    host_id uuid NOT NULL REFERENCES hosts (id),
    closure text NOT NULL,
    PRIMARY KEY (draft_id, host_id)
);
