-- What a host should be, and how it differs. The baseline is what was first seen of it, or what somebody accepted later; a
-- step that was committed after `baseline_at` goes before it. `drift` is what the audit log knows of; null before the first
-- look.
ALTER TABLE hosts
    ADD COLUMN overrides jsonb,
    ADD COLUMN baseline text,
    ADD COLUMN baseline_boot_default text,
    ADD COLUMN baseline_at timestamptz,
    ADD COLUMN accepted_overrides jsonb,
    ADD COLUMN accepted_release uuid,
    ADD COLUMN drift jsonb,
    ADD COLUMN drift_noted_at timestamptz;
