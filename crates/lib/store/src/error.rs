//! Errors in terms of the caller and not of SQL.

mod database;
mod none_yet;

use slipway_domain::digest::Digest;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{
    DeliveryId, DeliveryState, DestinationName, EnvironmentName, HostName, PrincipalName, ReleaseId,
    RolloutId, RolloutState, StorePath, Timestamp,
};

pub(crate) use database::OnConstraint;
pub use none_yet::NoneYet;

/// Why a call to the store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// What was asked for is not there.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// The kind of thing, such as `host`.
        what: &'static str,
        /// The name or id that was given.
        name: String,
    },
    /// Several begin like that.
    #[error("several {what}s begin with `{beginning}`; give more of the id, or a number")]
    Ambiguous {
        /// The kind of thing.
        what: &'static str,
        /// What was given.
        beginning: String,
        /// Some of them, in words.
        candidates: Vec<String>,
    },
    /// `latest` or `previous` means nothing yet.
    #[error(transparent)]
    NoneYet(#[from] NoneYet),
    /// Only an environment has run a release before the present one.
    #[error("`previous` needs an environment, such as previous@prod")]
    NoEnvironment,
    /// A release has no manifest that anybody signed.
    #[error("the release {release} was registered without a signature; docs/trust.md says how to sign one")]
    Unsigned {
        /// The release in words.
        release: String,
    },
    /// A name is in use already; also by a host that was retired.
    #[error("the {what} name `{name}` is taken; choose another")]
    NameTaken {
        /// The kind of thing.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The name is that of a host that was retired.
    #[error(
        "the host name `{host}` is that of a host that was retired on {}; take it back with `slipway host restore {host}`, \
         or choose another name",
        .retired_at.format("%Y-%m-%d")
    )]
    NameOfRetired {
        /// The name.
        host: HostName,
        /// Since when.
        retired_at: Timestamp,
    },
    /// The host was retired.
    #[error("host `{host}` is retired; take it back with `slipway host restore {host}`")]
    Retired {
        /// The host.
        host: HostName,
    },
    /// The host was not retired, so it cannot be taken back.
    #[error("host `{host}` is not retired; a new token for it is made by `slipway host token {host}`")]
    NotRetired {
        /// The host.
        host: HostName,
    },
    /// The environment cannot go while it has hosts.
    #[error(
        "environment `{environment}` has {hosts} hosts; move them (`slipway host move`) or retire them first"
    )]
    EnvironmentInUse {
        /// The environment.
        environment: EnvironmentName,
        /// How many.
        hosts: i64,
    },
    /// The draft has another number of hosts than the seal says.
    #[error(
        "the draft {draft} holds {found} hosts and was to be sealed with {expected}; send the missing pages again"
    )]
    DraftIncomplete {
        /// The draft.
        draft: ReleaseId,
        /// How many it holds.
        found: i64,
        /// How many it should hold.
        expected: i64,
    },
    /// A release of this id is there already.
    #[error("the release {id} is registered already; `slipway release show {id}` shows it")]
    ReleaseExists {
        /// The release.
        id: ReleaseId,
    },
    /// Another manifest of the environment has the number.
    #[error(
        "environment `{environment}` has a manifest with the number {number} already; make the manifest with another number and \
         sign that"
    )]
    NumberUsed {
        /// The environment.
        environment: EnvironmentName,
        /// The number.
        number: i64,
    },
    /// A host of the environment has committed a higher number, and would refuse the manifest.
    #[error(
        "the manifest has the number {number}, and hosts of environment `{environment}` have committed the number {last}; make \
         the manifest with a higher number and sign that"
    )]
    NumberPassed {
        /// The environment.
        environment: EnvironmentName,
        /// The manifest's number.
        number: i64,
        /// The highest that a host has committed.
        last: i64,
    },
    /// The release was signed for another environment.
    #[error(
        "the release #{number} was signed for the environment `{environment}`; roll it out there, or sign one for here"
    )]
    OtherEnvironment {
        /// The release's number.
        number: u64,
        /// Its environment.
        environment: EnvironmentName,
    },
    /// The release's manifest has expired.
    #[error(
        "the manifest of release #{number} expired at {expires}; sign its closures anew, under a new number"
    )]
    ReleaseExpired {
        /// The release's number.
        number: u64,
        /// When.
        expires: Timestamp,
    },
    /// Hosts that do not exist, were retired, or do not belong there.
    #[error("{problem}: {}", join(.names))]
    UnknownHosts {
        /// What is wrong with them.
        problem: String,
        /// All of them.
        names: Vec<HostName>,
    },
    /// No more freezes fit.
    #[error(
        "environment `{environment}` has {} freezes that are not over, and may have no more; end some: slipway env thaw FREEZE",
        slipway_domain::calendar::MAX_FREEZES
    )]
    TooManyFreezes {
        /// The environment.
        environment: EnvironmentName,
    },
    /// Labels are no longer those that the waves were planned with.
    #[error("the labels of {} were changed just now, and with them their group; start the rollout again", join(.names))]
    LabelsChanged {
        /// The hosts.
        names: Vec<HostName>,
    },
    /// A host would have more labels than may be.
    #[error(
        "host `{host}` would have {count} labels; use at most {}, and take others away: slipway host label {host} NAME-",
        slipway_domain::labels::MAX_LABELS
    )]
    TooManyLabels {
        /// The host.
        host: HostName,
        /// How many.
        count: usize,
    },
    /// A rollout would touch no host at all.
    #[error("the release has no closure for any host of environment `{environment}`")]
    NoHosts {
        /// The environment.
        environment: EnvironmentName,
    },
    /// The environment has an open rollout.
    #[error("environment `{environment}` has an open rollout, #{number}: wait until it is over, or abort it")]
    EnvironmentBusy {
        /// The environment.
        environment: EnvironmentName,
        /// Its open rollout's number.
        number: u64,
    },
    /// The host is part of an open rollout.
    #[error("host `{host}` is part of the open rollout #{number}: wait until it is over, or abort it")]
    HostBusy {
        /// The host.
        host: HostName,
        /// The rollout's number.
        number: u64,
    },
    /// An attempt changes the host, or nothing was ever seen of it.
    #[error(
        "host `{host}` has an attempt under way, or has never reported: what runs there can be accepted once it is over; \
         `slipway host show {host}` says where it stands"
    )]
    HostChanging {
        /// The host.
        host: HostName,
    },
    /// There is nothing to accept.
    #[error("host `{host}` does not drift: it is as Slipway left it, so there is nothing to accept")]
    NoDrift {
        /// The host.
        host: HostName,
    },
    /// Something else drifts than the caller saw.
    #[error(
        "host `{host}` has changed since you looked: look again with `slipway host show {host}`, and accept what you see then"
    )]
    DriftMoved {
        /// The host.
        host: HostName,
    },
    /// No release names what runs, or none that is signed.
    #[error(
        "{path} is named for host `{host}` by no {}: {}, or roll the environment's release out again",
        if *.signed { "signed release that a host of its environment has committed, so nobody knows whose signature it is" }
        else { "release, so nobody could bring it back" },
        if *.signed { "sign a release of it and roll that out" } else { "make a release of it first" }
    )]
    NotReleased {
        /// The host.
        host: HostName,
        /// What runs, or what the profile names.
        path: StorePath,
        /// Whether only a signature is missing.
        signed: bool,
    },
    /// There are more closures in use than one answer holds.
    #[error(
        "more than {most} closures are in use, and a part of them would cost hosts their way back: ask with fewer releases \
         (`last`) or days (`days`), keep fewer releases, or retire hosts that are gone"
    )]
    TooManyRoots {
        /// The most.
        most: u32,
    },
    /// The text of a document is not what was attached.
    #[error("{0}")]
    DocumentChanged(String),
    /// A release would be kept until a time that is over.
    #[error(
        "{} is over by the control plane's clock, which says {}; give a later time, or none to keep the release for ever",
        .until.format("%Y-%m-%d %H:%M:%S UTC"), .now.format("%Y-%m-%d %H:%M:%S UTC")
    )]
    KeptUntilPast {
        /// The time that was given.
        until: Timestamp,
        /// The control plane's time.
        now: Timestamp,
    },
    /// The rollout's state does not allow the command.
    #[error("a rollout that is {state} cannot take `{}`", .kind.as_str())]
    CommandRefused {
        /// The command.
        kind: CommandKind,
        /// Where the rollout stands.
        state: RolloutState,
    },
    /// The approval is for another plan than the rollout has.
    #[error("{}", slipway_domain::decide::plan_moved(.approved, .now))]
    PlanMoved {
        /// What was approved.
        approved: Digest,
        /// What it is.
        now: Digest,
    },
    /// The approval comes before the plan is known.
    #[error("{}", slipway_domain::decide::plan_unknown(.host.as_str()))]
    PlanUnknown {
        /// The first host without one.
        host: HostName,
    },
    /// Somebody tried to approve their own rollout.
    #[error("whoever started a rollout cannot approve it; ask somebody else")]
    SelfApproval,
    /// Author and approver are related principals.
    #[error(
        "`{approver}` cannot approve what `{author}` started: one of them made the other, or a token of it, so both may be \
         one person. Ask somebody else, or let an admin permit it: slipway env set {environment} \
         --related-approval-allowed true"
    )]
    RelatedApproval {
        /// Who started the rollout.
        author: PrincipalName,
        /// Who would approve it.
        approver: PrincipalName,
        /// Where.
        environment: EnvironmentName,
    },
    /// The token that is asked for could do more than the one that asks.
    #[error(transparent)]
    TokenWider(slipway_domain::rights::Wider),
    /// The parent token was revoked or has expired meanwhile.
    #[error("the token that asks for another is no longer good")]
    TokenEnded,
    /// This very sign-in made a session before.
    #[error("this sign-in was used before; begin another")]
    SignInUsed,
    /// No more destinations fit.
    #[error(
        "there are {most} destinations, and there may be no more; delete one: slipway destination delete NAME"
    )]
    TooManyDestinations {
        /// How many there may be.
        most: i64,
    },
    /// A disabled destination gets nothing.
    #[error("destination `{name}` is disabled; enable it: slipway destination set {name} --enabled true")]
    DestinationDisabled {
        /// Its name.
        name: DestinationName,
    },
    /// Only what is dead is replayed.
    #[error("the delivery {id} is {state}, and only a dead one is sent again")]
    NotDead {
        /// The delivery.
        id: DeliveryId,
        /// How far it is.
        state: DeliveryState,
    },
    /// The caller no longer has the right.
    #[error("`{name}` was disabled meanwhile")]
    ActorDisabled {
        /// Who.
        name: PrincipalName,
    },
    /// The observation is not newer than the last one of the host.
    #[error(
        "this observation of host `{host}` is older than what is known of it, so it was not kept; an agent has nothing to \
         do about one that was only late. If it goes on, the machine was put back to a snapshot with its memory: reboot it"
    )]
    OldObservation {
        /// The host.
        host: HostName,
    },
    /// Another machine has reported for the host since this boot was replaced.
    #[error("host `{host}`: {}", slipway_domain::lives::Doubt::TwoLives.words())]
    TwoLives {
        /// The host.
        host: HostName,
    },
    /// The lease is somebody else's by now, or the states are no longer those the changes start from.
    /// Nothing was written: load the snapshot again.
    #[error("the lease on rollout {rollout} is stale: {detail}")]
    StaleLease {
        /// The rollout.
        rollout: RolloutId,
        /// What is no longer so.
        detail: String,
    },
    /// A change that the state machines do not allow. Nothing was written.
    #[error("not an allowed change: {0}")]
    IllegalChange(String),
    /// A row differs from the decision in the audit log, or the log cannot be trusted.
    #[error("{0}: somebody changed the database by hand; `slipway audit verify` says more")]
    Tampered(String),
    /// Some other rule of the database was broken.
    #[error("the database refused it: {constraint}")]
    Conflict {
        /// The rule's name.
        constraint: String,
        /// The database's own words.
        #[source]
        source: sqlx::Error,
    },
    /// Text that the database cannot hold.
    #[error("a text holds a NUL character, which cannot be stored; leave it out")]
    Unstorable(#[source] sqlx::Error),
    /// Postgres cannot be reached, is restarting, or is too busy. Nothing is known to be wrong with the request:
    /// try it again. Whether an interrupted write took place is not known.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The server answers but refuses the login. Somebody may be setting it up: try again.
    #[error("the database refuses the login: {cure}")]
    LoginRefused {
        /// What is wrong, and what to do about it.
        cure: &'static str,
        /// The database's own words.
        #[source]
        source: sqlx::Error,
    },
    /// The role of the processes cannot be given its rights.
    #[error("the role `{role}` {problem}")]
    Role {
        /// The role.
        role: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// Migrations could not be applied.
    #[error("the migrations could not be applied: {problem}")]
    Migrate {
        /// What to do about it.
        problem: String,
        /// The cause.
        #[source]
        source: Box<sqlx::migrate::MigrateError>,
    },
    /// Other transactions or another migrator held the migrations' locks for the whole wait.
    #[error(
        "the migrations could not be applied: for {seconds} s another transaction held a table that they change, or \
         another migrator was at work. Find it with `SELECT pid, application_name, xact_start, query FROM \
         pg_stat_activity ORDER BY xact_start`, wait until it is over or end it, and run the migrations again; what was \
         applied stays"
    )]
    LocksHeld {
        /// For how long.
        seconds: u64,
        /// The last try.
        #[source]
        source: Box<StoreError>,
    },
    /// The database holds something that this program did not write.
    #[error("the database holds a {what} that cannot be read: {detail}")]
    Corrupt {
        /// What it should have been.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// Anything else: a fault of this program or of the schema.
    #[error("a query failed")]
    Query(#[source] sqlx::Error),
}

fn join(names: &[HostName]) -> String {
    names.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
}

impl StoreError {
    pub(crate) fn not_found(what: &'static str, name: &impl ToString) -> Self {
        Self::NotFound {
            what,
            name: name.to_string(),
        }
    }

    /// Whether trying again later may help.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::LoginRefused { .. })
    }
}
