//! The journal on disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use serde::{Deserialize, Serialize};
use slipway_domain::{AttemptId, HostPlan};
use slipway_durable::PRIVATE;
use slipway_host::seal::{seal, unseal};
use slipway_process::{FileLock, LockError};

use super::Journal;

/// The form that this agent writes. Others are kept aside, not guessed at.
const VERSION: u32 = 1;
/// Twice the largest journal: a write needs room for the new file while the old one is there.
const RESERVE_BYTES: u64 = 256 * 1024;
/// A journal is far smaller; a larger file is not one.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The journal could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// No room.
    #[error("the disk under {} is full: free some space, the agent goes on by itself", dir.display())]
    Full {
        /// The state folder.
        dir: PathBuf,
    },
    /// Not for this user.
    #[error("cannot {what} in {}: run it as root, or correct AGENT_STATE_DIR", dir.display())]
    Denied {
        /// What was being done.
        what: &'static str,
        /// The state folder.
        dir: PathBuf,
        /// The error below.
        #[source]
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot {what} in {}", dir.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// The state folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The lock.
    #[error("cannot take the journal's lock")]
    Lock(#[from] LockError),
}

/// What was found on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedJournal {
    /// The journal; empty where there was none or it could not be read.
    pub journal: Journal,
    /// What was wrong, when a damaged one was put aside just now.
    pub damage: Option<String>,
}

/// The plan of one attempt.
#[derive(Serialize, Deserialize)]
struct KeptPlan {
    attempt: AttemptId,
    plan: HostPlan,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct OnDisk<J> {
    version: u32,
    #[serde(flatten)]
    journal: J,
}

/// The state folder's journal, its lock and its reserve.
#[derive(Debug, Clone)]
pub struct JournalStore {
    dir: PathBuf,
}

impl JournalStore {
    /// Opens the state folder; makes it, root-only, when it is not there.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        let store = Self { dir: dir.to_owned() };
        slipway_durable::private_folder(dir).map_err(|error| store.error("make the state folder", error))?;
        Ok(store)
    }

