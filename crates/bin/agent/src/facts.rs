//! Gathers the host's facts: once a minute, when a closure was staged, and when the control plane asks about one.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use slipway_domain::{AttemptId, HostFacts, StorePath};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often facts are gathered when nobody asks.
const EVERY: Duration = Duration::from_mins(1);
/// How long the loop that syncs waits for facts that were asked for.
pub(crate) const AWAIT: Duration = Duration::from_secs(8);

/// What the facts are to say, besides what they always do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Question {
    /// The attempt whose closure is staged, and the closure if it is known.
    pub(crate) staged: Option<(AttemptId, Option<StorePath>)>,
    /// The closure that the control plane asks about, and how often it did.
    probe: Option<(StorePath, u64)>,
}

/// Facts, with the number of the time that they were gathered.
#[derive(Debug, Clone)]
pub(crate) struct Gathered {
    number: u64,
    /// Whether somebody waits for them.
    urgent: bool,
    facts: Arc<HostFacts>,
}

/// What the loop that syncs has of the one that gathers.
#[derive(Debug)]
pub(crate) struct FactsLink {
    question: watch::Sender<Question>,
    found: watch::Receiver<Option<Gathered>>,
    /// The number of those that the control plane has.
    told: u64,
    /// The number of those that the request under way carries.
    offered: u64,
}

impl FactsLink {
    /// Facts that the control plane does not have, and their number.
    pub(crate) fn unsent(&mut self) -> Option<(u64, HostFacts)> {
        let found = self.found.borrow_and_update();
        let new = found.as_ref().filter(|found| found.number > self.told)?;
        self.offered = new.number;
        Some((new.number, HostFacts::clone(&new.facts)))
    }

    pub(crate) const fn note_told(&mut self, number: u64) {
        self.told = number;
    }

    /// Has facts gathered about this closure, if that is not under way.
    pub(crate) fn probe(&self, closure: &StorePath) {
        let newest = self.found.borrow().as_ref().map_or(0, |found| found.number);
        self.question.send_if_modified(|question| {
            let asked = Some((closure.clone(), newest));
            let new = question.probe != asked;
            question.probe = asked;
            new
        });
    }

    /// Says which attempt's closure is staged now.
    pub(crate) fn note_staged(&self, staged: Option<(AttemptId, Option<StorePath>)>) {
        self.question.send_if_modified(|question| {
            let new = question.staged != staged;
            question.staged = staged;
            new
        });
    }

    /// Waits for facts that somebody waits for, and that no request under way carries: each ends a request once.
    pub(crate) async fn urgent(&mut self) {
        loop {
            let known = self.told.max(self.offered);
            let urgent = |found: &Option<Gathered>| {
                found
                    .as_ref()
                    .is_some_and(|found| found.urgent && found.number > known)
            };
            // Without the one that gathers there are none.
            if self.found.wait_for(urgent).await.is_ok() {
                return;
            }
            std::future::pending::<()>().await;
        }
    }
}

/// The other end of a [`FactsLink`].
#[derive(Debug)]
pub(crate) struct Gatherer {
    question: watch::Receiver<Question>,
    found: watch::Sender<Option<Gathered>>,
}

/// Both ends.
pub(crate) fn link() -> (FactsLink, Gatherer) {
    let (question, asked) = watch::channel(Question::default());
    let (sender, found) = watch::channel(None);
    let link = FactsLink {
        question,
        found,
        told: 0,
        offered: 0,
    };
    let gatherer = Gatherer {
        question: asked,
        found: sender,
    };
    (link, gatherer)
}

