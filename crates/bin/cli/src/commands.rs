//! What each command does.

mod access;
mod audit;
mod environment;
mod flake;
mod host;
mod login;
mod man;
mod release;
mod rollout;
mod secret;
mod status;
mod strategy;
mod verify;

use serde::Serialize;
use slipway_wire::page::MAX_LIMIT;

use crate::args::Command;
use crate::context::Context;
use crate::output::Output;
use crate::{Exit, Failure};

/// A list as `--json` shows it: an object, so that it can grow.
#[derive(Debug, Serialize)]
struct List<'a, T> {
    items: &'a [T],
}

/// Carries the command out.
pub async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Login(login) => login::login(context, login).await?,
        Command::Logout { local } => login::logout(context, local).await?,
        Command::Whoami => login::whoami(context).await?,
        Command::Status { environment } => status::run(context, environment).await?,
        Command::Verify(args) => return verify::run(context, args).await,
        Command::Env(command) => environment::run(context, command).await?,
        Command::Host(command) => host::run(context, command).await?,
        Command::Release(command) => release::run(context, command).await?,
        Command::Rollout(command) => return rollout::run(context, command).await,
        Command::Token(command) => access::token(context, command).await?,
        Command::Principal(command) => access::principal(context, command).await?,
        Command::Audit(command) => return audit::run(context, command).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut crate::command(), "slipway", &mut script);
            Output::stdout(&String::from_utf8_lossy(&script))?;
        }
        Command::Man { folder } => man::write(&folder)?,
    }
    Ok(Exit::Success)
}

/// How many to ask for in one page when so many are still wanted.
fn page_size(wanted: u32) -> u32 {
    wanted.min(MAX_LIMIT)
}
