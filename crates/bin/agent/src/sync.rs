//! Posts observations, and passes on the instructions.

use std::future::Future;
use std::time::Duration;

use slipway_attempt::ExecutorView;
use slipway_client::{Client, ClientError, RetryBackoff};
use slipway_domain::agent::AttemptReport;
use slipway_domain::{AttemptId, AttemptPhase, HostPlan, Instruction, Observation, StorePath, TraceParent};
use slipway_host::{Clock, SystemClock};
use slipway_telemetry::propagation;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, info_span};

use crate::facts::{AWAIT, FactsLink};

/// How long the control plane may keep a request waiting for news.
pub(crate) const WAIT: Duration = Duration::from_secs(30);
/// The least time between two requests without news from this host.
const SHORTEST: Duration = Duration::from_secs(1);
/// A rollout is to go on within 30 s of the control plane's return.
const BACKOFF: RetryBackoff = RetryBackoff {
    first: Duration::from_millis(500),
    longest: Duration::from_secs(15),
    longest_asked: Duration::from_mins(5),
};
/// Where the token is not accepted: somebody must act, and may take their time.
const DENIED: Duration = Duration::from_mins(1);

/// Who gives the agent its instructions.
pub(crate) trait InstructionSource: Send + Sync {
    /// Posts the observation; the answer may take `wait` when there is nothing to do. The request's spans hang below
    /// `parent`.
    fn sync(
        &self,
        observation: &Observation,
        wait: Duration,
        parent: Option<TraceParent>,
    ) -> impl Future<Output = Result<Instruction, SyncError>> + Send;
}

/// No instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SyncError {
    /// The token is not accepted.
    Denied(String),
    /// Anything else.
    Failed {
        /// Why, with the cure.
        message: String,
        /// When to ask again, if the server said so.
        retry_after: Option<Duration>,
    },
}

impl From<ClientError> for SyncError {
    fn from(error: ClientError) -> Self {
        let status = error.problem().map(|problem| problem.status);
        if matches!(status, Some(401 | 403)) {
            return Self::Denied(error.to_string());
        }
        Self::Failed {
            retry_after: error.retry_after(),
            message: error.to_string(),
        }
    }
}

impl InstructionSource for Client {
    async fn sync(
        &self,
        observation: &Observation,
        wait: Duration,
        parent: Option<TraceParent>,
    ) -> Result<Instruction, SyncError> {
        Ok(self
            .clone()
            .under(parent)
            .agent_sync(observation, Some(wait))
            .await?)
    }
}

/// What the loop shares with the executor.
#[derive(Debug)]
pub(crate) struct ExecutorLink {
    /// The executor's present view.
    pub(crate) view: watch::Receiver<ExecutorView>,
    /// The newest instruction for the executor.
    pub(crate) instructions: watch::Sender<Instruction>,
}

