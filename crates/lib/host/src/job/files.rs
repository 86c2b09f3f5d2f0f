//! What jobs leave in the state folder.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway_domain::AttemptId;

use super::{JobExit, JobId, JobKind};
use crate::clock::BootMs;
use crate::seal::{seal, unseal};
use slipway_durable::PRIVATE;
use slipway_process::ProcessId;

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// Nothing was ever run under that name.
    Absent,
    /// It runs.
    Running,
    /// The script runs and its supervisor is gone, so that nobody bounds it any more. Since when it runs.
    Orphaned(BootMs),
    /// It is over.
    Ended(JobExit),
    /// It began and vanished without a record: killed, or ended by a power cut.
    Lost,
}

impl JobState {
    /// Whether the script runs, whoever looks after it.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        matches!(self, Self::Running | Self::Orphaned(_))
    }

    /// When an orphan with this bound must have ended; nothing for a job whose supervisor sees to it.
    #[must_use]
    pub fn ends(&self, bound: Duration) -> Option<BootMs> {
        match self {
            Self::Orphaned(since) => Some(since.after(bound)),
            _ => None,
        }
    }
}

/// The folder with the jobs' files.
#[derive(Debug, Clone)]
pub struct JobFiles {
    dir: PathBuf,
}

impl JobFiles {
    /// The jobs of this state folder; makes the folder when it is not there.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        let dir = state_dir.join("jobs");
        match slipway_durable::private_folder(&dir) {
            // Nothing can be noted there; going back takes no note.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {}
            made => made?,
        }
        Ok(Self { dir })
    }

    /// The state folder.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        self.dir.parent().unwrap_or(&self.dir)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.dir.join(format!("{name}.{extension}"))
    }

    /// The log of a job, or its first part.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.file(name, "log")
    }

    /// Claims a name: true for exactly one caller, ever.
    pub fn claim(&self, name: &str) -> io::Result<bool> {
        let own = ProcessId::own().ok_or_else(|| io::Error::other("cannot read /proc/self/stat"))?;
        let text = serde_json::to_vec(&own)?;
        match slipway_durable::write_new(&self.file(name, "claim"), &text, PRIVATE) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes sure that nothing is run under that name that was not begun by now.
    pub fn forbid(&self, name: &str) {
        if !self.file(name, "claim").exists() {
            let _ = slipway_durable::write_new(&self.file(name, "claim"), b"null", PRIVATE);
        }
    }

    /// Who laid the claim.
    #[must_use]
    pub fn claimant(&self, name: &str) -> Option<ProcessId> {
        read_json::<Option<ProcessId>>(&self.file(name, "claim")).flatten()
    }

    /// Whether somebody laid the claim.
    #[must_use]
    pub fn is_claimed(&self, name: &str) -> bool {
        self.file(name, "claim").exists()
    }

    /// Notes the script's own process, for the case that its supervisor is killed.
    pub fn note_child(&self, name: &str, pid: u32) {
        let child = i32::try_from(pid).ok().and_then(ProcessId::of);
        if let Some(text) = child.and_then(|child| serde_json::to_vec(&child).ok()) {
            let _ = slipway_durable::write(&self.file(name, "child"), &text, PRIVATE);
        }
    }

    /// The script's own process.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<ProcessId> {
        read_json(&self.file(name, "child"))
    }

    /// Writes how the job ended.
    pub fn record(&self, name: &str, exit: &JobExit) -> io::Result<()> {
        slipway_durable::write(&self.file(name, "exit"), &seal(exit)?, PRIVATE)
    }

    /// How the job stands.
    #[must_use]
    pub fn state(&self, name: &str) -> JobState {
        // A damaged record does not count: the job is lost, and its attempt goes back.
        let exit = || unseal::<JobExit>(&fs::read(self.file(name, "exit")).ok()?).ok();
        if let Some(exit) = exit() {
            return JobState::Ended(exit);
        }
        if self
            .claimant(name)
            .is_some_and(|supervisor| supervisor.is_alive())
        {
            return JobState::Running;
        }
        let child = self.child(name).filter(ProcessId::is_alive);
        // It may have ended between the two looks.
        match exit() {
            Some(exit) => JobState::Ended(exit),
            None => match child {
                Some(child) => JobState::Orphaned(BootMs(child.began_boot_ms())),
                None if self.claimant(name).is_some() => JobState::Lost,
                None => JobState::Absent,
            },
        }
    }

    /// The newest try of a kind for an attempt.
    #[must_use]
    pub fn newest(&self, kind: JobKind, attempt: AttemptId) -> Option<JobId> {
        let prefix = format!("{}-{attempt}-", kind.as_str());
        let names = fs::read_dir(&self.dir).ok()?;
        let serials = names.flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (serial, _) = name.strip_prefix(&prefix)?.split_once('.')?;
            serial.parse().ok()
        });
        let serial = serials.max()?;
        Some(JobId {
            kind,
            attempt,
            serial,
        })
    }

    /// Removes the files of attempts that nobody asks about any more.
    pub fn tidy(&self, keep: &BTreeSet<AttemptId>) {
        let Ok(names) = fs::read_dir(&self.dir) else {
            return;
        };
        for entry in names.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let kept = keep.iter().any(|attempt| name.contains(&attempt.to_string()));
            if !kept {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::JobEnd;
    use super::*;

    #[test]
    fn a_name_that_was_forbidden_is_never_claimed() {
        let dir = tempfile::tempdir().unwrap();
        let jobs = JobFiles::open(dir.path()).unwrap();
        jobs.forbid("a");
        assert!(!jobs.claim("a").unwrap());
        assert_eq!(jobs.state("a"), JobState::Absent);
        assert!(jobs.claim("b").unwrap());
        jobs.forbid("b");
        assert_eq!(jobs.state("b"), JobState::Running);
    }

    #[test]
    fn a_job_of_an_earlier_boot_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let jobs = JobFiles::open(dir.path()).unwrap();
        let gone = ProcessId {
            boot_id: "another".to_owned(),
            ..ProcessId::own().unwrap()
        };
        fs::write(
            dir.path().join("jobs/a.claim"),
            serde_json::to_vec(&gone).unwrap(),
        )
        .unwrap();
        assert_eq!(jobs.state("a"), JobState::Lost);
        let exit = JobExit {
            end: JobEnd::Exited(0),
            tail: String::new(),
        };
        jobs.record("a", &exit).unwrap();
        assert_eq!(jobs.state("a"), JobState::Ended(exit));
    }

    #[test]
    fn no_flipped_bit_of_an_exit_record_is_believed() {
        let dir = tempfile::tempdir().unwrap();
        let jobs = JobFiles::open(dir.path()).unwrap();
        jobs.forbid("a");
        let exit = JobExit {
            end: JobEnd::Exited(4),
            tail: "oh".to_owned(),
        };
        jobs.record("a", &exit).unwrap();
        let path = dir.path().join("jobs/a.exit");
        let text = fs::read(&path).unwrap();
        for bit in 0..text.len() * 8 {
            let mut flipped = text.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, flipped).unwrap();
            assert_eq!(jobs.state("a"), JobState::Absent, "bit {bit}");
        }
        // Supervisors from before wrote no checksum.
        fs::write(&path, serde_json::to_vec(&exit).unwrap()).unwrap();
        assert_eq!(jobs.state("a"), JobState::Ended(exit));
    }

    #[test]
    fn the_newest_try_is_found_and_old_files_go() {
        let dir = tempfile::tempdir().unwrap();
        let jobs = JobFiles::open(dir.path()).unwrap();
        let (attempt, other) = (AttemptId::random(), AttemptId::random());
        let id = |serial| JobId {
            kind: JobKind::Revert,
            attempt,
            serial,
        };
        for serial in [1, 2, 10] {
            jobs.forbid(&id(serial).to_string());
        }
        let boot = JobId {
            kind: JobKind::RevertBoot,
            attempt: other,
            serial: 1,
        };
        jobs.forbid(&boot.to_string());
        assert_eq!(jobs.newest(JobKind::Revert, attempt), Some(id(10)));
        assert_eq!(jobs.newest(JobKind::Revert, other), None);
        jobs.tidy(&BTreeSet::from([other]));
        assert_eq!(jobs.newest(JobKind::Revert, attempt), None);
        assert_eq!(jobs.newest(JobKind::RevertBoot, other), Some(boot));
    }
}
