//! The one entry point for people and CI: `demo`, `up`, `test`, `sqlx`.

fn main() {}
