-- What a host's labels said when the rollout began; a label that changes meanwhile moves no host. Steps of earlier
-- releases, and of an earlier release that still runs, are of one group, and wave 0 is their canary.
ALTER TABLE steps
    ADD COLUMN host_group integer NOT NULL DEFAULT 0 CONSTRAINT steps_group_check CHECK (host_group >= 0),
    ADD COLUMN canary boolean,
    ADD COLUMN cluster text;
