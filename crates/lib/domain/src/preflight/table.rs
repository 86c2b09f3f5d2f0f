//! The checks by name. docs/preflight.md shows this table; a test compares them.

use super::subject::{HostSubject, Subject};
use super::{Judgement, host, machine, plane};

/// A check.
#[derive(Debug)]
pub struct CheckInfo {
    /// Its name.
    pub name: &'static str,
    /// What it looks at.
    pub scope: Scope,
    /// What must hold, for people.
    pub asks: &'static str,
    /// When it blocks; empty when it only warns.
    pub blocks: &'static str,
    /// Whether a rollout runs it before its first activation.
    pub in_rollouts: bool,
    pub(super) judge: Judge,
}

/// What a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The release.
    Release,
    /// The environment with its strategy.
    Environment,
    /// The control plane.
    Plane,
    /// Each host.
    Host,
}

impl Scope {
    /// As people read it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Environment => "environment",
            Self::Plane => "control plane",
            Self::Host => "host",
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Judge {
    Once(fn(&Subject) -> Judgement),
    EachHost(fn(&Subject, &HostSubject) -> Judgement),
    /// `None` where it does not concern the host.
    SomeHosts(fn(&Subject, &HostSubject) -> Option<Judgement>),
}

/// Whether a check has this name.
#[must_use]
pub fn is_check(name: &str) -> bool {
    CHECKS.iter().any(|check| check.name == name)
}

const NEVER: &str = "";

macro_rules! checks {
    ($($scope:ident $form:ident $name:literal $judge:path, $asks:literal, $blocks:expr, $rollouts:literal;)+) => {
        /// Every check, in the order in which findings are shown.
        pub const CHECKS: &[CheckInfo] = &[$(CheckInfo {
            name: $name,
            scope: Scope::$scope,
            asks: $asks,
            blocks: $blocks,
            in_rollouts: $rollouts,
            judge: Judge::$form($judge),
        }),+];
    };
}

checks! {
    Release Once "release-hosts" plane::release_hosts, "the release has a closure for every host", "it has one for no host", false;
    Release Once "release-expiry" plane::release_expiry, "the manifest is good for another hour", "it has expired", true;
    Release Once "release-number" plane::release_number, "the manifest's number is not below a committed one", "it is", true;
    Release Once "plan-size" plane::plan_size, "at most 2,000 changes a host", NEVER, false;
    Release Once "stack-migrations" plane::stack_migrations, "the release brings no migrations", NEVER, false;
    Release Once "reboot" plane::reboot, "no host needs a reboot", NEVER, false;
    Environment Once "open-rollout" plane::open_rollout, "no other rollout is under way", "one is", false;
    Environment Once "window" plane::window, "a rollout may begin now", NEVER, false;
    Environment Once "approvers" plane::approvers, "somebody else can approve", "an approval is asked for and nobody can", false;
    Environment Once "order-labels" plane::order_labels, "every group of `order` has hosts", NEVER, false;
    Environment Once "canary-hosts" plane::canary_hosts, "the canaries that the strategy names are there", "one is not", false;
    Environment Once "out-of-service" plane::out_of_service, "earlier rollouts left fewer hosts out than `max_unavailable`", "they left as many or more", false;
    Plane Once "workers" plane::workers, "a worker was seen lately", "none was", false;
    Plane Once "audit-log" plane::audit_log, "the log is whole", "it is not", false;
    Plane Once "schema" plane::schema, "the control plane's own migrations have run", NEVER, false;
    Host EachHost "agent-seen" host::agent_seen, "the agent was heard of lately", "it was not, and `offline` is not `skip`", false;
    Host SomeHosts "agent-version" host::agent_version, "the agent is of the control plane's version", NEVER, false;
    Host EachHost "one-machine" host::one_machine, "one machine speaks for the host", "it is in doubt", false;
    Host EachHost "facts" host::facts, "the agent sends facts, and they are new", NEVER, false;
    Host EachHost "clock" host::clock, "at most 5 s off", "120 s off or more", true;
    Host EachHost "time-sync" machine::time_sync, "a time service keeps the clock right", NEVER, false;
    Host EachHost "open-attempt" host::open_attempt, "no earlier attempt is unsettled", "one is", false;
    // Not run by rollouts: a damaged journal is told of until the next commit, so a rollout is its cure.
    Host EachHost "journal" host::journal, "the agent's journal is whole", "it is damaged", false;
    Host SomeHosts "drift" host::drift, "the host is as Slipway left it", NEVER, false;
    Host SomeHosts "boot-default" host::boot_default, "the next boot brings what runs", NEVER, false;
    Host EachHost "release-trusted" host::release_trusted, "a signature of the release names a key that the host trusts", "none does", true;
    Host SomeHosts "architecture" host::architecture, "the closure is of the host's kind of machine", "it is of another", true;
    Host EachHost "cache" host::cache, "a cache of the host answers", "none does", true;
    Host EachHost "cache-paths" host::cache_paths, "the caches have every missing path", "they lack one", true;
    Host EachHost "nix" machine::nix, "Nix answers", "it does not", true;
    Host EachHost "store-space" host::store_space, "the store has room for the closure, and 10 % more", "it has no room for the closure and 256 MiB", true;
    Host EachHost "store-inodes" machine::store_inodes, "20,000 more files fit into the store", "fewer than 2,000 do", true;
    Host SomeHosts "boot-space" host::boot_space, "the boot partition has room for two kernels", "it has no room for one", true;
    Host EachHost "state-space" machine::state_space, "256 MiB for Nix's database and the agent's journal", "less than 32 MiB", true;
    Host EachHost "read-only" machine::read_only, "what a rollout writes to can be written", "it cannot", true;
    Host EachHost "memory" machine::memory, "256 MiB can be had", "less than 64 MiB, swap included", true;
    Host EachHost "pressure" machine::pressure, "programs seldom wait for memory, disks or processors", NEVER, false;
    Host EachHost "load" machine::load, "at most four programs a processor", NEVER, false;
    Host EachHost "systemd" machine::systemd, "systemd runs", "it stops or is in an emergency", true;
    Host EachHost "failed-units" machine::failed_units, "no unit has failed", NEVER, false;
    Host EachHost "generations" machine::generations, "at most 100 generations", NEVER, false;
    Host EachHost "host-keys" machine::host_keys, "only root can read the host's SSH keys", NEVER, false;
    Host EachHost "certificates" machine::certificates, "every certificate is good for 14 days", NEVER, false;
    Host EachHost "backups" machine::backups, "the backups are neither late nor failed", "the release brings migrations and they are not", true;
    Host EachHost "drill" machine::drill, "a restore was drilled, in time", NEVER, false;
    Host EachHost "database-quorum" machine::database_quorum, "every member of the databases' cluster runs, and one leads", "the switch of this host would leave no majority", true;
}
