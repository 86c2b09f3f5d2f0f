//! Rollouts.

use std::str::FromStr;

use clap::{Args, Subcommand};
use slipway_domain::calendar::GivenTime;
use slipway_domain::digest::Digest;
use slipway_domain::{EnvironmentName, HostName, ReleaseRef, RolloutRef};

use super::number::{at_least, number};
use super::{REASON_ALIASES, StrategyArgs};

/// A rollout by its number, by another reference, or by its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutArg {
    /// This rollout.
    Rollout(RolloutRef),
    /// The environment's rollout under way, or else its newest.
    Environment(EnvironmentName),
}

impl FromStr for RolloutArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self::Rollout).or_else(|_| {
            text.parse().map(Self::Environment).map_err(|_| {
                "give a rollout's number such as 34, its id or the beginning of it, latest, previous, or the name of an \
                 environment"
                    .to_owned()
            })
        })
    }
}

/// How to watch.
#[derive(Debug, Clone, Default, Args)]
pub struct WatchArgs {
    /// Stop watching, with exit code 13, when the rollout waits for a person: paused, or ready to be approved
    #[arg(long)]
    pub until_paused: bool,
    /// Stop watching, with exit code 14, after this many seconds; at most 30 days
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = number(1_u64, 30 * 24 * 3600))]
    pub timeout: Option<u64>,
    /// Show what the hosts' switch scripts and hooks print, each line with its host
    #[arg(long)]
    pub logs: bool,
}

/// Which output, and whether to go on with it.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The rollout's number or id, latest, previous, or an environment for its rollout under way or its newest
    pub rollout: RolloutArg,
    /// Only of this host
    #[arg(long, value_name = "HOST")]
    pub host: Option<HostName>,
    /// Only lines that contain this text; upper and lower case are the same
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
    /// Go on with what comes, until the rollout is over
    #[arg(long, short)]
    pub follow: bool,
}

/// Which hosts take part.
#[derive(Debug, Args)]
pub struct HostArgs {
    /// Only this host takes part; may be given several times
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<HostName>,
    /// Every host that takes part reboots, whatever the environment's strategy says of reboots
    #[arg(long, conflicts_with_all = ["strategy", "set"])]
    pub reboot: bool,
}

