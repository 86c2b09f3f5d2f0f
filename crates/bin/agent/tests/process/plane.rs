//! A control plane of one host: follows what the agent reports as the domain does, answers with `instruct`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use slipway_domain::agent::{Assignment, AttemptReport, ManifestRef, instruct};
use slipway_domain::{
    AttemptId, AttemptPhase, Instruction, Observation, ReleaseId, StepState, StorePath, Strategy,
};
use slipway_release::SignedManifest;
use slipway_wire::output::{OutputKnown, OutputPiece};
use tokio::net::TcpListener;
use tokio::sync::Notify;

pub(crate) const TOKEN: &str = "slw_8c1f0b7a93d24e65f1aa02c7be5d9438670e1c9fd2b4a8537f6e10d9c3b5a274";

#[derive(Default)]
pub(crate) struct PlaneState {
    pub(crate) assignment: Option<Assignment>,
    pub(crate) observations: Vec<Observation>,
    /// The instructions that were not `idle`, and when each was first given.
    pub(crate) instructed: Vec<(Instant, Instruction)>,
    /// Do not go beyond this step state.
    pub(crate) hold_at: Option<StepState>,
    /// Every request is answered with this status.
    pub(crate) refuse: Option<u16>,
    /// The one token that is accepted; [`TOKEN`] where there is none.
    pub(crate) token: Option<String>,
    /// What is handed out as the manifests of releases.
    pub(crate) manifests: Vec<(ReleaseId, SignedManifest)>,
    /// The pieces of output that were taken, and how many requests came.
    pub(crate) outputs: Vec<OutputPiece>,
    pub(crate) output_requests: usize,
    /// Every piece is answered with this status.
    pub(crate) refuse_output: Option<u16>,
    /// How often one was asked for.
    pub(crate) manifest_requests: usize,
}

struct SharedPlane {
    state: Mutex<PlaneState>,
    changed: Notify,
}

