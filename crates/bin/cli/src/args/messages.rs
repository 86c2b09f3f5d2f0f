//! Destinations of messages.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use slipway_domain::named::UnknownName;
use slipway_domain::{
    DeliveryId, DeliveryState, DestinationKind, DestinationName, EnvironmentName, MessageKind,
};

use super::number::number;

/// Destinations of messages.
#[derive(Debug, Subcommand)]
pub enum DestinationCommand {
    /// Make a destination; a webhook's secret is shown once
    ///
    /// Then send a test: slipway destination test NAME
    Create(CreateDestinationArgs),
    /// List destinations, with what waits and what is dead
    List,
    /// Show a destination
    Show {
        /// Its name
        name: DestinationName,
    },
    /// Change a destination: what is not given stays as it is
    Set(SetDestinationArgs),
    /// Delete a destination with its deliveries
    Delete {
        /// Its name
        name: DestinationName,
    },
    /// Send a test, and wait until it is delivered or not
    ///
    /// The exit code is 30 if it was not delivered.
    Test {
        /// Its name
        name: DestinationName,
    },
    /// List what was sent to a destination and what was not, the newest first
    Deliveries {
        /// The destination's name
        name: DestinationName,
        /// Only those in this state: waiting, delivered or dead
        #[arg(long, value_parser = state)]
        state: Option<DeliveryState>,
        /// How many
        #[arg(long, value_name = "N", default_value = "50", value_parser = number(1_u32, 10_000))]
        limit: u32,
    },
    /// Send dead deliveries again, with the ids that they had
    #[command(group = ArgGroup::new("which").required(true))]
    Replay {
        /// All that are dead of this destination
        #[arg(group = "which")]
        name: Option<DestinationName>,
        /// Only this one
        #[arg(long, value_name = "ID", group = "which")]
        delivery: Option<DeliveryId>,
    },
}

/// A new destination.
#[derive(Debug, Args)]
pub struct CreateDestinationArgs {
    /// Its name
    pub name: DestinationName,
    /// How it takes messages: standard (Standard Webhooks), slack, matrix or email
    #[arg(long, value_parser = kind)]
    pub kind: DestinationKind,
    /// The address of a webhook or of a Matrix server, unless it is a password itself, as Slack's is
    #[arg(long, value_name = "URL", conflicts_with = "to_file")]
    pub to: Option<String>,
    /// Read the address from this file; - for stdin
    #[arg(long, value_name = "FILE")]
    pub to_file: Option<PathBuf>,
    /// The room of Matrix, such as '!abc:example.org'
    #[arg(long, value_name = "ID")]
    pub room: Option<String>,
    /// Read the token of the Matrix account that writes from this file; - for stdin
    #[arg(long, value_name = "FILE")]
    pub matrix_token_file: Option<PathBuf>,
    /// Who gets the e-mail; may be given several times
    #[arg(long = "recipient", value_name = "ADDRESS")]
    pub recipients: Vec<String>,
    /// Only messages about this environment; may be given several times
    #[arg(long = "environment", value_name = "ENV")]
    pub environments: Vec<EnvironmentName>,
    /// Only messages of this kind, such as rollout.failed; may be given several times
    #[arg(long = "message", value_name = "KIND", value_parser = message)]
    pub messages: Vec<MessageKind>,
}

/// A change of a destination.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true))]
pub struct SetDestinationArgs {
    /// Its name
    pub name: DestinationName,
    /// Whether it gets messages; what waits for a disabled one is dead
    #[arg(long, value_name = "BOOL", group = "change")]
    pub enabled: Option<bool>,
    /// Who gets the e-mail; may be given several times
    #[arg(long = "recipient", value_name = "ADDRESS", group = "change")]
    pub recipients: Vec<String>,
    /// Only messages about this environment; may be given several times
    #[arg(
        long = "environment",
        value_name = "ENV",
        group = "change",
        conflicts_with = "all_environments"
    )]
    pub environments: Vec<EnvironmentName>,
    /// Messages about all environments
    #[arg(long, group = "change")]
    pub all_environments: bool,
    /// Only messages of this kind; may be given several times
    #[arg(long = "message", value_name = "KIND", value_parser = message, group = "change", conflicts_with = "all_messages")]
    pub messages: Vec<MessageKind>,
    /// Messages of all kinds
    #[arg(long, group = "change")]
    pub all_messages: bool,
}

/// Parsers of words that there are only so many of: the error names them all.
macro_rules! one_of {
    ($($parser:ident: $name:ident),+ $(,)?) => {$(
        fn $parser(text: &str) -> Result<$name, String> {
            text.parse().map_err(|error: UnknownName| {
                let all: Vec<&str> = $name::ALL.iter().map(|one| one.as_str()).collect();
                format!("{error}: use {}", all.join(", "))
            })
        }
    )+};
}

one_of! {
    message: MessageKind,
    kind: DestinationKind,
    state: DeliveryState,
}