/// Rollouts.
#[derive(Debug, Subcommand)]
pub enum RolloutCommand {
    /// Show the groups and waves that a rollout would have; nothing begins
    ///
    /// A strategy that a start would refuse is refused here too.
    Plan {
        /// The environment
        environment: EnvironmentName,
        /// The release: its number, name or id, latest, or previous for what the environment ran before
        release: ReleaseRef,
        /// How; the environment's own strategy when left out.
        #[command(flatten)]
        strategy: StrategyArgs,
        /// Which hosts.
        #[command(flatten)]
        hosts: HostArgs,
    },
    /// Bring an environment to a release
    Start {
        /// The environment
        environment: EnvironmentName,
        /// The release: its number, name or id, latest, or previous for what the environment ran before
        release: ReleaseRef,
        /// How; the environment's own strategy when left out.
        #[command(flatten)]
        strategy: StrategyArgs,
        /// Touch no host before this time: 2026-12-01T22:00:00+01:00, or '2026-12-01 22:00 Europe/Berlin'
        #[arg(long, value_name = "TIME")]
        at: Option<GivenTime>,
        /// Do not wait for the environment's windows and freezes; it takes the role approver
        #[arg(long, requires = "reason")]
        override_freeze: bool,
        /// Why the windows and freezes are overridden, for the audit log
        #[arg(long, aliases = REASON_ALIASES, value_name = "TEXT", requires = "override_freeze")]
        reason: Option<String>,
        /// Which hosts.
        #[command(flatten)]
        hosts: HostArgs,
        /// Watch it to its end, as `slipway rollout watch` does
        #[arg(long)]
        watch: bool,
        /// How to watch.
        #[command(flatten)]
        how: WatchArgs,
    },
    /// Follow a rollout to its end; the exit code tells how it ended
    ///
    /// Ctrl-C stops watching and nothing else.
    Watch {
        /// The rollout's number or id, latest, previous, or an environment for its rollout under way
        rollout: RolloutArg,
        /// How to watch.
        #[command(flatten)]
        how: WatchArgs,
    },
    /// List rollouts, the newest first
    List {
        /// Only this environment's
        #[arg(long, value_name = "ENV")]
        env: Option<EnvironmentName>,
        /// At most this many
        #[arg(long, default_value_t = 20, value_name = "N", allow_negative_numbers = true, value_parser = at_least(1_u32))]
        limit: u32,
    },
    /// Show a rollout and every host's part of it
    Show {
        /// The rollout's number or id, latest, previous, or an environment for its rollout under way or its newest
        rollout: RolloutArg,
        /// Show what it changes on its hosts, and the digest of it that an approval names
        #[arg(long)]
        plan: bool,
    },
    /// Show what the switch scripts and hooks of a rollout's hosts printed
    ///
    /// Each line has the time at which the control plane took it, its host and its job. `slipway rollout watch --logs` shows
    /// the events between them.
    ///
    /// Of every script the first 48 KiB and the last 16 KiB are kept, for 30 days after the rollout's end.
    Logs(LogsArgs),
    /// Let a rollout begin that waits for approval; not by its author
    ///
    /// By its number or its id only: whoever approves has looked at this very rollout, and an environment may have another
    /// one by now.
    ///
    /// The approval is for the plan that was looked at: `slipway rollout show --plan ROLLOUT` shows it with its digest.
    /// If the plan is another one by now, the approval is refused.
    Approve(Approval),
    /// Begin nothing new; hosts under way finish
    Pause(Order),
    /// Go on after a pause; hosts that failed are tried again
    ///
    /// By its number or its id only, as approving.
    Resume(OrderById),
    /// Let a rollout go on outside the environment's windows and in its freezes; it takes the role approver
    ///
    /// By its number or its id only, as approving. It is for the whole rollout: to stop it again, pause it.
    OverrideFreeze {
        /// The rollout's number or id
        #[arg(value_parser = one_rollout)]
        rollout: RolloutRef,
        /// Why, for the audit log
        #[arg(long, aliases = REASON_ALIASES, value_name = "TEXT")]
        reason: String,
    },
    /// Put every host that was touched back to what it ran before
    Revert(Order),
    /// Stop: put hosts under way back, and leave those that are done
    Abort(Order),
    /// List a rollout's events, the oldest first
    Events {
        /// The rollout's number or id, latest, previous, or an environment for its rollout under way or its newest
        rollout: RolloutArg,
        /// Only events after this number
        #[arg(long, default_value_t = 0, value_name = "NUMBER", allow_negative_numbers = true, value_parser = at_least(0_i64))]
        after: i64,
    },
}

/// An approval: of a rollout and a plan that were looked at.
#[derive(Debug, Args)]
pub struct Approval {
    /// The rollout and the reason.
    #[command(flatten)]
    pub order: OrderById,
    /// The digest of the plan that you have looked at, as `slipway rollout show --plan` shows it
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    pub plan: Option<Digest>,
}

fn digest(text: &str) -> Result<Digest, String> {
    text.parse().map_err(|_| {
        "give the whole digest that `slipway rollout show --plan ROLLOUT` shows, sha256:… with 64 digits"
            .to_owned()
    })
}

/// An order that lets a rollout touch hosts: to one that was looked at.
#[derive(Debug, Args)]
pub struct OrderById {
    /// The rollout's number or id
    #[arg(value_parser = one_rollout)]
    pub rollout: RolloutRef,
    /// Why, for the audit log
    #[arg(long, aliases = REASON_ALIASES, value_name = "TEXT")]
    pub reason: Option<String>,
}

impl From<OrderById> for Order {
    fn from(order: OrderById) -> Self {
        Self {
            rollout: RolloutArg::Rollout(order.rollout),
            reason: order.reason,
        }
    }
}

/// A rollout that stays the same one.
fn one_rollout(text: &str) -> Result<RolloutRef, String> {
    match text.parse() {
        Ok(RolloutArg::Rollout(rollout)) if !rollout.moves() => Ok(rollout),
        Ok(_) => Err(format!(
            "give the number of a rollout that you have looked at: slipway rollout show {text}"
        )),
        Err(_) => Err("give a rollout's number such as 34, its id or the beginning of it".to_owned()),
    }
}

/// An order to a rollout.
#[derive(Debug, Args)]
pub struct Order {
    /// The rollout's number or id, latest, previous, or an environment for its rollout under way
    pub rollout: RolloutArg,
    /// Why, for the audit log
    #[arg(long, aliases = REASON_ALIASES, value_name = "TEXT")]
    pub reason: Option<String>,
}
