-- For looking up the event that recorded a step's prior, before the prior is believed or told.
CREATE INDEX events_prior_idx ON events (step_id, number) WHERE kind = 'step.prior';