/// Lives in a runtime of its own; dropped, it is gone from the network.
pub(crate) struct FakePlane {
    shared: Arc<SharedPlane>,
    pub(crate) addr: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl FakePlane {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(SharedPlane {
            state: Mutex::default(),
            changed: Notify::new(),
        });
        let serving = Arc::clone(&shared);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self {
            shared,
            addr,
            _runtime: runtime,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, PlaneState> {
        self.shared.state.lock().unwrap()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut PlaneState)) {
        change(&mut self.state());
        self.shared.changed.notify_waiters();
    }

    /// Goes on with a step that another control plane had brought so far: nothing of it was ever given to this agent.
    pub(crate) fn take_over(&self, closure: &StorePath, prior: &StorePath, state: StepState) -> AttemptId {
        let attempt = AttemptId::random();
        self.change(|now| {
            now.hold_at = None;
            now.assignment = Some(Assignment {
                state,
                attempt: Some(attempt),
                closure: closure.clone(),
                prior: Some(prior.clone()),
                strategy: Strategy::default(),
                origin: None,
                manifest: None,
                approved_plan: None,
            });
        });
        attempt
    }

    /// Begins a step for the host.
    pub(crate) fn release(&self, closure: &StorePath, strategy: Strategy) -> AttemptId {
        let attempt = AttemptId::random();
        self.change(|state| {
            state.hold_at = None;
            state.assignment = Some(Assignment {
                state: StepState::Staging,
                attempt: Some(attempt),
                closure: closure.clone(),
                prior: None,
                strategy,
                origin: None,
                manifest: None,
                approved_plan: None,
            });
        });
        attempt
    }

    /// As [`FakePlane::release`], and hands out a manifest as that of a release.
    pub(crate) fn release_signed(
        &self,
        closure: &StorePath,
        release: ReleaseId,
        signed: &SignedManifest,
    ) -> AttemptId {
        let named = ManifestRef {
            release,
            digest: signed.digest(),
        };
        self.release_named(closure, named, Some(signed))
    }

    /// As [`FakePlane::release_signed`], whatever it is that is handed out.
    pub(crate) fn release_named(
        &self,
        closure: &StorePath,
        named: ManifestRef,
        handed_out: Option<&SignedManifest>,
    ) -> AttemptId {
        let attempt = AttemptId::random();
        self.change(|state| {
            state.manifests.retain(|(release, _)| *release != named.release);
            let handed_out = handed_out.map(|signed| (named.release, signed.clone()));
            state.manifests.extend(handed_out);
            state.assignment = Some(Assignment {
                state: StepState::Staging,
                attempt: Some(attempt),
                closure: closure.clone(),
                prior: None,
                strategy: crate::quick(),
                origin: None,
                manifest: Some(named),
                approved_plan: None,
            });
        });
        attempt
    }

    /// As [`FakePlane::release`], and goes no further than this state.
    pub(crate) fn release_until(
        &self,
        closure: &StorePath,
        strategy: Strategy,
        hold_at: StepState,
    ) -> AttemptId {
        let attempt = self.release(closure, strategy);
        self.change(|state| state.hold_at = Some(hold_at));
        attempt
    }

    pub(crate) fn go_on(&self) {
        self.change(|state| state.hold_at = None);
    }

    pub(crate) fn abort(&self) {
        self.change(|state| {
            state.hold_at = None;
            if let Some(step) = &mut state.assignment {
                step.state = StepState::Reverting;
            }
        });
    }

    pub(crate) fn step(&self) -> Option<StepState> {
        self.state().assignment.as_ref().map(|step| step.state)
    }

    /// The last report, whatever it is about.
    pub(crate) fn report(&self) -> Option<AttemptReport> {
        self.state().observations.last()?.report.clone()
    }

    pub(crate) fn message(&self) -> String {
        self.report()
            .and_then(|report| report.message)
            .unwrap_or_default()
    }

    /// Waits for the step to come into this state.
    pub(crate) fn reach(&self, state: StepState) {
        self.wait(&format!("step {state}"), |now| {
            now.assignment.as_ref().is_some_and(|step| step.state == state)
        });
    }

    /// Waits for a report of the step's attempt in this phase.
    pub(crate) fn hear(&self, phase: AttemptPhase) {
        self.wait(&format!("phase {phase:?}"), |now| {
            let attempt = now.assignment.as_ref().and_then(|step| step.attempt);
            now.observations
                .last()
                .and_then(|seen| seen.report.as_ref())
                .is_some_and(|report| Some(report.attempt) == attempt && report.phase == phase)
        });
    }

    pub(crate) fn wait(&self, what: &str, there: impl Fn(&PlaneState) -> bool) {
        let until = Instant::now() + Duration::from_mins(1);
        while Instant::now() < until {
            if there(&self.state()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let state = self.state();
        panic!(
            "{what} was not reached; step {:?}, last seen {:#?}",
            state.assignment.as_ref().map(|step| step.state),
            state.observations.last()
        );
    }

    /// When the agent was first instructed to commit.
    pub(crate) fn commit_instructed_at(&self) -> Option<Instant> {
        let state = self.state();
        let commit = state
            .instructed
            .iter()
            .find(|(_, instruction)| matches!(instruction, Instruction::Commit { .. }));
        commit.map(|(at, _)| *at)
    }
}

async fn answer(
    shared: Arc<SharedPlane>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let token = request.headers().get("authorization").cloned();
    if let Some(release) = request.uri().path().strip_prefix("/api/v1/agent/releases/") {
        let release: ReleaseId = release.strip_suffix("/manifest").unwrap().parse().unwrap();
        let mut state = shared.state.lock().unwrap();
        state.manifest_requests += 1;
        let found = state.manifests.iter().find(|(of, _)| *of == release);
        return Ok(found.map_or_else(|| refusal(404), |(_, signed)| json(200, signed)));
    }
    if request.uri().path() == "/api/v1/agent/output" {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        return Ok(take_output(&mut shared.state.lock().unwrap(), &body));
    }
    assert_eq!(request.uri().path(), "/api/v1/agent/sync");
    let accepted = shared.state.lock().unwrap().token.clone();
    if token.unwrap() != format!("Bearer {}", accepted.as_deref().unwrap_or(TOKEN)) {
        return Ok(refusal(401));
    }
    let prefer = request
        .headers()
        .get("prefer")
        .map(|value| value.to_str().unwrap().to_owned());
    let wait: u64 = prefer.unwrap().strip_prefix("wait=").unwrap().parse().unwrap();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let observation: Observation = serde_json::from_slice(&body).unwrap();
    let until = tokio::time::Instant::now() + Duration::from_secs(wait);
    shared
        .state
        .lock()
        .unwrap()
        .observations
        .push(observation.clone());
    loop {
        let changed = shared.changed.notified();
        if let Some(answer) = decide(&shared, &observation) {
            return Ok(answer);
        }
        if tokio::time::timeout_at(until, changed).await.is_err() {
            return Ok(json(200, &Instruction::Idle));
        }
    }
}

/// As the control plane does: nothing twice, and nothing out of its order.
fn take_output(state: &mut PlaneState, body: &[u8]) -> Response<Full<Bytes>> {
    state.output_requests += 1;
    if let Some(status) = state.refuse_output {
        return refusal(status);
    }
    let piece: OutputPiece = serde_json::from_slice(body).unwrap();
    let same = |other: &&OutputPiece| (other.attempt, &other.job) == (piece.attempt, &piece.job);
    let mut next = state.outputs.iter().rfind(same).map_or(0, |last| last.end);
    if piece.start == next + piece.skipped {
        next = piece.end;
        state.outputs.push(piece);
    }
    json(200, &OutputKnown { next, full: false })
}

fn decide(shared: &SharedPlane, observation: &Observation) -> Option<Response<Full<Bytes>>> {
    let mut state = shared.state.lock().unwrap();
    if let Some(status) = state.refuse {
        return Some(refusal(status));
    }
    let hold_at = state.hold_at;
    if let Some(step) = &mut state.assignment {
        follow(step, observation.report.as_ref(), hold_at);
    }
    let instruction = instruct(state.assignment.as_ref(), observation.report.as_ref());
    if instruction == Instruction::Idle {
        return None;
    }
    if state
        .instructed
        .last()
        .is_none_or(|(_, last)| *last != instruction)
    {
        state.instructed.push((Instant::now(), instruction.clone()));
    }
    Some(json(200, &instruction))
}

fn follow(step: &mut Assignment, report: Option<&AttemptReport>, hold_at: Option<StepState>) {
    use {AttemptPhase as P, StepState as S};
    let Some(report) = report.filter(|report| Some(report.attempt) == step.attempt) else {
        return;
    };
    if step.prior.is_none() {
        step.prior.clone_from(&report.prior);
    }
    loop {
        let next = match (step.state, report.phase) {
            (S::Staging, P::Staged) => S::Staged,
            (S::Staged, _) => S::Activating,
            (S::Activating, P::Verifying | P::Verified | P::Committed) => S::Verifying,
            (S::Verifying, P::Verified | P::Committed) => S::Verified,
            (S::Verified, P::Committed) => S::Committed,
            (S::Activating | S::Verifying | S::Verified, P::Reverting) => S::Reverting,
            (S::Committed | S::Reverted, _) => return,
            (_, P::Reverted | P::StageFailed) => S::Reverted,
            (S::Activating | S::Verifying | S::Verified | S::Reverting, P::Stuck) => S::Stuck,
            _ => return,
        };
        let backwards = matches!(next, S::Reverting | S::Reverted | S::Stuck);
        if hold_at == Some(step.state) && !backwards {
            return;
        }
        step.state = next;
    }
}

fn refusal(status: u16) -> Response<Full<Bytes>> {
    let problem =
        serde_json::json!({"type": "about:blank", "title": "refused", "status": status, "detail": "refused"});
    json(status, &problem)
}

fn json(status: u16, body: &impl serde::Serialize) -> Response<Full<Bytes>> {
    let kind = if status == 200 {
        "application/json"
    } else {
        "application/problem+json"
    };
    Response::builder()
        .status(status)
        .header("content-type", kind)
        .body(Full::new(serde_json::to_vec(body).unwrap().into()))
        .unwrap()
}