/// Syncs until stopped. A change of the view ends the request under way and posts at once.
///
/// Errors end nothing: the executor goes on with its work, and never reverts because of them.
pub(crate) async fn run(
    plane: &impl InstructionSource,
    observe: impl Fn(&ExecutorView) -> Observation,
    mut link: ExecutorLink,
    mut facts: FactsLink,
    stop: CancellationToken,
) {
    let mut failures = 0;
    let mut fetching: Option<(AttemptId, StorePath)> = None;
    let mut complaint: Option<SyncError> = None;
    let mut told: Option<AttemptReport> = None;
    loop {
        let view = link.view.borrow_and_update().clone();
        let mut observation = observe(&view);
        observation.plan = unsent_plan(&view, told.as_ref());
        facts.note_staged(staged(&view, fetching.as_ref()));
        let unsent = facts.unsent();
        let number = unsent.as_ref().map(|(number, _)| *number);
        observation.facts = unsent.map(|(_, facts)| facts);
        let began = Instant::now();
        let (span, parent) = trace(&view, told.as_ref());
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            answer = plane.sync(&observation, WAIT, parent).instrument(span) => answer,
            () = changed(&mut link.view) => continue,
            () = facts.urgent() => continue,
        };
        let mut probed = false;
        let pause = match answer {
            Ok(instruction) => {
                metrics::counter!("slipway_agent_syncs_total", "outcome" => "ok").increment(1);
                note_answer(&SystemClock);
                if complaint.take().is_some() {
                    tracing::info!("the control plane answers again");
                }
                failures = 0;
                told = view.report;
                if let Some(number) = number {
                    facts.note_told(number);
                }
                let instruction = match instruction {
                    // The executor has nothing to do with it.
                    Instruction::Probe { closure } => {
                        facts.probe(&closure);
                        probed = true;
                        Instruction::Idle
                    }
                    Instruction::Stage {
                        attempt, ref closure, ..
                    } => {
                        fetching = Some((attempt, closure.clone()));
                        instruction
                    }
                    other => other,
                };
                let changed = link.instructions.send_if_modified(|old| {
                    let changed = *old != instruction;
                    old.clone_from(&instruction);
                    changed
                });
                if changed && instruction != Instruction::Idle {
                    let attempt_id = instruction.attempt().map(tracing::field::display);
                    tracing::info!(attempt_id, ?instruction, "instructed");
                }
                if probed {
                    AWAIT
                } else {
                    SHORTEST.saturating_sub(began.elapsed())
                }
            }
            Err(error) => {
                let pause = pause_after(&error, failures);
                failures = failures.saturating_add(1);
                complain(&error, &mut complaint, pause);
                // News during an outage does not shorten the wait.
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(pause) => continue,
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => {}
            () = changed(&mut link.view) => {}
            () = facts.urgent() => {}
        }
    }
}

/// The attempt whose closure is staged, with the closure if this process was told to fetch it.
fn staged(
    view: &ExecutorView,
    fetching: Option<&(AttemptId, StorePath)>,
) -> Option<(AttemptId, Option<StorePath>)> {
    let report = view.report.as_ref()?;
    let closure = fetching.filter(|(attempt, _)| *attempt == report.attempt);
    (report.phase == AttemptPhase::Staged)
        .then(|| (report.attempt, closure.map(|(_, closure)| closure.clone())))
}

/// By this host's clock, as everything on this host.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 are far below 2^53"
)]
fn note_answer(clock: &impl Clock) {
    let now = clock.wall().timestamp_millis() as f64 / 1e3;
    metrics::gauge!("slipway_agent_last_sync_timestamp_seconds").set(now);
}

/// The plan that the report names, until the control plane has taken a report with it.
fn unsent_plan(view: &ExecutorView, told: Option<&AttemptReport>) -> Option<HostPlan> {
    let digest = |report: &AttemptReport| report.plan.as_ref().map(|plan| plan.digest);
    let named = view.report.as_ref().and_then(digest)?;
    if told.and_then(digest) == Some(named) {
        return None;
    }
    view.plan.as_deref().cloned()
}

/// The span of a request that tells something new of an attempt, and where the server's hang. All others are routine.
fn trace(view: &ExecutorView, told: Option<&AttemptReport>) -> (Span, Option<TraceParent>) {
    let news = view.report.as_ref().filter(|report| Some(*report) != told);
    let (Some(report), Some(parent)) = (news, &view.traceparent) else {
        return (Span::none(), None);
    };
    let span = info_span!(
        parent: None,
        "agent.report",
        otel.name = "report attempt",
        otel.kind = "client",
        attempt_id = %report.attempt,
        phase = ?report.phase,
    );
    propagation::join(&span, parent);
    let place = propagation::place_of(&span).unwrap_or_else(|| parent.clone());
    (span, Some(place))
}

