-- For the history of a host.
CREATE INDEX events_host_idx ON events (host_id, number) WHERE host_id IS NOT NULL;
