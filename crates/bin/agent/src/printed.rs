//! Sends what the jobs of an attempt print, in bounded pieces and one at a time.
//!
//! Nothing waits for it: neither the executor nor the loop that syncs. What is there to tell stands in the jobs' logs, and
//! the control plane says how far it knows them. So a process that has begun again goes on where the one before ended. A
//! control plane that was away gets everything once it is back.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::time::Duration;

use slipway_attempt::ExecutorView;
use slipway_client::{Client, ClientError, RetryBackoff};
use slipway_domain::AttemptId;
use slipway_host::job::{JobFiles, JobId, PIECE_BYTES, Printed};
use slipway_wire::output::{MAX_PIECE_BYTES, OutputKnown, OutputPiece};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How often the logs are looked at while jobs may run.
const LOOK: Duration = Duration::from_millis(500);
/// How long they are looked at once no job is under way any more.
const AFTERWARDS: Duration = Duration::from_secs(10);
/// Pauses after failures: nobody waits for output.
const BACKOFF: RetryBackoff = RetryBackoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(15),
    longest_asked: Duration::from_mins(5),
};

// What a host tells at once is what the control plane takes at once.
const _: () = assert!(PIECE_BYTES <= MAX_PIECE_BYTES);

/// Who takes the output.
pub(crate) trait OutputSink: Send + Sync {
    /// Sends a piece; the answer says how far the job's output is known.
    fn send(&self, piece: &OutputPiece) -> impl Future<Output = Result<OutputKnown, SendError>> + Send;
}

/// A piece that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SendError {
    /// The control plane takes no output of this attempt, or none at all: it is of an earlier release.
    Unwanted(String),
    /// It may take the piece later.
    Failed {
        /// Why.
        message: String,
        /// When to try again, if the server said so.
        retry_after: Option<Duration>,
    },
}

impl From<ClientError> for SendError {
    fn from(error: ClientError) -> Self {
        let status = error.problem().map(|problem| problem.status);
        let is_final = matches!(status, Some(400..=499)) && !matches!(status, Some(401 | 403 | 408 | 429));
        // A proxy or an earlier release may say so in other words.
        let has_no_route = matches!(
            &error,
            ClientError::BadAnswer {
                status: 404 | 405,
                ..
            }
        );
        if is_final || has_no_route {
            return Self::Unwanted(error.to_string());
        }
        Self::Failed {
            retry_after: error.retry_after(),
            message: error.to_string(),
        }
    }
}

impl OutputSink for Client {
    async fn send(&self, piece: &OutputPiece) -> Result<OutputKnown, SendError> {
        Ok(self.agent_output(piece).await?)
    }
}

/// Sends output until stopped. Looks at nothing while the host rests.
pub(crate) async fn run(
    sink: &impl OutputSink,
    jobs: &JobFiles,
    mut view: watch::Receiver<ExecutorView>,
    stop: CancellationToken,
) {
    let work = async {
        let mut teller = Teller {
            sink,
            jobs,
            known: HashMap::new(),
            over: HashSet::new(),
            unwanted: HashSet::new(),
            failures: 0,
            asked: None,
        };
        let mut until = Instant::now() + AFTERWARDS;
        loop {
            let (attempts, at_work) = under_way(&view.borrow_and_update());
            teller.forget_all_but(&attempts);
            let told = teller.tell(&attempts).await;
            if at_work || told {
                until = Instant::now() + AFTERWARDS;
            }
            let pause = teller.pause(told);
            if told || teller.failures > 0 || Instant::now() < until {
                sleep(pause).await;
            } else if view.changed().await.is_err() {
                // The process ends.
                return;
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// The attempts whose jobs may have printed something, and whether one may still print.
fn under_way(view: &ExecutorView) -> (Vec<AttemptId>, bool) {
    let reported = view.report.as_ref();
    let mut attempts: Vec<AttemptId> = reported.map(|report| report.attempt).into_iter().collect();
    attempts.extend(view.unsettled.filter(|other| !attempts.contains(other)));
    let has_hooks = reported
        .and_then(|report| report.hooks.as_ref())
        .is_some_and(|hooks| hooks.running.is_some());
    (attempts, view.unsettled.is_some() || has_hooks)
}

struct Teller<'a, S> {
    sink: &'a S,
    jobs: &'a JobFiles,
    /// How far the control plane knows each job's output.
    known: HashMap<JobId, u64>,
    /// Jobs that are over and told.
    over: HashSet<JobId>,
    /// Attempts of which the control plane takes nothing.
    unwanted: HashSet<AttemptId>,
    failures: u32,
    /// When the control plane wants to be asked again.
    asked: Option<Duration>,
}

impl<S: OutputSink> Teller<'_, S> {
    fn forget_all_but(&mut self, attempts: &[AttemptId]) {
        let is_kept = |attempt: &AttemptId| attempts.contains(attempt);
        self.known.retain(|job, _| is_kept(&job.attempt));
        self.over.retain(|job| is_kept(&job.attempt));
        self.unwanted.retain(is_kept);
    }

    /// Sends at most one piece. Gives whether there may be more right now.
    async fn tell(&mut self, attempts: &[AttemptId]) -> bool {
        for attempt in attempts {
            if self.unwanted.contains(attempt) {
                continue;
            }
            for job in self.jobs.of_attempt(*attempt) {
                if self.over.contains(&job) {
                    continue;
                }
                let known = self.known.get(&job).copied().unwrap_or_default();
                match self.jobs.printed(job, known) {
                    Printed::Nothing => {}
                    Printed::Over => {
                        self.over.insert(job);
                    }
                    Printed::Piece(piece) => {
                        let piece = OutputPiece {
                            attempt: job.attempt,
                            job: job.label(),
                            start: piece.start,
                            end: piece.end,
                            skipped: piece.skipped,
                            text: piece.text,
                        };
                        return self.send(job, &piece).await;
                    }
                }
            }
        }
        false
    }

    async fn send(&mut self, job: JobId, piece: &OutputPiece) -> bool {
        match self.sink.send(piece).await {
            Ok(answer) => {
                self.failures = 0;
                // An answer that leads nowhere would be asked for again and again.
                let before = self.known.insert(job, answer.next);
                if answer.full || (answer.next != piece.end && before == Some(answer.next)) {
                    self.refuse(job.attempt, "no more of it is kept");
                }
                true
            }
            Err(SendError::Unwanted(why)) => {
                self.failures = 0;
                self.refuse(job.attempt, &why);
                true
            }
            Err(SendError::Failed { message, retry_after }) => {
                tracing::debug!(error = %message, ?retry_after, "the output could not be sent");
                self.failures = self.failures.saturating_add(1);
                self.asked = retry_after;
                false
            }
        }
    }

    fn refuse(&mut self, attempt: AttemptId, why: &str) {
        tracing::info!(attempt_id = %attempt, why, "the control plane takes no more output of this attempt");
        self.unwanted.insert(attempt);
    }

    fn pause(&self, told: bool) -> Duration {
        match self.failures.checked_sub(1) {
            Some(tries) => BACKOFF.pause(tries, self.asked),
            // A host that prints without end is read no faster than this.
            None if told => LOOK / 10,
            None => LOOK,
        }
    }
}
