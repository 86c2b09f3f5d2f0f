-- Where the spans of the rollout hang: the W3C `traceparent` of the request that began it. Nobody decides anything by it.
ALTER TABLE rollouts ADD COLUMN traceparent text;
