//! Activates, checks, commits or reverts one host

fn main() {}
