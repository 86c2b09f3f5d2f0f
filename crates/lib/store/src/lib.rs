//! All SQL of Slipway and its migrations
