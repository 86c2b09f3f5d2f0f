-- The live system that the audit log knows of: by an event, or because a rollout asked for it.
ALTER TABLE hosts ADD COLUMN audited_live text;
