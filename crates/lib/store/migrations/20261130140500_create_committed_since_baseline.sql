-- The newest step that committed something on a host after its baseline. What it left is expected of the host in place of the
-- baseline.
CREATE FUNCTION committed_since_baseline(host hosts) RETURNS SETOF steps LANGUAGE sql STABLE ROWS 1 AS $$
    SELECT steps.* FROM steps
    WHERE steps.host_id = host.id AND steps.state = 'committed'
      AND steps.since > coalesce(host.baseline_at, '-infinity')
    ORDER BY steps.seq DESC LIMIT 1
$$;
