-- The plan that the host's agent reported: its digest and sizes. Once a plan was approved it does not change any more.
ALTER TABLE steps ADD COLUMN plan jsonb;
