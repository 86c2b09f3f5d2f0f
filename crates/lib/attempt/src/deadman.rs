//! The watchdog process, which waits for the deadline apart from the agent.

use std::time::Duration;

use slipway_domain::AttemptId;
use slipway_host::clock::Clock;
use slipway_host::job::{JobFiles, SuperviseError};

use crate::journal::{JournalEntry, JournalStore};

/// How often it looks whether it is still needed.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Why the wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitOutcome {
    /// The deadline has come.
    Due,
    /// The attempt is over, or the host's whole state is gone.
    Settled,
}

/// Leaves the session, writes the claim that tells the agent that it is armed, and waits.
///
/// Ends early when the journal says that the attempt is over, so that a watchdog that could not be disarmed does not
/// stay. A journal that cannot be read keeps it waiting.
pub async fn wait(
    store: &JournalStore,
    jobs: &JobFiles,
    clock: &impl Clock,
    attempt: AttemptId,
    seconds: u32,
) -> Result<WaitOutcome, SuperviseError> {
    let _ = rustix::process::setsid();
    let name = format!("deadman-{attempt}");
    match jobs.claim(&name) {
        Ok(true) => {}
        Ok(false) => return Err(SuperviseError::Forbidden { name }),
        Err(source) => return Err(SuperviseError::Files { name, source }),
    }
    let deadline = clock.boot().after_seconds(seconds);
    loop {
        let left = deadline.left(clock.boot());
        if left.is_zero() {
            return Ok(WaitOutcome::Due);
        }
        tokio::time::sleep(left.min(POLL_EVERY)).await;
        if !store.exists() {
            return Ok(WaitOutcome::Settled);
        }
        let over = store.peek().is_ok_and(|journal| match journal.entry(attempt) {
            JournalEntry::Current(current) => !current.phase.is_unsettled(),
            JournalEntry::Past(_) => true,
            JournalEntry::Unsettled(_) | JournalEntry::Unknown => false,
        });
        if over {
            return Ok(WaitOutcome::Settled);
        }
    }
}

#[cfg(test)]
mod tests {
    use slipway_domain::Timestamp;
    use tokio::time::Instant;

    use super::*;
    use crate::journal::{Attempt, Journal, JournalPhase};
    use slipway_host::testing::TokioClock;

    struct DeadmanRig {
        dir: tempfile::TempDir,
        store: JournalStore,
        jobs: JobFiles,
        attempt: AttemptId,
    }

    fn rig() -> DeadmanRig {
        let dir = tempfile::tempdir().unwrap();
        DeadmanRig {
            store: JournalStore::open(dir.path()).unwrap(),
            jobs: JobFiles::open(dir.path()).unwrap(),
            attempt: AttemptId::random(),
            dir,
        }
    }

    impl DeadmanRig {
        fn write(&self, phase: JournalPhase) {
            let closure = "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-a".parse().unwrap();
            let now = Timestamp::UNIX_EPOCH;
            let mut journal = Journal::default();
            journal.begin(Attempt {
                phase,
                ..Attempt::new(self.attempt, closure, now, "boot")
            });
            self.store.save(&journal).unwrap();
        }

        async fn wait(&self) -> Result<WaitOutcome, SuperviseError> {
            wait(&self.store, &self.jobs, &TokioClock::new(), self.attempt, 60).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_for_the_deadline_also_without_a_readable_journal() {
        for text in [None, Some("damaged")] {
            let rig = rig();
            rig.write(JournalPhase::Verified);
            if let Some(text) = text {
                std::fs::write(rig.store.path(), text).unwrap();
            }
            let began = Instant::now();
            assert_eq!(rig.wait().await.unwrap(), WaitOutcome::Due);
            assert_eq!(began.elapsed(), Duration::from_mins(1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_attempt_and_with_the_state_folder() {
        let rig = rig();
        rig.write(JournalPhase::Committed);
        assert_eq!(rig.wait().await.unwrap(), WaitOutcome::Settled);
        let rig = self::rig();
        rig.write(JournalPhase::Verifying);
        let gone = rig.dir.path().to_owned();
        let (outcome, ()) = tokio::join!(rig.wait(), async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            std::fs::remove_dir_all(&gone).unwrap();
        });
        assert_eq!(outcome.unwrap(), WaitOutcome::Settled);
        assert!(!gone.exists());
    }

    #[tokio::test]
    async fn one_that_was_disarmed_before_it_came_up_does_nothing() {
        let rig = rig();
        rig.jobs.forbid(&format!("deadman-{}", rig.attempt));
        assert!(matches!(rig.wait().await, Err(SuperviseError::Forbidden { .. })));
    }
}
