//! `slipway`, the command line for people and CI. Only the program of that name uses this crate. It must
//! never show a token or a password except where the user asks for it, and never talk to the database.
//!
//! | module | what it holds |
//! |---|---|
//! | [`args`] | what can be typed |
//! | [`commands`] | what it does |
//! | [`watch`] | following a rollout |
//! | [`context`], [`config`] | which API, with which token, and where `login` keeps them |
//! | [`output`], [`table`], [`text`], [`names`] | what is shown |
//! | [`trace`] | the trace of one run, which goes on in the API and on hosts |
//! | [`exit`], [`failure`], [`stop`] | exit codes, errors, and signals |
//! | [`mod@reference`] | docs/cli.md, made from the definitions above |

pub mod args;
pub mod commands;
pub mod config;
pub mod context;
pub mod exit;
pub mod failure;
pub mod files;
pub mod names;
pub mod output;
pub mod program;
pub mod reference;
pub mod stop;
pub mod table;
pub mod text;
pub mod trace;
pub mod watch;

pub use exit::Exit;
pub use failure::CliFailure;

/// The whole command with its subcommands, for help, completions and reference pages.
#[must_use]
pub fn command() -> clap::Command {
    <args::SlipwayCli as clap::CommandFactory>::command()
}
