-- For finding out whether a step still names a plan, before the plan is collected.
CREATE INDEX steps_plan_digest_idx ON steps ((plan ->> 'digest')) WHERE plan IS NOT NULL;
