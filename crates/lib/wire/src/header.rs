//! Headers of requests that are Slipway's own business.

/// Names a request that makes something: the same key, path and body make it once, however often they are sent.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
