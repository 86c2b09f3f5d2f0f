//! Login, tokens, principals and the audit log.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use slipway_domain::{EnvironmentName, HostName, PrincipalName, Role, RolloutRef, TokenId, rights};

use super::number::{at_least, number};

/// Log in.
#[derive(Debug, Args)]
pub struct Login {
    /// The principal whose password it is; only `admin` has one
    #[arg(long, default_value = "admin", value_name = "NAME")]
    pub name: PrincipalName,
    /// Read the password from stdin and do not ask for it
    #[arg(long)]
    pub password_stdin: bool,
    /// Keep a token that you already have, read from stdin; there is no password then
    #[arg(long, conflicts_with_all = ["password_stdin", "name", "label"])]
    pub token_stdin: bool,
    /// What the new token is for; the name of this machine when left out
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
}

/// Tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token; it is shown once
    Create {
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        label: String,
        /// Whose; your own when left out
        #[arg(long, value_name = "NAME")]
        principal: Option<PrincipalName>,
        /// Days until it stops working; when left out, as long as your own token
        ///
        /// A token ends with the token that created it, and is revoked with it; see --with-password.
        #[arg(long, value_name = "DAYS", allow_negative_numbers = true, value_parser = number(1_u32, 3650))]
        expires_in_days: Option<u32>,
        /// Only for this environment; may be given several times
        ///
        /// What is not limited is limited as your own token. A token can never do more than the one that created it.
        #[arg(long = "environment", value_name = "ENV")]
        environments: Vec<EnvironmentName>,
        /// Only for this command, besides reading; may be given several times
        ///
        /// release, start, approve, pause, resume, revert, abort, override_freeze, freeze, host, environment, principal,
        /// token or destination
        #[arg(long = "command", value_name = "COMMAND", value_parser = token_command)]
        commands: Vec<rights::TokenCommand>,
        /// Only where no other host is touched; may be given several times
        #[arg(long = "host", value_name = "HOST")]
        hosts: Vec<HostName>,
        /// Make it with the admin's password and not with your token: it ends and is revoked by itself alone
        #[arg(long)]
        with_password: bool,
        /// Read that password from stdin and do not ask for it
        #[arg(long, requires = "with_password")]
        password_stdin: bool,
        /// Write the token to this file (0600) and do not show it
        #[arg(long, value_name = "FILE")]
        token_out: Option<PathBuf>,
    },
    /// List tokens, without their secrets
    List,
    /// Revoke a token and all that were made with it, at once
    Revoke {
        /// The token's id, as `slipway token list` shows it
        id: TokenId,
    },
}

/// Principals.
#[derive(Debug, Subcommand)]
pub enum PrincipalCommand {
    /// Make a principal; then give it a token: slipway token create --principal NAME
    Create {
        /// Its name
        name: PrincipalName,
        /// What it may do: viewer, deployer, approver or admin
        #[arg(long)]
        role: Role,
        /// Another role in one environment, in place of that; may be given several times
        #[arg(long = "environment-role", value_name = "ENV=ROLE", value_parser = environment_role)]
        environment_roles: Vec<(EnvironmentName, Role)>,
    },
    /// List principals
    List,
    /// Disable a principal, all its tokens and all tokens created with them, at once
    Disable {
        /// Its name
        name: PrincipalName,
    },
}

fn token_command(text: &str) -> Result<rights::TokenCommand, String> {
    text.replace('-', "_")
        .parse()
        .map_err(|error: slipway_domain::named::UnknownName| {
            let all: Vec<&str> = rights::TokenCommand::ALL
                .iter()
                .map(|command| command.as_str())
                .collect();
            format!("{error}: use {}", all.join(", "))
        })
}

fn environment_role(text: &str) -> Result<(EnvironmentName, Role), String> {
    let (environment, role) = text
        .split_once('=')
        .ok_or("give ENV=ROLE, such as staging=deployer")?;
    let environment = environment
        .parse()
        .map_err(|error: slipway_domain::NameError| error.to_string())?;
    let role = role
        .parse()
        .map_err(|error: slipway_domain::role::UnknownRole| error.to_string())?;
    Ok((environment, role))
}

/// The audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no event was changed, left out or moved
    ///
    /// Downloads every event and computes the hash chain again on this machine; then has the server check its seals.
    /// Note the head that it prints: with --expect-head, a cut-off end shows too.
    Verify {
        /// A head that was printed earlier; it must still be in the chain
        #[arg(long, value_name = "HASH", value_parser = hash)]
        expect_head: Option<String>,
        /// Heads that were noted down, one `NUMBER HASH` on a line; `-` is stdin. The log must pass through each
        #[arg(long, value_name = "FILE")]
        anchor: Option<PathBuf>,
        /// The keys that may have sealed events, as `audit keys` lists them; events under others are refused
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
    },
    /// Print what to note down outside of the control plane: the number and the hash of the newest event
    ///
    /// Only once the log has proved whole, as by `slipway audit verify`. For a timer that sends it elsewhere.
    Head,
    /// Print the keys that sealed the events, as `audit verify --keys` takes them
    ///
    /// Keep the list away from the control plane, and add a line when SECRET_KEY is changed.
    Keys,
    /// Send the log's head elsewhere, and note it down; for a timer
    ///
    /// It first looks for the newest head of the notes. If the log does not pass through that any more, nothing is sent, and
    /// the exit code is 20. Give the notes to `audit verify --anchor`.
    Anchor(AnchorArgs),
    /// List events, the oldest first
    Events {
        /// Only events after this number
        #[arg(long, default_value_t = 0, value_name = "NUMBER", allow_negative_numbers = true, value_parser = at_least(0_i64))]
        after: i64,
        /// At most this many
        #[arg(long, default_value_t = 50, value_name = "N", allow_negative_numbers = true, value_parser = at_least(1_u32))]
        limit: u32,
        /// Only events of this rollout: its number, its id, or latest@ENV
        #[arg(long, value_name = "ROLLOUT")]
        rollout: Option<RolloutRef>,
        /// Only events about this host
        #[arg(long, value_name = "HOST")]
        host: Option<HostName>,
        /// Only events of this kind, such as rollout.state, or of all kinds that begin so, such as rollout
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
        /// Only what somebody of this name did: a principal, or a host by its agent
        #[arg(long, value_name = "NAME")]
        actor: Option<String>,
    },
}

/// Where the head goes.
#[derive(Debug, Args)]
pub struct AnchorArgs {
    /// The file with the heads so far; a new one is added to it once it was taken
    #[arg(long, value_name = "FILE")]
    pub notes: PathBuf,
    /// Post it here, with the headers of Standard Webhooks
    #[arg(long, value_name = "URL", requires = "secret_file")]
    pub to: Option<String>,
    /// The file with the secret (`whsec_…`) that signs what is posted
    #[arg(long, value_name = "FILE", requires = "to")]
    pub secret_file: Option<PathBuf>,
    /// A PEM file with a CA that the receiver's certificate may be of, besides the machine's own
    #[arg(long, value_name = "FILE", requires = "to")]
    pub receiver_ca_file: Option<PathBuf>,
    /// Run this by sh, with the head as one line on stdin; it must end with 0
    #[arg(long, value_name = "COMMAND")]
    pub command: Option<String>,
}

fn hash(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|c| c.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a head is 64 hex digits".to_owned())
    }
}
