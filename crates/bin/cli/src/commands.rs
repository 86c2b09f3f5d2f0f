//! What each command does.

mod access;
mod audit;
mod destination;
mod diff;
mod doctor;
mod environment;
mod flake;
mod host;
mod login;
mod man;
mod open;
mod plan;
mod preflight;
mod release;
mod rollout;
mod secret;
mod status;
mod strategy;
mod verify;

use serde::Serialize;
use slipway_client::ClientError;
use slipway_wire::page::{MAX_LIMIT, Page};

use crate::args::SlipwayCommand;
use crate::context::Context;
use crate::output::Output;
use crate::{CliFailure, Exit};

/// A list as `--json` shows it: an object, so that it can grow.
#[derive(Debug, Serialize)]
struct List<'a, T> {
    items: &'a [T],
}

/// Carries the command out.
pub async fn run(context: &Context, command: SlipwayCommand) -> Result<Exit, CliFailure> {
    let outcome = carry_out(context, command).await;
    outcome.map_err(|failure| context.explain(failure))
}

async fn carry_out(context: &Context, command: SlipwayCommand) -> Result<Exit, CliFailure> {
    match command {
        SlipwayCommand::Login(login) => login::login(context, login).await?,
        SlipwayCommand::Logout { local } => login::logout(context, local).await?,
        SlipwayCommand::Whoami => login::whoami(context).await?,
        SlipwayCommand::Status {
            environment,
            watch: true,
            logs,
        } => return status::watch(context, environment, logs).await,
        SlipwayCommand::Status { environment, .. } => status::run(context, environment).await?,
        SlipwayCommand::Verify(args) => return verify::run(context, args).await,
        SlipwayCommand::Env(command) => environment::run(context, command).await?,
        SlipwayCommand::Host(command) => host::run(context, command).await?,
        SlipwayCommand::Release(command) => release::run(context, command).await?,
        SlipwayCommand::Rollout(command) => return rollout::run(context, command).await,
        SlipwayCommand::Preflight {
            environment,
            release,
            strict,
        } => return preflight::run(context, &environment, &release, strict).await,
        SlipwayCommand::Diff { release, other } => diff::run(context, &release, other.as_ref()).await?,
        SlipwayCommand::Token(command) => access::token(context, command).await?,
        SlipwayCommand::Principal(command) => access::principal(context, command).await?,
        SlipwayCommand::Destination(command) => return destination::run(context, command).await,
        SlipwayCommand::Audit(command) => return audit::run(context, command).await,
        SlipwayCommand::Doctor { host } => return doctor::run(context, host).await,
        SlipwayCommand::Open(args) => open::run(context, args).await?,
        SlipwayCommand::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut crate::command(), "slipway", &mut script);
            Output::stdout(&String::from_utf8_lossy(&script))?;
        }
        SlipwayCommand::Man { folder } => man::write(&folder)?,
    }
    Ok(Exit::Success)
}

/// The first entries of a list, at most so many. `page` gets how many to ask for, and after which.
async fn first<T>(
    most: u32,
    page: impl AsyncFn(u32, Option<String>) -> Result<Page<T>, ClientError>,
) -> Result<Vec<T>, ClientError> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let wanted = most - u32::try_from(all.len()).unwrap_or(most);
        let found = page(wanted.min(MAX_LIMIT), after.clone()).await?;
        all.extend(found.items);
        // A server that repeats the same page must not keep us here for ever.
        if all.len() >= most as usize || found.next.is_none() || found.next == after {
            all.truncate(most as usize);
            return Ok(all);
        }
        after = found.next;
    }
}
