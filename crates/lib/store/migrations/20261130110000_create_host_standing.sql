-- How a host stands, as `Host::standing` of slipway-wire tells it. `state` is that of its newest step. The two numbers are
-- seconds after which a host counts as offline, and after which a second machine with its token is over.
CREATE FUNCTION host_standing(host hosts, state text, offline_after double precision, quiet_after double precision)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN state = 'stuck' THEN 'stuck'
        WHEN host.journal_trouble IS NOT NULL
             OR host.second_life_at > now() - make_interval(secs => quiet_after) THEN 'trouble'
        WHEN host.last_seen_at IS NULL THEN 'never_seen'
        WHEN NOT host.last_seen_at > now() - make_interval(secs => offline_after) THEN 'offline'
        WHEN host.unsettled IS NOT NULL
             OR state IN ('activating', 'verifying', 'verified', 'reverting') THEN 'changing'
        WHEN host.drift <> '[]' THEN 'drift'
        WHEN cardinality(host.pending_reboot) > 0 THEN 'reboot_pending'
        ELSE 'healthy'
    END
$$;
