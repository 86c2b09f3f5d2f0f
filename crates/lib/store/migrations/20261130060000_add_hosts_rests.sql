-- A host's word fills no log: what it reports is noted after a rest, which grows with every event. `drift` and `live` are what
-- is so; `drift_told` and `audited_live` are what the audit log says. Without `drift_told` it says what `drift` does.
ALTER TABLE hosts
    ADD COLUMN drift_told jsonb,
    ADD COLUMN drift_rest_seconds integer,
    ADD COLUMN live_noted_at timestamptz,
    ADD COLUMN live_rest_seconds integer;