/// Waits for ever when the executor is gone: the process ends then.
async fn changed(view: &mut watch::Receiver<ExecutorView>) {
    if view.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn pause_after(error: &SyncError, failures: u32) -> Duration {
    match error {
        SyncError::Denied(_) => DENIED + BACKOFF.pause(failures, None),
        SyncError::Failed { retry_after, .. } => BACKOFF.pause(failures, *retry_after),
    }
}

/// Logs each kind of trouble once, so that an outage does not fill the log.
fn complain(error: &SyncError, last: &mut Option<SyncError>, pause: Duration) {
    let (outcome, message) = match error {
        SyncError::Denied(message) => ("denied", message),
        SyncError::Failed { message, .. } => ("failed", message),
    };
    metrics::counter!("slipway_agent_syncs_total", "outcome" => outcome).increment(1);
    let logged_already = match (&*last, error) {
        (Some(SyncError::Denied(_)), SyncError::Denied(_)) => true,
        (Some(SyncError::Failed { message: before, .. }), SyncError::Failed { message, .. }) => {
            before == message
        }
        _ => false,
    };
    let seconds = pause.as_secs();
    if logged_already {
        tracing::debug!(error = %message, seconds, "no answer from the control plane");
    } else if matches!(error, SyncError::Denied(_)) {
        tracing::error!(
            error = %message,
            seconds,
            "the control plane does not accept this host's token: make a new one with `slipway host token` and put it where AGENT_TOKEN comes from; what runs here goes on"
        );
    } else {
        tracing::warn!(error = %message, seconds, "no answer from the control plane; what runs here goes on");
    }
    *last = Some(error.clone());
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use slipway_domain::{HostFacts, Timestamp};

    use super::*;
    use crate::facts;

    /// Answers in order, then parks for ever. Keeps what was posted, and when.
    #[derive(Clone, Default)]
    struct ScriptedSource {
        answers: Arc<Mutex<VecDeque<Result<Instruction, SyncError>>>>,
        posted: Arc<Mutex<Vec<(Instant, Observation)>>>,
    }

    impl InstructionSource for ScriptedSource {
        async fn sync(
            &self,
            observation: &Observation,
            _: Duration,
            _: Option<TraceParent>,
        ) -> Result<Instruction, SyncError> {
            self.posted
                .lock()
                .unwrap()
                .push((Instant::now(), observation.clone()));
            let answer = self.answers.lock().unwrap().pop_front();
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }
    }

    impl ScriptedSource {
        fn times(&self, began: Instant) -> Vec<Duration> {
            let posted = self.posted.lock().unwrap();
            posted.iter().map(|(at, _)| at.duration_since(began)).collect()
        }
    }

    struct SyncRig {
        script: ScriptedSource,
        view: watch::Sender<ExecutorView>,
        instructions: watch::Receiver<Instruction>,
        began: Instant,
        stop: CancellationToken,
        /// The closures that facts were asked about.
        probed: Arc<Mutex<Vec<StorePath>>>,
    }

    fn rig(answers: impl IntoIterator<Item = Result<Instruction, SyncError>>) -> SyncRig {
        let script = ScriptedSource::default();
        script.answers.lock().unwrap().extend(answers);
        let (view, receiver) = watch::channel(ExecutorView::default());
        let (sender, instructions) = watch::channel(Instruction::Idle);
        let stop = CancellationToken::new();
        let link = ExecutorLink {
            view: receiver,
            instructions: sender,
        };
        let (plane, token) = (script.clone(), stop.clone());
        let observe = |view: &ExecutorView| Observation {
            host: "web-1".parse().unwrap(),
            agent_version: "0".to_owned(),
            clock: Timestamp::UNIX_EPOCH,
            boot_id: String::new(),
            counter: None,
            live: None,
            boot_default: None,
            report: view.report.clone(),
            unsettled: view.unsettled,
            journal_trouble: view.trouble.clone(),
            plan: None,
            facts: None,
            overrides: None,
            pending_reboot: None,
        };
        let (facts, gatherer) = facts::link();
        let probed: Arc<Mutex<Vec<StorePath>>> = Arc::default();
        let kept = Arc::clone(&probed);
        let gather = move |_, closure: Option<StorePath>| {
            kept.lock().unwrap().extend(closure);
            async { HostFacts::default() }
        };
        tokio::spawn(gatherer.run(gather, token.clone()));
        tokio::spawn(async move { run(&plane, observe, link, facts, token).await });
        SyncRig {
            script,
            view,
            instructions,
            began: Instant::now(),
            stop,
            probed,
        }
    }

    fn report(phase: AttemptPhase) -> ExecutorView {
        ExecutorView {
            report: Some(AttemptReport {
                attempt: AttemptId::random(),
                phase,
                prior: None,
                verdict: None,
                message: None,
                hooks: None,
                plan: None,
                reboot: None,
            }),
            ..ExecutorView::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn news_drops_the_parked_request_and_is_posted_at_once() {
        let rig = rig([]);
        sleep(Duration::from_secs(10)).await;
        rig.view.send_replace(report(AttemptPhase::Staged));
        sleep(Duration::from_millis(1)).await;
        // At once, and again with the facts of the moment after staging.
        let ten = Duration::from_secs(10);
        assert_eq!(rig.script.times(rig.began), [Duration::ZERO, ten, ten]);
        let posted = rig.script.posted.lock().unwrap();
        assert_eq!(posted[1].1.report.as_ref().unwrap().phase, AttemptPhase::Staged);
        assert!(posted[2].1.facts.is_some(), "{posted:?}");
    }

    /// A question of the control plane is answered with facts at once, and is nothing to the executor.
    #[tokio::test(start_paused = true)]
    async fn a_probe_is_answered_with_facts_and_not_handed_on() {
        let closure: StorePath = "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-a".parse().unwrap();
        let probe = Instruction::Probe {
            closure: closure.clone(),
        };
        let rig = rig([Ok(probe)]);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(*rig.probed.lock().unwrap(), [closure]);
        let posted = rig.script.posted.lock().unwrap();
        assert!(posted.len() == 2 && posted[1].1.facts.is_some(), "{posted:?}");
        assert!(posted[1].0.duration_since(rig.began) < Duration::from_secs(1));
        assert!(!rig.instructions.has_changed().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn an_instruction_is_handed_on_and_not_asked_for_in_a_tight_loop() {
        let commit = Instruction::Commit {
            attempt: AttemptId::random(),
        };
        let mut rig = rig([Ok(commit.clone()), Ok(commit.clone()), Ok(commit.clone())]);
        rig.instructions.changed().await.unwrap();
        assert_eq!(*rig.instructions.borrow_and_update(), commit);
        sleep(Duration::from_millis(2500)).await;
        assert_eq!(rig.script.posted.lock().unwrap().len(), 3);
        // The same words again are no news.
        assert!(!rig.instructions.has_changed().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_waited_out_with_growing_pauses_and_changes_no_instruction() {
        let failed = || {
            Err(SyncError::Failed {
                message: "refused".to_owned(),
                retry_after: None,
            })
        };
        let rig = rig((0..20).map(|_| failed()));
        sleep(Duration::from_mins(2)).await;
        let times = rig.script.times(rig.began);
        let pauses: Vec<Duration> = times
            .windows(2)
            .map(|two| two[1].saturating_sub(two[0]))
            .collect();
        assert!(
            pauses.iter().all(|pause| *pause <= Duration::from_secs(15)),
            "{pauses:?}"
        );
        assert!(
            pauses[0] <= Duration::from_millis(500) && pauses[7] >= Duration::from_secs(7),
            "{pauses:?}"
        );
        assert!(!rig.instructions.has_changed().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_server_is_left_alone_as_long_as_it_asks_for() {
        let rig = rig([Err(SyncError::Failed {
            message: "full".to_owned(),
            retry_after: Some(Duration::from_secs(40)),
        })]);
        rig.view.send_replace(report(AttemptPhase::Staged));
        sleep(Duration::from_secs(100)).await;
        let times = rig.script.times(rig.began);
        assert_eq!(times.len(), 2);
        assert!(times[1] >= Duration::from_secs(40), "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_is_not_accepted_is_tried_slowly_and_for_ever() {
        let denied = || Err(SyncError::Denied("revoked".to_owned()));
        let rig = rig((0..3).map(|_| denied()));
        sleep(Duration::from_mins(5)).await;
        let times = rig.script.times(rig.began);
        assert_eq!(times.len(), 4);
        assert!(times[1] >= Duration::from_mins(1), "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_stops_at_once_while_parked() {
        let rig = rig([]);
        sleep(Duration::from_secs(1)).await;
        rig.stop.cancel();
        sleep(Duration::from_millis(1)).await;
        assert!(rig.view.is_closed());
    }
}
