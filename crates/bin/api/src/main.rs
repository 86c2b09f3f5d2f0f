//! The HTTP API of the release control plane

fn main() {}
