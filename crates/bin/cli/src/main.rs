//! Command line of Slipway

fn main() {}