impl Gatherer {
    /// Gathers until stopped.
    pub(crate) async fn run<F: Future<Output = HostFacts> + Send>(
        mut self,
        gather: impl Fn(Option<AttemptId>, Option<StorePath>) -> F + Send,
        stop: CancellationToken,
    ) {
        let mut number = 0;
        let mut answered: Question = Question::default();
        loop {
            let question = self.question.borrow_and_update().clone();
            let probe = question
                .probe
                .clone()
                .filter(|_| question.probe != answered.probe);
            let urgent = probe.is_some() || question.staged != answered.staged;
            let (attempt, staged) = question
                .staged
                .clone()
                .map_or((None, None), |(attempt, closure)| (Some(attempt), closure));
            let closure = probe.map(|(closure, _)| closure).or(staged);
            let facts = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                facts = gather(attempt, closure) => facts,
            };
            answered = question;
            number += 1;
            self.found.send_replace(Some(Gathered {
                number,
                urgent,
                facts: Arc::new(facts),
            }));
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(EVERY) => {}
                changed = self.question.changed() => if changed.is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;

    fn path(name: &str) -> StorePath {
        format!("/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-{name}")
            .parse()
            .unwrap()
    }

    type Asked = Arc<Mutex<Vec<(Duration, Option<AttemptId>, Option<StorePath>)>>>;

    fn rig() -> (FactsLink, Asked, CancellationToken) {
        let (link, gatherer) = link();
        let (asked, stop): (Asked, _) = (Arc::default(), CancellationToken::new());
        let (kept, token, began) = (Arc::clone(&asked), stop.clone(), Instant::now());
        let gather = move |attempt, closure: Option<StorePath>| {
            kept.lock().unwrap().push((began.elapsed(), attempt, closure));
            async move {
                sleep(Duration::from_secs(1)).await;
                HostFacts {
                    attempt,
                    ..HostFacts::default()
                }
            }
        };
        tokio::spawn(gatherer.run(gather, token));
        (link, asked, stop)
    }

    #[tokio::test(start_paused = true)]
    async fn facts_are_gathered_once_a_minute_and_sent_once() {
        let (mut link, asked, _stop) = rig();
        assert!(link.unsent().is_none());
        sleep(Duration::from_secs(2)).await;
        let (number, _) = link.unsent().unwrap();
        assert!(link.unsent().is_some(), "until it was taken");
        link.note_told(number);
        assert!(link.unsent().is_none());
        sleep(Duration::from_secs(62)).await;
        assert_eq!(link.unsent().unwrap().0, number + 1);
        let asked = asked.lock().unwrap();
        assert_eq!(
            (asked[0].0, asked[1].0),
            (Duration::ZERO, Duration::from_secs(61))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_is_answered_at_once_and_once() {
        let (mut link, asked, _stop) = rig();
        sleep(Duration::from_secs(2)).await;
        let (number, _) = link.unsent().unwrap();
        link.note_told(number);
        for _ in 0..5 {
            link.probe(&path("a"));
            sleep(Duration::from_millis(10)).await;
        }
        link.urgent().await;
        let (number, _) = link.unsent().unwrap();
        // The request that carries them is not ended by them.
        let again = tokio::time::timeout(Duration::from_secs(1), link.urgent()).await;
        assert!(again.is_err(), "they would end each request that carries them");
        link.note_told(number);
        {
            let asked = asked.lock().unwrap();
            assert_eq!(asked.len(), 2, "{asked:?}");
            assert_eq!(asked[1].2, Some(path("a")));
        }
        // Later facts are not about it any more, until it is asked again.
        sleep(Duration::from_secs(70)).await;
        assert_eq!(asked.lock().unwrap()[2].2, None);
        link.probe(&path("a"));
        sleep(Duration::from_secs(2)).await;
        assert_eq!(asked.lock().unwrap()[3].2, Some(path("a")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_staged_closure_is_looked_at_at_once_and_as_long_as_it_is_staged() {
        let (mut link, asked, _stop) = rig();
        sleep(Duration::from_secs(2)).await;
        let attempt = AttemptId::random();
        link.note_staged(Some((attempt, Some(path("a")))));
        link.urgent().await;
        assert_eq!(link.unsent().unwrap().1.attempt, Some(attempt));
        sleep(Duration::from_secs(62)).await;
        link.note_staged(None);
        sleep(Duration::from_secs(2)).await;
        let closures: Vec<_> = asked
            .lock()
            .unwrap()
            .iter()
            .map(|(_, _, closure)| closure.clone())
            .collect();
        assert_eq!(closures, [None, Some(path("a")), Some(path("a")), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_stops_at_once() {
        let (link, _, stop) = rig();
        stop.cancel();
        sleep(Duration::from_millis(1)).await;
        assert!(link.question.is_closed());
    }
}
