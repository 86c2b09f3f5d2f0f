//! Environments and hosts.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use slipway_domain::calendar::GivenTime;
use slipway_domain::digest::Digest;
use slipway_domain::{EnvironmentName, FreezeId, HostName, Window};

use super::REASON_ALIASES;

/// How rollouts go about their hosts.
#[derive(Debug, Clone, Default, Args)]
pub struct StrategyArgs {
    /// The strategy as a JSON file, `-` for stdin; what it leaves out has its default
    #[arg(long, value_name = "FILE")]
    pub strategy: Option<PathBuf>,
    /// Change one field of the strategy, such as batch=2, max_unavailable=25%, verify.passes=1, on_failure=pause or
    /// 'order=role=db role=app'; may be given several times
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub set: Vec<String>,
}

/// Environments.
#[derive(Debug, Subcommand)]
pub enum EnvCommand {
    /// Make an environment
    Create {
        /// Its name
        name: EnvironmentName,
        /// The strategy of rollouts that bring none.
        #[command(flatten)]
        strategy: StrategyArgs,
        /// Rollouts wait for the approval of somebody other than their author
        #[arg(long)]
        approval_required: bool,
        /// Rollouts may have their own strategy, even if no admin starts them
        #[arg(long)]
        own_strategy_allowed: bool,
        /// A principal may approve the rollout of one that it created, or that created it
        #[arg(long)]
        related_approval_allowed: bool,
        /// A maintenance window, such as 'mon-thu 09:00-16:00 Europe/Berlin'; may be given several times
        #[arg(long = "window", value_name = "WINDOW")]
        windows: Vec<Window>,
    },
    /// List environments
    List,
    /// Delete an environment that has no hosts; its rollouts and events stay
    ///
    /// Making an environment of this name brings it back with them.
    Delete {
        /// Its name
        name: EnvironmentName,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Show an environment
    Show {
        /// Its name
        name: EnvironmentName,
    },
    /// Change an environment; running rollouts keep the strategy that they began with
    Set(EnvChange),
    /// Let rollouts of an environment begin nothing for a time
    ///
    /// Hosts that are under way finish, and going back never waits. It takes the role approver.
    Freeze {
        /// The environment
        name: EnvironmentName,
        /// Its end: 2026-12-01T22:00:00+01:00, or '2026-12-01 22:00 Europe/Berlin'
        #[arg(long, value_name = "TIME")]
        until: GivenTime,
        /// Its beginning; now when left out
        #[arg(long, value_name = "TIME")]
        from: Option<GivenTime>,
        /// Why; rollouts that wait show it
        #[arg(long, aliases = REASON_ALIASES, value_name = "TEXT")]
        reason: String,
    },
    /// End a freeze before its time
    Thaw {
        /// The freeze's id, as `slipway env show` shows it
        freeze: FreezeId,
    },
}

/// What of an environment is to change.
#[derive(Debug, Args)]
pub struct EnvChange {
    /// Its name
    pub name: EnvironmentName,
    /// The strategy of rollouts that bring none.
    #[command(flatten)]
    pub strategy: StrategyArgs,
    /// Whether rollouts wait for the approval of somebody other than their author
    #[arg(long, value_name = "true|false")]
    pub approval_required: Option<bool>,
    /// Whether rollouts may have their own strategy, even if no admin starts them
    #[arg(long, value_name = "true|false")]
    pub own_strategy_allowed: Option<bool>,
    /// Whether a principal may approve the rollout of one that it created, or that created it
    #[arg(long, value_name = "true|false")]
    pub related_approval_allowed: Option<bool>,
    /// A maintenance window, such as 'mon-thu 09:00-16:00 Europe/Berlin'; may be given several times. All of them take
    /// the place of those that there are
    #[arg(long = "window", value_name = "WINDOW")]
    pub windows: Vec<Window>,
    /// Take all maintenance windows away: rollouts begin at any time
    #[arg(long, conflicts_with = "windows")]
    pub no_windows: bool,
}

/// Hosts.
#[derive(Debug, Subcommand)]
pub enum HostCommand {
    /// Make a host; its agent's token is shown once
    Create {
        /// Its name, unique in the control plane
        name: HostName,
        /// The environment it belongs to
        #[arg(long, value_name = "ENV")]
        env: EnvironmentName,
        /// A free label; may be given several times
        #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
        /// Write the agent's token to this file (0600) and do not show it
        #[arg(long, value_name = "FILE")]
        token_out: Option<PathBuf>,
    },
    /// List hosts
    List {
        /// Only this environment's
        #[arg(long, value_name = "ENV")]
        env: Option<EnvironmentName>,
    },
    /// Show a host
    Show {
        /// Its name
        name: HostName,
    },
    /// Make a new token for a host's agent; the old ones are revoked, at once
    Token {
        /// The host
        name: HostName,
        /// Write the token to this file (0600) and do not show it
        #[arg(long, value_name = "FILE")]
        token_out: Option<PathBuf>,
    },
    /// Reboot a host that stays on the release it runs
    ///
    /// It is a rollout to that host alone. It keeps to `max_unavailable`, checks the host after the boot, and may need an
    /// approval. While another rollout of the environment is open, it is refused.
    Reboot {
        /// Its name
        name: HostName,
    },
    /// Give a host labels, or take some away
    ///
    /// Rollouts take hosts by groups of labels. A rollout under way keeps to the labels that it began with.
    Label {
        /// Its name
        name: HostName,
        /// NAME=VALUE for a label that it gets, NAME- for one that it loses
        #[arg(required = true, value_name = "NAME=VALUE|NAME-", value_parser = label_change)]
        changes: Vec<(String, Option<String>)>,
    },
    /// Move a host to another environment; its token and its history stay
    Move {
        /// Its name
        name: HostName,
        /// The environment it moves to
        #[arg(long, value_name = "ENV")]
        env: EnvironmentName,
    },
    /// Accept what drifts on a host as what is expected of it
    ///
    /// It accepts what `slipway host show` shows at that moment, and nothing that comes later. A release must name what runs
    /// for this host.
    #[command(alias = "adopt")]
    Accept {
        /// Its name
        name: HostName,
        /// Why, for the audit log
        #[arg(long, aliases = REASON_ALIASES, value_name = "TEXT")]
        reason: String,
        /// Only if the digest of what drifts is this one, as `slipway host show` shows it
        #[arg(long, value_name = "DIGEST")]
        drift: Option<Digest>,
    },
    /// Take a retired host back; its agent's new token is shown once
    Restore {
        /// Its name
        name: HostName,
        /// The environment that it returns to; by default the one that it left
        #[arg(long, value_name = "ENV")]
        env: Option<EnvironmentName>,
        /// Write the agent's token to this file (0600) and do not show it
        #[arg(long, value_name = "FILE")]
        token_out: Option<PathBuf>,
    },
    /// Retire a host: it takes part in no rollout any more, and its token is revoked
    ///
    /// Its name stays taken. `slipway host restore` takes it back.
    Retire {
        /// Its name
        name: HostName,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

fn label_change(text: &str) -> Result<(String, Option<String>), String> {
    match (text.split_once('='), text.strip_suffix('-')) {
        (Some((key, value)), _) if !key.is_empty() => Ok((key.to_owned(), Some(value.to_owned()))),
        (None, Some(key)) if !key.is_empty() => Ok((key.to_owned(), None)),
        _ => Err("give NAME=VALUE, such as role=db, or NAME- to take the label away".to_owned()),
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("give KEY=VALUE, such as rack=b2".to_owned()),
    }
}
