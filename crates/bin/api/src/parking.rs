//! Agents that wait for an instruction.
//!
//! A sync without news is parked here until something concerns its host: a wake-up through Redis, which carries the
//! host's assignment, or the look that is taken every 2 s for all parked hosts in one query ([`crate::feed`]).
//!
//! No news is missed: a sync is parked before its host's assignment is read for the last time, so whatever changes
//! after that read finds it here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slipway_domain::agent::{Assignment, AttemptReport, instruct};
use slipway_domain::{HostId, Instruction};
use tokio::sync::oneshot;

/// Why a parked sync is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// There is something to do.
    Instruct(Instruction),
    /// A newer sync of the same host took its place.
    Replaced,
    /// The server stops.
    Draining,
}

/// There is no room for another waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// All parked requests of this process. Clones share it.
#[derive(Debug, Clone)]
pub struct Parking(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    hosts: HashMap<HostId, Slot>,
    /// Requests that wait for something else, such as for events.
    others: usize,
    next: u64,
    draining: bool,
}

#[derive(Debug)]
struct Slot {
    number: u64,
    report: Option<AttemptReport>,
    news: oneshot::Sender<News>,
}

impl Parking {
    /// Room for `most` waiting requests.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let parking = Self(Arc::new(Inner {
            most,
            state: Mutex::default(),
        }));
        // There from the start, and not from the first request on.
        parking.state().show();
        parking
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change below is whole before anything can panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Parks a host's sync with its report; an older sync of the host is sent away.
    pub fn park(&self, host: HostId, report: Option<AttemptReport>) -> Result<Parked, Full> {
        let (news, wait) = oneshot::channel();
        let mut state = self.state();
        if state.draining {
            let _ = news.send(News::Draining);
            return Ok(Parked {
                parking: self.clone(),
                host,
                number: None,
                wait,
            });
        }
        let replaces = state.hosts.contains_key(&host);
        if !replaces && state.waiting() >= self.0.most {
            return Err(Full);
        }
        state.next += 1;
        let number = state.next;
        if let Some(older) = state.hosts.insert(host, Slot { number, report, news }) {
            let _ = older.news.send(News::Replaced);
        }
        state.show();
        Ok(Parked {
            parking: self.clone(),
            host,
            number: Some(number),
            wait,
        })
    }

    /// Room for a request that waits for something else than an instruction.
    pub fn reserve(&self) -> Result<Reserved, Full> {
        let mut state = self.state();
        if state.waiting() >= self.0.most {
            return Err(Full);
        }
        state.others += 1;
        state.show();
        Ok(Reserved(self.clone()))
    }

    /// Tells a parked sync what its host's assignment is now; it is answered when there is something to do.
    pub fn deliver(&self, host: HostId, assignment: Option<&Assignment>) {
        let mut state = self.state();
        let Some(slot) = state.hosts.get(&host) else {
            return;
        };
        let instruction = instruct(assignment, slot.report.as_ref());
        if instruction == Instruction::Idle {
            return;
        }
        if let Some(slot) = state.hosts.remove(&host) {
            let _ = slot.news.send(News::Instruct(instruction));
        }
        state.show();
    }

    /// The hosts whose syncs are parked.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostId> {
        self.state().hosts.keys().copied().collect()
    }

    /// Answers everybody, now and from now on.
    pub fn drain(&self) {
        let mut state = self.state();
        state.draining = true;
        for (_, slot) in state.hosts.drain() {
            let _ = slot.news.send(News::Draining);
        }
        state.show();
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.hosts.len() + self.others
    }

    fn show(&self) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a count of connections is far below 2^52"
        )]
        metrics::gauge!("slipway_parked_requests").set(self.waiting() as f64);
    }
}

/// A parked sync; dropping it frees its place, also when its client went away.
#[derive(Debug)]
pub struct Parked {
    parking: Parking,
    host: HostId,
    number: Option<u64>,
    wait: oneshot::Receiver<News>,
}

impl Parked {
    /// Waits for news.
    pub async fn news(&mut self) -> News {
        // The sender is dropped only after it was used, or with the whole process.
        (&mut self.wait).await.unwrap_or(News::Draining)
    }

    /// News that is there already.
    pub fn news_now(&mut self) -> Option<News> {
        self.wait.try_recv().ok()
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        let mut state = self.parking.state();
        if self.number.is_some() && state.hosts.get(&self.host).map(|slot| slot.number) == self.number {
            state.hosts.remove(&self.host);
            state.show();
        }
    }
}

/// A place for a request that waits for something else.
#[derive(Debug)]
pub struct Reserved(Parking);

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.others -= 1;
        state.show();
    }
}

/// How many requests may wait: half of the files that the process may have open, so that the other half is there for
/// health, operators and the database.
#[must_use]
pub fn most_parked() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit
        .and_then(|files| usize::try_from(files / 2).ok())
        .unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use slipway_domain::{AttemptId, StepState, Strategy};

    use super::*;

    fn staging() -> Assignment {
        Assignment {
            state: StepState::Staging,
            attempt: Some(AttemptId::random()),
            closure: "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-a".parse().unwrap(),
            prior: None,
            strategy: Strategy::default(),
        }
    }

    #[tokio::test]
    async fn news_answers_its_host_and_no_other() {
        let parking = Parking::new(10);
        let (one, two) = (HostId::generate(), HostId::generate());
        let mut parked = parking.park(one, None).unwrap();
        let mut other = parking.park(two, None).unwrap();
        parking.deliver(one, Some(&staging()));
        assert!(matches!(
            parked.news().await,
            News::Instruct(Instruction::Stage { .. })
        ));
        assert_eq!(other.news_now(), None);
        assert_eq!(parking.hosts(), [two]);
    }

    #[tokio::test]
    async fn an_assignment_without_anything_to_do_wakes_nobody() {
        let parking = Parking::new(10);
        let host = HostId::generate();
        let mut parked = parking.park(host, None).unwrap();
        parking.deliver(host, None);
        parking.deliver(
            host,
            Some(&Assignment {
                state: StepState::Committed,
                ..staging()
            }),
        );
        assert_eq!(parked.news_now(), None);
    }

    #[tokio::test]
    async fn a_newer_sync_takes_the_place_of_the_older() {
        let parking = Parking::new(1);
        let host = HostId::generate();
        let mut older = parking.park(host, None).unwrap();
        let mut newer = parking.park(host, None).unwrap();
        assert_eq!(older.news().await, News::Replaced);
        drop(older);
        parking.deliver(host, Some(&staging()));
        assert!(matches!(newer.news().await, News::Instruct(_)));
    }

    #[test]
    fn there_is_no_room_beyond_the_limit() {
        let parking = Parking::new(2);
        let first = parking.park(HostId::generate(), None).unwrap();
        let second = parking.reserve().unwrap();
        assert_eq!(parking.park(HostId::generate(), None).unwrap_err(), Full);
        assert_eq!(parking.reserve().unwrap_err(), Full);
        drop(first);
        let third = parking.park(HostId::generate(), None).unwrap();
        drop(second);
        assert!(parking.reserve().is_ok());
        drop(third);
        assert!(parking.hosts().is_empty());
    }

    #[tokio::test]
    async fn a_drain_answers_everybody_and_stays() {
        let parking = Parking::new(2);
        let mut before = parking.park(HostId::generate(), None).unwrap();
        parking.drain();
        assert_eq!(before.news().await, News::Draining);
        let mut after = parking.park(HostId::generate(), None).unwrap();
        assert_eq!(after.news().await, News::Draining);
    }
}
