//! Typed HTTP client of the Slipway API
