//! Drives rollouts: reads, decides, writes, wakes

fn main() {}
