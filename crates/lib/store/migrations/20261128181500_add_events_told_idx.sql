-- For looking up the event that a host's step came to its state by, before the host is told anything.
CREATE INDEX events_told_idx ON events (host_id, number) WHERE kind = 'step.state';
