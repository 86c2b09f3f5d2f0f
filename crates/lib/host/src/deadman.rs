//! The watchdog process: waits for the deadline, away from the agent.

use std::time::Duration;

use slipway_domain::AttemptId;

use crate::clock::Clock;
use crate::job::{JobFiles, SuperviseError};
use crate::journal::{JournalStore, Known};

/// How often it looks whether it is still needed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why the wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// The deadline has come.
    Due,
    /// The attempt is over.
    Settled,
}

/// Leaves the session, lays the claim that tells the agent that it is armed, and waits.
///
/// Ends early when the journal says that the attempt is over, so that a watchdog that could not be disarmed does not
/// stay. A journal that cannot be read keeps it waiting.
pub async fn wait(
    store: &JournalStore,
    jobs: &JobFiles,
    clock: &impl Clock,
    attempt: AttemptId,
    seconds: u32,
) -> Result<Woken, SuperviseError> {
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
            return Ok(Woken::Due);
        }
        tokio::time::sleep(left.min(LOOK_EVERY)).await;
        let over = store.peek().is_ok_and(|journal| match journal.know(attempt) {
            Known::Current(current) => !current.phase.is_unsettled(),
            Known::Past(_) => true,
            Known::Unsettled(_) | Known::Unknown => false,
        });
        if over {
            return Ok(Woken::Settled);
        }
    }
}
