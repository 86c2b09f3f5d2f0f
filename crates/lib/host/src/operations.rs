//! Everything that the executor asks of a machine.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::time::Duration;

use slipway_domain::{AttemptId, StorePath};

use crate::checks::{CheckRound, ManifestError};
use crate::door::{Refusal, Runnable};
use crate::hooks::HookManifest;
use crate::job::{Job, JobExit, JobId, JobKind, JobState};
use crate::manifests::{AdmittedRelease, ReleaseClaim, ReleaseRefusal};
use crate::nix::{ProfileError, StageError};
use crate::plan::{ComputedPlan, PlanError};
use crate::runner::RunnerError;

/// A machine at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineObservation {
    /// What runs.
    pub live: Option<StorePath>,
    /// What the next boot would run: what the profile names.
    pub boot_default: Option<StorePath>,
    /// What this boot began with, where the machine says so.
    pub booted: Option<StorePath>,
    /// Changes with every boot.
    pub boot_id: String,
    /// What could not be seen, and why.
    pub trouble: Option<String>,
}

impl MachineObservation {
    /// Whether this closure runs.
    #[must_use]
    pub fn runs(&self, closure: &StorePath) -> bool {
        self.live.as_ref() == Some(closure)
    }

    /// What runs, for people.
    #[must_use]
    pub fn live_text(&self) -> String {
        self.live
            .as_ref()
            .map_or_else(|| "nothing".to_owned(), ToString::to_string)
    }
}

/// A machine, in the small steps of which a rollout is made.
///
/// Jobs outlive whoever started them; everything else dies with the agent.
pub trait HostOperations: Send + Sync + 'static {
    /// Looks at the machine.
    fn observe(&self) -> MachineObservation;

    /// Protects the closure from the garbage collector under the attempt's name and fetches it.
    fn fetch(
        &self,
        attempt: AttemptId,
        closure: &StorePath,
        bound: Duration,
    ) -> impl Future<Output = Result<(), StageError>> + Send;

    /// Whether this host has release keys, so that the control plane's word alone brings no release here.
    fn takes_only_signed(&self) -> bool;

    /// Whether a system that ran here would ask for signatures of the same keys, or of fewer. `Err` says why not.
    fn check_keeps_keys(&self, closure: &StorePath) -> Result<(), ReleaseRefusal>;

    /// Whether a signed manifest names the closure for this host, as far as that is known before the closure is here.
    fn check_named(&self, closure: &StorePath, claim: &ReleaseClaim) -> Result<(), ReleaseRefusal>;

    /// The door for releases: keys that this host trusts signed the whole closure, and it can be switched to and checked.
    /// With release keys, a signed manifest also names it for this host.
    fn admit_release(
        &self,
        closure: &StorePath,
        claim: &ReleaseClaim,
        bound: Duration,
    ) -> impl Future<Output = Result<AdmittedRelease, StageError>> + Send;

    /// The door for what this host knows by itself: what runs, booted or would boot, and the generations of its profile.
    /// What its journal `recorded` passes too.
    fn admit_known(
        &self,
        path: &StorePath,
        recorded: bool,
    ) -> impl Future<Output = Result<Runnable, Refusal>> + Send;

    /// What a switch from what runs to the closure would change. Nothing is touched.
    fn plan(
        &self,
        closure: &StorePath,
        within: Duration,
    ) -> impl Future<Output = Result<ComputedPlan, PlanError>> + Send;

    /// What of the closure runs here only after a reboot, or cannot be switched to without one.
    fn reboot_needs(&self, closure: &StorePath) -> Vec<String>;

    /// Why this machine cannot boot the closure once, and what to do about it; `None` where it can. The closure that boots
    /// anyway needs nothing of the boot loader.
    fn boot_obstacle(&self, closure: &StorePath) -> impl Future<Output = Option<String>> + Send;

    /// Has the machine boot again. It goes down some time after this returns.
    fn reboot(&self) -> impl Future<Output = Result<(), RunnerError>> + Send;

    /// The closure's own limit for a switch to it; `None` if it has none.
    fn switch_seconds(&self, closure: &StorePath) -> Option<u32>;

    /// The closure's hooks. Those of a release are known to be readable; those of an older prior may not be.
    fn hooks(&self, closure: &StorePath) -> Result<HookManifest, ManifestError>;

    /// Protects the attempt's prior.
    fn protect_prior(&self, attempt: AttemptId, prior: &StorePath) -> io::Result<()>;

    /// Protects the attempt's closure no more.
    fn release_closure(&self, attempt: AttemptId);

    /// Sets the dead-man going; it certainly runs when this returns.
    fn arm(
        &self,
        attempt: AttemptId,
        prior: &Runnable,
        seconds: u32,
    ) -> impl Future<Output = Result<(), RunnerError>> + Send;

    /// Ends the dead-man's timer.
    fn disarm(&self, attempt: AttemptId) -> impl Future<Output = ()> + Send;

    /// Starts a job; it certainly runs, or is over, when this returns.
    fn start(&self, job: &Job) -> impl Future<Output = Result<(), RunnerError>> + Send;

    /// Runs a job's script directly, if it cannot run as a job: it dies with the agent.
    fn run_attached(&self, job: &Job) -> impl Future<Output = JobExit> + Send;

    /// How a job stands.
    fn job_state(&self, id: JobId) -> JobState;

    /// The newest job of a kind for an attempt.
    fn newest_job(&self, kind: JobKind, attempt: AttemptId) -> Option<JobId>;

    /// Ends a job with everything in it; nothing runs under its name from then on.
    fn stop(&self, id: JobId) -> impl Future<Output = ()> + Send;

    /// Makes the closure what the profile names.
    fn set_profile(&self, closure: &Runnable) -> impl Future<Output = Result<(), ProfileError>> + Send;

    /// Carries out all the closure's checks once.
    fn round(&self, closure: &Runnable) -> impl Future<Output = CheckRound> + Send;

    /// The units that have failed or fail again and again; `None` if unknown.
    fn failed_units(&self) -> impl Future<Output = Option<BTreeSet<String>>> + Send;

    /// Protects these closures and no others, and forgets the jobs of all attempts but these.
    fn tidy(&self, closures: &BTreeSet<StorePath>, attempts: &BTreeSet<AttemptId>);
}