    /// The journal's path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.join("journal.json")
    }

    /// Keeps an attempt's plan until the control plane has it. The caller holds the lock.
    pub(crate) fn keep_plan(&self, attempt: AttemptId, plan: &HostPlan) -> Result<(), JournalError> {
        let kept = KeptPlan {
            attempt,
            plan: plan.clone(),
        };
        let text = serde_json::to_vec(&kept).unwrap_or_default();
        slipway_durable::write(&self.plan_path(), &text, PRIVATE)
            .map_err(|error| self.error("keep the plan", error))
    }

    /// The plan of this attempt, if it was kept and is whole.
    pub(crate) fn kept_plan(&self, attempt: AttemptId) -> Option<HostPlan> {
        let text = fs::read(self.plan_path()).ok()?;
        let kept: KeptPlan = serde_json::from_slice(&text).ok()?;
        (kept.attempt == attempt).then_some(kept.plan)
    }

    fn plan_path(&self) -> PathBuf {
        self.dir.join("plan.json")
    }

    /// Whether the state folder is still there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.dir.is_dir()
    }

    /// Waits for the journal's lock.
    pub async fn lock(&self) -> Result<FileLock, JournalError> {
        Ok(FileLock::take(&self.dir.join("journal.lock"), PRIVATE).await?)
    }

    /// Takes the lock that only one `run` may hold.
    pub fn lock_for_run(&self) -> Result<FileLock, JournalError> {
        Ok(FileLock::try_take(&self.dir.join("agent.lock"), PRIVATE)?)
    }

    /// Takes the lock that only one `collect` may hold.
    pub fn lock_for_collect(&self) -> Result<FileLock, JournalError> {
        Ok(FileLock::try_take(&self.dir.join("collect.lock"), PRIVATE)?)
    }

    /// Reads the journal. A damaged journal is renamed to `journal.corrupt-N` and reported. The returned journal says
    /// so in `lost` until an attempt is committed.
    ///
    /// The caller holds the lock.
    pub fn load(&self) -> Result<LoadedJournal, JournalError> {
        let path = self.path();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(LoadedJournal {
                    journal: Journal::default(),
                    damage: None,
                });
            }
            Err(error) => return Err(self.error("read the journal", error)),
        };
        let mut text = Vec::new();
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut text)
            .map_err(|error| self.error("read the journal", error))?;
        match parse(&text) {
            Ok(journal) => Ok(LoadedJournal {
                journal,
                damage: None,
            }),
            Err(problem) => self.put_aside(&problem),
        }
    }

    /// Reads the journal without changing anything, for `status`. `Err` is what is wrong with it.
    pub fn peek(&self) -> Result<Journal, String> {
        match fs::read(self.path()) {
            Ok(text) => parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Journal::default()),
            Err(error) => Err(format!("cannot read {}: {error}", self.path().display())),
        }
    }

    /// Writes the journal: whole, on the disk, or not at all. On a full disk the reserve makes room.
    ///
    /// The caller holds the lock.
    pub fn save(&self, journal: &Journal) -> Result<(), JournalError> {
        let text = seal(&OnDisk {
            version: VERSION,
            journal,
        })
        .map_err(|error| self.error("write the journal", io::Error::other(error)))?;
        let path = self.path();
        let written = match slipway_durable::write(&path, &text, PRIVATE) {
            Err(error) if is_full(&error) && fs::remove_file(self.reserve_path()).is_ok() => {
                tracing::warn!(dir = %self.dir.display(), "the disk is full: the journal's reserve is used");
                slipway_durable::write(&path, &text, PRIVATE)
            }
            other => other,
        };
        written.map_err(|error| self.error("write the journal", error))
    }

    /// Makes sure that there is room to write the journal to the end of an attempt, whatever fills the disk meanwhile.
    pub fn reserve(&self) -> Result<(), JournalError> {
        let path = self.reserve_path();
        let reserve = || -> io::Result<()> {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(&path)?;
            if file.metadata()?.len() >= RESERVE_BYTES {
                return Ok(());
            }
            match fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES) {
                Ok(()) => file.sync_all(),
                // A file system without it: bytes that cannot be compressed away to nothing would be better, but
                // such file systems keep room of their own.
                Err(rustix::io::Errno::OPNOTSUPP) => {
                    let zeros = vec![0; usize::try_from(RESERVE_BYTES).unwrap_or(0)];
                    fs::write(&path, zeros)?;
                    file.sync_all()
                }
                Err(error) => Err(error.into()),
            }
        };
        reserve().map_err(|error| {
            let _ = fs::remove_file(&path);
            self.error("set room aside", error)
        })
    }

    fn reserve_path(&self) -> PathBuf {
        self.dir.join("reserve")
    }

    fn put_aside(&self, problem: &str) -> Result<LoadedJournal, JournalError> {
        let path = self.path();
        let aside = (1..10_000)
            .map(|n| self.dir.join(format!("journal.corrupt-{n}")))
            .find(|aside| !aside.exists())
            .unwrap_or_else(|| self.dir.join("journal.corrupt"));
        let lost = |damage: String| LoadedJournal {
            journal: Journal {
                lost: Some(damage.clone()),
                ..Journal::default()
            },
            damage: Some(damage),
        };
        match fs::hard_link(&path, &aside) {
            Ok(()) => {}
            // It stays in its place until the disk can be written again: whoever must go back need not wait for that.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                return Ok(lost(format!("{problem}; it stays as {}", path.display())));
            }
            Err(error) => return Err(self.error("put a damaged journal aside", error)),
        }
        let loaded = lost(format!("{problem}; it is kept as {}", aside.display()));
        self.save(&loaded.journal)?;
        Ok(loaded)
    }

    fn error(&self, what: &'static str, source: io::Error) -> JournalError {
        let dir = self.dir.clone();
        if is_full(&source) {
            JournalError::Full { dir }
        } else if source.kind() == io::ErrorKind::PermissionDenied {
            JournalError::Denied { what, dir, source }
        } else {
            JournalError::Io { what, dir, source }
        }
    }
}

