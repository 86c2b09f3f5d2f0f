//! The real thing: Nix and systemd, or Nix and processes.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use slipway_domain::drift::Override;
use slipway_domain::{AttemptId, StorePath};
use slipway_process::boot_id;

use crate::boot;
use crate::checks::{self, CheckFinding, CheckRound, ManifestError};
use crate::config::HostConfig;
use crate::door::{self, Refusal, Runnable};
use crate::hooks::{self, HookManifest};
use crate::job::{Job, JobExit, JobId, JobKind, JobState};
use crate::manifests::{self, AdmittedRelease, ReleaseClaim, ReleaseRefusal};
use crate::nix::{self, CollectError, GcRoots, GenerationAge, ProfileError, StageError};
use crate::operations::{HostOperations, MachineObservation};
use crate::overrides;
use crate::plan::{self, Compared, ComputedPlan, PlanError};
use crate::runner::{JobRunner, RunnerError};
use crate::switch_limit;

/// This machine.
#[derive(Debug, Clone)]
pub struct Machine {
    config: HostConfig,
    roots: GcRoots,
    runner: JobRunner,
}

impl Machine {
    /// The machine as the settings describe it. Makes the state folder.
    pub fn new(config: HostConfig) -> io::Result<Self> {
        Ok(Self {
            roots: GcRoots::new(&config),
            runner: JobRunner::new(config.clone())?,
            config,
        })
    }

    /// What somebody changed beside the system that runs: the boot loader's choice, and units. Nothing if no system is seen.
    ///
    /// What the attempt under way itself put there is left out.
    #[must_use]
    pub fn overrides(
        &self,
        seen: &MachineObservation,
        under_way: Option<AttemptId>,
    ) -> Option<Vec<Override>> {
        let live = seen.live.as_ref()?;
        let boots = seen.boot_default.as_ref();
        let mut found = boots.map_or_else(Vec::new, |profile| {
            boot::differences(&self.config, profile, under_way)
        });
        found.extend(overrides::find(&self.config, live, under_way));
        Some(found)
    }

    /// What of the live system runs only after a reboot.
    #[must_use]
    pub fn pending_reboot(&self) -> Vec<String> {
        match self.observe() {
            MachineObservation {
                live: Some(live),
                booted: Some(booted),
                ..
            } if live != booted => {
                let compared = Compared {
                    live: booted.clone(),
                    booted: Some(booted),
                };
                plan::reboot_needs(&compared, &live)
            }
            _ => Vec::new(),
        }
    }

    /// Removes earlier generations and whatever no root leads to. Gives Nix's own words on how much.
    pub async fn collect_garbage(&self, age: GenerationAge) -> Result<String, CollectError> {
        nix::collect(&self.config, age).await
    }

    /// How much of the store's disk is free, in percent.
    pub fn free_percent(&self) -> io::Result<f64> {
        nix::free_percent(Path::new(&self.config.store_dir.to_string()))
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &HostConfig {
        &self.config
    }
}

impl HostOperations for Machine {
    fn observe(&self) -> MachineObservation {
        let mut troubles = Vec::new();
        let mut resolve = |link: &Path| {
            nix::resolve(&self.config, link).unwrap_or_else(|error| {
                troubles.push(format!("{}: {error}", link.display()));
                None
            })
        };
        let live = resolve(&self.config.live_link);
        let boot_default = resolve(&self.config.profile);
        let booted = nix::resolve(&self.config, &self.config.booted_link());
        MachineObservation {
            live,
            boot_default,
            booted: booted.ok().flatten(),
            boot_id: boot_id(),
            trouble: (!troubles.is_empty()).then(|| troubles.join("; ")),
        }
    }

    async fn fetch(
        &self,
        attempt: AttemptId,
        closure: &StorePath,
        bound: Duration,
    ) -> Result<(), StageError> {
        self.config.store_dir.check(closure.clone())?;
        let root = self.roots.add(attempt, closure);
        let root = root.map_err(|source| StageError::Root {
            closure: closure.clone(),
            source,
        })?;
        nix::realise(&self.config, closure, &root, bound).await
    }

    fn takes_only_signed(&self) -> bool {
        self.config.trust.is_some()
    }

    fn check_keeps_keys(&self, closure: &StorePath) -> Result<(), ReleaseRefusal> {
        manifests::check_keeps_keys(&self.config, closure)
    }

    fn check_named(&self, closure: &StorePath, claim: &ReleaseClaim) -> Result<(), ReleaseRefusal> {
        manifests::check_named(&self.config, closure, claim)
    }

