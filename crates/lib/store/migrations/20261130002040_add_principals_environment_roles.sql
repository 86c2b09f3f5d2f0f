-- Roles in single environments, in place of the one that holds everywhere.
ALTER TABLE principals ADD COLUMN environment_roles jsonb NOT NULL DEFAULT '{}';