/// Whether the error says that there is no room: a full disk or a quota.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn parse(text: &[u8]) -> Result<Journal, String> {
    let version: VersionOnly =
        serde_json::from_slice(text).map_err(|error| format!("the journal is damaged: {error}"))?;
    if version.version != VERSION {
        return Err(format!(
            "the journal has the form {}, this agent reads {VERSION}",
            version.version
        ));
    }
    unseal::<OnDisk<Journal>>(text)
        .map(|on_disk| on_disk.journal)
        .map_err(|error| format!("the journal is damaged: {error}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use slipway_domain::{AttemptId, Timestamp};

    use super::super::{Attempt, JournalPhase};
    use super::*;

    fn journal() -> Journal {
        let closure = "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-a".parse().unwrap();
        let now = Timestamp::from_timestamp(1_800_000_000, 0).unwrap();
        let mut journal = Journal::default();
        journal.begin(Attempt {
            phase: JournalPhase::Verifying,
            ..Attempt::new(AttemptId::random(), closure, now, "boot")
        });
        journal
    }

    /// A state folder of a test's own.
    fn opened() -> (tempfile::TempDir, JournalStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = JournalStore::open(dir.path()).unwrap();
        (dir, store)
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let (dir, store) = opened();
        assert_eq!(store.load().unwrap().journal, Journal::default());
        let journal = journal();
        store.save(&journal).unwrap();
        assert_eq!(store.load().unwrap().journal, journal);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(dir.path()), mode(&store.path())), (0o700, 0o600));
    }

    #[test]
    fn a_later_agents_fields_are_passed_over() {
        let (_dir, store) = opened();
        let journal = journal();
        store.save(&journal).unwrap();
        let text = fs::read_to_string(store.path()).unwrap();
        fs::write(store.path(), text.replacen('{', "{\"novelty\": [1],", 1)).unwrap();
        assert!(store.load().unwrap().damage.is_some());
        let mut later: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        later.retain(|name, _| name != "checksum" && name != "sealed");
        later.insert("novelty".to_owned(), 1.into());
        fs::write(store.path(), seal(&later).unwrap()).unwrap();
        assert_eq!(store.load().unwrap().journal, journal);
    }

    /// As the agent of release 880fbcd wrote it.
    #[test]
    fn a_journal_from_before_there_were_checksums_is_read() {
        let (_dir, store) = opened();
        let journal = journal();
        let on_disk = OnDisk {
            version: VERSION,
            journal: &journal,
        };
        fs::write(store.path(), serde_json::to_vec_pretty(&on_disk).unwrap()).unwrap();
        assert_eq!(store.load().unwrap().journal, journal);
    }

    /// Agents from before read what this one writes: a prior's dead-man may be one.
    #[test]
    fn an_agent_from_before_there_were_checksums_reads_a_journal_with_one() {
        let (_dir, store) = opened();
        let journal = journal();
        store.save(&journal).unwrap();
        let text = fs::read(store.path()).unwrap();
        // What release 880fbcd did.
        assert_eq!(serde_json::from_slice::<VersionOnly>(&text).unwrap().version, 1);
        let read: OnDisk<Journal> = serde_json::from_slice(&text).unwrap();
        assert_eq!(read.journal, journal);
    }

    #[test]
    fn no_flipped_bit_of_the_journal_is_believed() {
        let (_dir, store) = opened();
        store.save(&journal()).unwrap();
        let text = fs::read(store.path()).unwrap();
        for bit in 0..text.len() * 8 {
            let mut flipped = text.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&flipped).is_err(), "bit {bit} of byte {}", bit / 8);
        }
    }

    #[test]
    fn a_damaged_journal_is_kept_and_told_of() {
        let (dir, store) = opened();
        for (n, bad) in [
            "{\"version\": 1, \"cur",
            "",
            "{\"version\": 7}",
            "{\"version\":1,\"current\":3}",
        ]
        .into_iter()
        .enumerate()
        {
            fs::write(store.path(), bad).unwrap();
            let loaded = store.load().unwrap();
            let damage = loaded.damage.unwrap();
            let aside = dir.path().join(format!("journal.corrupt-{}", n + 1));
            assert!(damage.contains(&aside.display().to_string()), "{damage}");
            assert!(
                damage.contains("damaged") || damage.contains("form 7"),
                "{damage}"
            );
            assert_eq!(fs::read_to_string(aside).unwrap(), bad);
            assert_eq!(loaded.journal.lost, Some(damage));
            // The next reader is told as well.
            let again = store.load().unwrap();
            assert!(again.damage.is_none() && again.journal.lost.is_some());
        }
    }
}