    async fn admit_release(
        &self,
        closure: &StorePath,
        claim: &ReleaseClaim,
        within: Duration,
    ) -> Result<AdmittedRelease, StageError> {
        self.config.store_dir.check(closure.clone())?;
        let signed = nix::check_signed(&self.config, closure, within).await?;
        let named = manifests::check(&self.config, closure, claim)?;
        let runnable = door::admit_signed(&self.config, closure, signed, &named)?;
        checks::load(&runnable)?;
        door::check_inside(&self.config, &closure.as_path().join(checks::FILE))?;
        switch_limit::load(closure)?;
        self.hooks(closure)?;
        Ok(AdmittedRelease {
            runnable,
            signed: named.signed(),
        })
    }

    async fn admit_known(&self, path: &StorePath, recorded: bool) -> Result<Runnable, Refusal> {
        door::admit_known(&self.config, path, recorded).await
    }

    async fn plan(&self, closure: &StorePath, within: Duration) -> Result<ComputedPlan, PlanError> {
        let MachineObservation { live, booted, .. } = self.observe();
        let live = live.ok_or(PlanError::NoLive)?;
        plan::compute(&self.config, Compared { live, booted }, closure, within).await
    }

    fn reboot_needs(&self, closure: &StorePath) -> Vec<String> {
        let MachineObservation { live, booted, .. } = self.observe();
        live.map_or_else(Vec::new, |live| {
            plan::reboot_needs(&Compared { live, booted }, closure)
        })
    }

    async fn boot_obstacle(&self, closure: &StorePath) -> Option<String> {
        let boots_anyway = self.observe().boot_default.as_ref() == Some(closure);
        boot::obstacle(&self.config, boots_anyway).await
    }

    async fn reboot(&self) -> Result<(), RunnerError> {
        self.runner.reboot().await
    }

    fn switch_seconds(&self, closure: &StorePath) -> Option<u32> {
        // Of the release it is known to be readable; of a prior that is not, the strategy's own bound is left.
        switch_limit::load(closure).unwrap_or_else(|error| {
            tracing::warn!(%closure, %error, "the closure's own bound is not known");
            None
        })
    }

    fn hooks(&self, closure: &StorePath) -> Result<HookManifest, ManifestError> {
        let found = hooks::load(closure)?;
        if found != HookManifest::default() {
            let file = closure.as_path().join(hooks::FILE);
            door::check_inside(&self.config, &file).map_err(|unfit| ManifestError::Malformed {
                file: file.display().to_string(),
                problem: unfit.to_string(),
            })?;
        }
        Ok(found)
    }

    fn protect_prior(&self, attempt: AttemptId, prior: &StorePath) -> io::Result<()> {
        self.roots.add_prior(attempt, prior)
    }

    fn release_closure(&self, attempt: AttemptId) {
        self.roots.drop_closure(attempt);
    }

    async fn arm(&self, attempt: AttemptId, prior: &Runnable, seconds: u32) -> Result<(), RunnerError> {
        self.runner.arm(attempt, prior, seconds).await
    }

    async fn disarm(&self, attempt: AttemptId) {
        self.runner.disarm(attempt).await;
    }

    async fn start(&self, job: &Job) -> Result<(), RunnerError> {
        self.runner.start(job).await
    }

    async fn run_attached(&self, job: &Job) -> JobExit {
        self.runner.run_attached(job).await
    }

    fn job_state(&self, id: JobId) -> JobState {
        self.runner.jobs().state(&id.to_string())
    }

    fn newest_job(&self, kind: JobKind, attempt: AttemptId) -> Option<JobId> {
        self.runner.jobs().newest(kind, attempt)
    }

    async fn stop(&self, id: JobId) {
        self.runner.stop(id).await;
    }

    async fn set_profile(&self, closure: &Runnable) -> Result<(), ProfileError> {
        // Two entries for one closure would leave it to the boot loader's installer which one is the default.
        boot::drop_profile(&self.config);
        nix::set_profile(&self.config, &self.config.profile, closure).await
    }

    async fn round(&self, closure: &Runnable) -> CheckRound {
        match checks::load(closure) {
            Ok(manifest) => checks::round(&self.config, &manifest).await,
            // It was readable when it was staged, and the store does not change, so this is our own error.
            Err(error) => CheckRound::of([("all".to_owned(), CheckFinding::unknown(error.to_string()))]),
        }
    }

    async fn failed_units(&self) -> Option<BTreeSet<String>> {
        checks::failed_units(&self.config).await
    }

    fn tidy(&self, closures: &BTreeSet<StorePath>, attempts: &BTreeSet<AttemptId>) {
        if let Err(error) = self.roots.keep_only(closures) {
            tracing::warn!(%error, dir = %self.config.gcroots_dir.display(), "old garbage collector roots stay");
        }
        self.runner.jobs().tidy(attempts);
    }
}
