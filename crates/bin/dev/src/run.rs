//! One run, from its first process to its last. However it ends, nothing of it stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::leftovers;
use crate::ports::Ports;
use crate::run_dir::{RunDir, remove_tree};
use crate::service_user::ServiceUser;
use crate::supervise::Supervisor;

/// How long each layer of processes may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(8);
/// How many folders of logs of failed runs are kept.
const KEPT_LOGS: usize = 3;

/// A run in progress. Closing it stops everything in order; dropping it without, as a panic or an error
/// does, kills everything at once. Either way its folder is removed.
#[derive(Debug)]
pub struct Run {
    /// The private folder.
    pub dir: Arc<RunDir>,
    /// The processes.
    pub supervisor: Supervisor,
    /// The ports.
    pub ports: Ports,
    /// The account for Postgres, Redis and nginx, when root started the run.
    pub user: Option<ServiceUser>,
    /// Variables for each api, worker and agent of the run, such as where their traces go.
    pub shared_env: Vec<(String, String)>,
    base: PathBuf,
    closed: bool,
}

impl Run {
    /// Starts a run below `base`.
    pub fn create(base: &Path) -> Result<Self> {
        let user = ServiceUser::when_root()?;
        let dir = Arc::new(RunDir::create(base, user.as_ref())?);
        let supervisor = Supervisor::new(Arc::clone(&dir));
        let base = base.to_owned();
        Ok(Self {
            dir,
            supervisor,
            ports: Ports::default(),
            user,
            shared_env: Vec::new(),
            base,
            closed: false,
        })
    }

    /// Stops all processes in order, then whatever they left, and removes the folder.
    pub async fn close(mut self) -> Result<()> {
        self.supervisor.stop_all(STOP).await;
        self.closed = true;
        leftovers::end_all(self.dir.id(), self.dir.path());
        remove_tree(self.dir.path())
    }

    /// Copies the logs that say anything out of the folder before it is removed; returns where they are now.
    #[must_use]
    pub fn keep_logs(&self) -> Option<PathBuf> {
        let kept = self.base.join(format!("logs-{}", self.dir.id()));
        let logs = fs::read_dir(self.dir.path().join("logs")).ok()?.flatten();
        for log in logs.filter(|log| log.metadata().is_ok_and(|meta| meta.len() > 0)) {
            fs::create_dir_all(&kept).ok()?;
            fs::copy(log.path(), kept.join(log.file_name())).ok()?;
        }
        forget_old_logs(&self.base);
        kept.exists().then_some(kept)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.closed {
            // An error or a panic may have left them in any state. The marker is on all of them, so there is no
            // need to know what was started.
            self.supervisor.ask_all();
            leftovers::end_all(self.dir.id(), self.dir.path());
            let _ = remove_tree(self.dir.path());
        }
    }
}

/// The folder of runs: below the checkout's target folder. If Postgres' account cannot reach it, or a Nix
/// store cannot have its path, a temporary folder.
#[must_use]
pub fn base_folder(target: &Path) -> PathBuf {
    let user = rustix::process::geteuid();
    if !plain(target) || (user.is_root() && !passable(target)) {
        return PathBuf::from(format!("/var/tmp/slipway-dev-{}", user.as_raw()));
    }
    target.join("slipway-dev")
}

fn plain(path: &Path) -> bool {
    path.to_str().is_some_and(|text| {
        text.len() < 100
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c))
    })
}

fn passable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.ancestors().all(|folder| {
        folder.as_os_str().is_empty()
            || fs::metadata(folder).map_or(true, |meta| meta.permissions().mode() & 0o001 != 0)
    })
}

fn forget_old_logs(base: &Path) {
    let mut kept: Vec<_> = fs::read_dir(base)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("logs-"))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    kept.sort();
    for (_, path) in kept.iter().rev().skip(KEPT_LOGS) {
        let _ = fs::remove_dir_all(path);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::spec::Spec;

    /// A temporary folder that the service user may pass through.
    pub(crate) fn passable_base() -> tempfile::TempDir {
        use std::os::unix::fs::PermissionsExt as _;
        tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o711))
            .tempdir()
            .unwrap()
    }

    #[test]
    fn a_folder_that_the_service_user_or_nix_cannot_use_is_not_the_base() {
        use std::os::unix::fs::PermissionsExt as _;
        let open = passable_base();
        assert_eq!(base_folder(open.path()), open.path().join("slipway-dev"));
        assert!(base_folder(&open.path().join("with space")).starts_with("/var/tmp"));
        if rustix::process::geteuid().is_root() {
            fs::set_permissions(open.path(), fs::Permissions::from_mode(0o700)).unwrap();
            assert!(base_folder(open.path()).starts_with("/var/tmp"));
        }
    }

    #[tokio::test]
    async fn closing_ends_also_what_a_process_detached() {
        let base = tempfile::tempdir().unwrap();
        let run = Run::create(base.path()).unwrap();
        let script = "setsid sleep 300 & exec sleep 300";
        run.supervisor
            .spawn(Spec::new("parent", "/bin/sh").args(["-c", script]))
            .unwrap();
        let (id, path) = (run.dir.id().to_owned(), run.dir.path().to_owned());
        while leftovers::find(&id, &path).len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        run.close().await.unwrap();
        assert_eq!(leftovers::find(&id, &path), []);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_panic_leaves_nothing_behind() {
        let base = tempfile::tempdir().unwrap();
        let run = Run::create(base.path()).unwrap();
        run.supervisor
            .spawn(Spec::new("sleep", "/bin/sleep").args(["300"]))
            .unwrap();
        let (id, path) = (run.dir.id().to_owned(), run.dir.path().to_owned());
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _run = run;
            panic!("as a bug would");
        }));
        assert!(unwound.is_err() && !path.exists());
        assert_eq!(leftovers::find(&id, &path), []);
    }

    #[tokio::test]
    async fn a_process_that_ignores_sigterm_is_killed() {
        let base = tempfile::tempdir().unwrap();
        let run = Run::create(base.path()).unwrap();
        let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
        run.supervisor
            .spawn(Spec::new("stubborn", "/bin/sh").args(["-c", script]))
            .unwrap();
        let log = run.supervisor.log_file("stubborn");
        let is_ready = async || fs::read_to_string(&log).is_ok_and(|text| text.contains("ready"));
        run.supervisor
            .wait_ready("stubborn", Duration::from_secs(5), is_ready)
            .await
            .unwrap();
        run.supervisor
            .stop(&["stubborn".to_owned()], Duration::from_millis(200))
            .await;
        let ended = run.supervisor.ended("stubborn").unwrap().expect("it has ended");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(9));
        run.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_process_that_fails_at_once_is_reported_with_its_log() {
        let base = tempfile::tempdir().unwrap();
        let run = Run::create(base.path()).unwrap();
        let spec = Spec::new("broken", "/bin/sh").args(["-c", "echo no such table >&2; exit 3"]);
        run.supervisor.spawn(spec).unwrap();
        let error = run
            .supervisor
            .wait_ready("broken", Duration::from_secs(5), async || false)
            .await;
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains("exit status: 3") && message.contains("no such table"),
            "{message}"
        );
    }
}
