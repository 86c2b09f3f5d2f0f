//! Programs that a command starts.

use tokio::process::Command;

/// A program that gets nothing of our access: it may be other people's code, and has its own if it needs one.
#[must_use]
pub fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command
        .env_remove("SLIPWAY_TOKEN")
        .env_remove("SLIPWAY_TOKEN_FILE");
    command
}
