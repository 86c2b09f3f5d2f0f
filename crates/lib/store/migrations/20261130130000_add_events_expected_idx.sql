-- For looking up what is expected of a host: who accepted it, or that it was first seen.
CREATE INDEX events_expected_idx ON events (host_id, number)
    WHERE kind IN ('host.adopted', 'host.first_seen', 'host.restored');
