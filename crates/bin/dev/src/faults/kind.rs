//! The faults, and the alert that each must bring.

use clap::ValueEnum;

use crate::monitoring::{MACHINE, STACK};
use crate::stack::ENVIRONMENT;

/// What is done to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FaultKind {
    /// nginx has a certificate that ends in ten days
    Certificate,
    /// A small disk is filled
    Disk,
    /// The last backup's record says that it is years old
    Backup,
    /// A rollout waits for an approval
    Rollout,
    /// Both workers are killed
    Workers,
    /// Redis is killed
    Redis,
    /// One api replica is killed
    Replica,
    /// A target answers garbage
    Garbage,
    /// The newest event of the audit log is cut off
    Audit,
    /// One agent is stopped
    Agent,
    /// Postgres is stopped
    Postgres,
}

/// What Alertmanager must send, and what it may send besides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// The alert.
    pub(super) alert: &'static str,
    /// A label that it must have.
    pub(super) label: (&'static str, &'static str),
    /// Alerts that the same fault brings, sooner or later.
    pub(super) besides: &'static [&'static str],
}

impl FaultKind {
    /// In the order in which they are tried. Postgres is last: after it the error budget burns for a while.
    pub(super) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What is done, for people.
    pub(super) fn words(self) -> String {
        let value = self.to_possible_value();
        let help = value.as_ref().and_then(|value| value.get_help());
        help.map(ToString::to_string).unwrap_or_default()
    }

    pub(super) const fn expected(self) -> Expected {
        let (alert, label) = match self {
            Self::Certificate => ("CertificateExpires", ("domain", "localhost")),
            Self::Disk => ("DiskAlmostFull", ("host", MACHINE)),
            Self::Backup => ("BackupLate", ("kind", "dump")),
            Self::Rollout => ("RolloutWaiting", ("environment", super::CAREFUL)),
            Self::Workers => ("ServiceDown", ("service", "worker")),
            Self::Redis => ("RedisDown", ("host", MACHINE)),
            Self::Replica => ("ProcessDown", ("unit", "slipway-api-1")),
            Self::Garbage => ("TargetDown", ("job", super::ANSWERS)),
            Self::Audit => ("AuditChainBroken", ("stack", STACK)),
            Self::Agent => ("AgentSilent", ("environment", ENVIRONMENT)),
            Self::Postgres => ("PostgresDown", ("host", MACHINE)),
        };
        let besides: &[&str] = match self {
            // Its metrics are gone with it.
            Self::Agent => &["TargetDown"],
            // The exporter of `./dev` names no stack, by which a host tells that the server itself is down.
            Self::Redis => &["CacheUnreachable"],
            // Requests of agents and people fail meanwhile, or wait for a connection.
            Self::Postgres => &["ErrorsBurnFast", "LatencyBurnsFast", "PoolExhausted"],
            _ => &[],
        };
        Expected {
            alert,
            label,
            besides,
        }
    }
}
