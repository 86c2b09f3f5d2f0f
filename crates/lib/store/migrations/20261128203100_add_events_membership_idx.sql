-- For looking up the event that put a host where it is, before a rollout takes it.
CREATE INDEX events_membership_idx ON events (host_id, number)
    WHERE kind IN ('host.created', 'host.restored', 'host.moved', 'host.retired');
