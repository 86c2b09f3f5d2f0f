//! The real thing: Nix and systemd, or Nix and processes.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use slipway_domain::{AttemptId, StorePath};

use crate::boot_id::boot_id;
use crate::bound;
use crate::checks::{self, Finding, Round};
use crate::config::HostConfig;
use crate::host::{Host, Seen};
use crate::job::{Exit, Job, JobId, JobKind, JobState};
use crate::nix::{self, ProfileError, Roots, StageError};
use crate::runner::{Runner, RunnerError};

/// This machine.
#[derive(Debug, Clone)]
pub struct Machine {
    config: HostConfig,
    roots: Roots,
    runner: Runner,
}

impl Machine {
    /// The machine as the settings describe it. Makes the state folder.
    pub fn new(config: HostConfig) -> io::Result<Self> {
        Ok(Self {
            roots: Roots::new(&config),
            runner: Runner::new(config.clone())?,
            config,
        })
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &HostConfig {
        &self.config
    }
}

impl Host for Machine {
    fn observe(&self) -> Seen {
        let mut troubles = Vec::new();
        let mut look = |link: &Path| {
            nix::resolve(&self.config, link).unwrap_or_else(|error| {
                troubles.push(format!("{}: {error}", link.display()));
                None
            })
        };
        let live = look(&self.config.live_link);
        let boot_default = look(&self.config.profile);
        let booted = nix::resolve(
            &self.config,
            &self.config.live_link.with_file_name("booted-system"),
        );
        Seen {
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
        self.roots
            .add(attempt, closure)
            .map_err(|source| StageError::Root {
                closure: closure.clone(),
                source,
            })?;
        nix::realise(&self.config, closure, bound).await
    }

    fn check_fit(&self, closure: &StorePath) -> Result<(), StageError> {
        self.check_switch(closure)?;
        checks::load(closure)?;
        bound::load(closure)?;
        Ok(())
    }

    fn switch_seconds(&self, closure: &StorePath) -> Option<u32> {
        // Of the release it is known to be readable; of a prior that is not, the strategy's own bound is left.
        bound::load(closure).unwrap_or_else(|error| {
            tracing::warn!(%closure, %error, "the closure's own bound is not known");
            None
        })
    }

    fn check_switch(&self, closure: &StorePath) -> Result<(), StageError> {
        let script = closure.as_path().join("bin/switch-to-configuration");
        let unfit = |problem: String| {
            Err(StageError::NoSwitchScript {
                file: script.display().to_string(),
                problem,
            })
        };
        match fs::metadata(&script) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => unfit("is missing".to_owned()),
            Err(error) => unfit(format!("cannot be looked at ({error})")),
            Ok(meta) if !meta.is_file() => unfit("is not a file".to_owned()),
            Ok(meta) if meta.permissions().mode() & 0o111 == 0 => unfit("is not executable".to_owned()),
            Ok(_) => Ok(()),
        }
    }

    fn protect_prior(&self, attempt: AttemptId, prior: &StorePath) -> io::Result<()> {
        self.roots.add_prior(attempt, prior)
    }

    fn release_closure(&self, attempt: AttemptId) {
        self.roots.drop_closure(attempt);
    }

    async fn arm(&self, attempt: AttemptId, prior: &StorePath, seconds: u32) -> Result<(), RunnerError> {
        self.runner.arm(attempt, prior, seconds).await
    }

    async fn disarm(&self, attempt: AttemptId) {
        self.runner.disarm(attempt).await;
    }

    async fn start(&self, job: &Job) -> Result<(), RunnerError> {
        self.runner.start(job).await
    }

    async fn run_attached(&self, job: &Job) -> Exit {
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

    async fn set_profile(&self, closure: &StorePath) -> Result<(), ProfileError> {
        nix::set_profile(&self.config, closure).await
    }

    async fn round(&self, closure: &StorePath) -> Round {
        match checks::load(closure) {
            Ok(manifest) => checks::round(&self.config, &manifest).await,
            // It could be read when it was staged, and the store does not change: the trouble is ours.
            Err(error) => Round::of([("all".to_owned(), Finding::unknown(error.to_string()))]),
        }
    }

    fn tidy(&self, closures: &BTreeSet<StorePath>, attempts: &BTreeSet<AttemptId>) {
        if let Err(error) = self.roots.keep_only(closures) {
            tracing::warn!(%error, dir = %self.config.gcroots_dir.display(), "old garbage collector roots stay");
        }
        self.runner.jobs().tidy(attempts);
    }
}
