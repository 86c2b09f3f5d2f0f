-- For looking up the event that decided a release, a role or a token: its cause begins with what it is about.
CREATE INDEX events_subject_idx ON events (kind, left(cause, 16), number) WHERE rollout_id IS NULL;
