//! Requests that wait: agents for an instruction, people for events.
//!
//! A sync without news is parked here until its host is woken. A wake-up through Redis names the host, or the periodic
//! query for all parked hosts finds it ([`crate::watch`]). All woken hosts are looked up in one query, and those with an
//! instruction are answered.
//!
//! A request misses no news, and gets none that is older than what it has read. It is parked before its host's assignment
//! is read the first time, so it sees every later change. It is looked up only after that read.
//!
//! Hosts and people have places of their own, and no principal gets more than its share: nobody can keep agents waiting by
//! watching.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slipway_domain::{HostId, Instruction, PrincipalId};
use tokio::sync::{Notify, oneshot};

/// One of so many places is for people, the others are for hosts.
const PEOPLE_SHARE: usize = 4;
/// The most places of one principal. Each costs a query at every event.
const PRINCIPAL_PLACES: usize = 16;

/// Why a parked sync is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncOutcome {
    /// There is something to do.
    Instruct(Instruction),
    /// A newer sync of the same host took its place.
    Replaced,
    /// The server stops.
    Draining,
    /// There was no room to wait.
    Full,
}

/// There is no room for another waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// All parked requests of this process. Clones share it.
#[derive(Debug, Clone)]
pub struct Parking(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most_hosts: usize,
    most_people: usize,
    state: Mutex<State>,
    /// Somebody is to be looked up.
    woken: Notify,
}

#[derive(Debug, Default)]
struct State {
    hosts: HashMap<HostId, Slot>,
    /// Requests that wait for something else, such as for events.
    people: HashMap<PrincipalId, usize>,
    next: u64,
    draining: bool,
}

#[derive(Debug)]
struct Slot {
    number: u64,
    outcome: oneshot::Sender<SyncOutcome>,
    /// It has read its host's assignment, found nothing to do, and waits.
    waits: bool,
    /// Its host is to be looked up.
    woken: bool,
}

/// A parked sync that is looked up. By the time of the answer a newer one may have its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WokenSync {
    /// Its host.
    pub host: HostId,
    number: u64,
}

impl Parking {
    /// Room for `most` waiting requests.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let most_people = (most / PEOPLE_SHARE).max(1);
        let parking = Self(Arc::new(Inner {
            most_hosts: most.saturating_sub(most_people).max(1),
            most_people,
            state: Mutex::default(),
            woken: Notify::new(),
        }));
        // There from the start, and not from the first request on.
        parking.state().show();
        parking
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change below is whole before anything can panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Parks a host's sync; an older sync of the host is sent away. Without room it hears so at once.
    #[must_use]
    pub fn park(&self, host: HostId) -> Parked {
        let (outcome, wait) = oneshot::channel();
        let mut state = self.state();
        let replaces = state.hosts.contains_key(&host);
        let number = if state.draining {
            let _ = outcome.send(SyncOutcome::Draining);
            None
        } else if !replaces && state.hosts.len() >= self.0.most_hosts {
            let _ = outcome.send(SyncOutcome::Full);
            None
        } else {
            state.next += 1;
            let slot = Slot {
                number: state.next,
                outcome,
                waits: false,
                woken: false,
            };
            if let Some(older) = state.hosts.insert(host, slot) {
                let _ = older.outcome.send(SyncOutcome::Replaced);
            }
            state.show();
            Some(state.next)
        };
        Parked {
            parking: self.clone(),
            host,
            number,
            wait,
        }
    }

    /// Room for a principal's request that waits for something else than an instruction.
    pub fn reserve(&self, principal: PrincipalId) -> Result<Reserved, Full> {
        let most_own = PRINCIPAL_PLACES.min((self.0.most_people / 2).max(1));
        let mut state = self.state();
        let all: usize = state.people.values().sum();
        let own = state.people.get(&principal).copied().unwrap_or_default();
        if all >= self.0.most_people || own >= most_own {
            return Err(Full);
        }
        state.people.insert(principal, own + 1);
        state.show();
        Ok(Reserved {
            parking: self.clone(),
            principal,
        })
    }

    /// These hosts may have news. Those that are not parked here are ignored.
    pub fn wake(&self, hosts: &HashSet<HostId>) {
        let mut state = self.state();
        // The smaller side: a message may name more hosts than are parked, and the other way round.
        if hosts.len() < state.hosts.len() {
            for host in hosts {
                if let Some(slot) = state.hosts.get_mut(host) {
                    slot.woken = true;
                }
            }
        } else {
            for (host, slot) in &mut state.hosts {
                slot.woken |= hosts.contains(host);
            }
        }
        drop(state);
        self.0.woken.notify_one();
    }

    /// Every parked host may have news.
    pub fn wake_all(&self) {
        self.state().hosts.values_mut().for_each(|slot| slot.woken = true);
        self.0.woken.notify_one();
    }

    /// Waits until somebody may be there to be looked up.
    pub async fn woken(&self) {
        self.0.woken.notified().await;
    }

    /// Everybody who is to be looked up now. Look after this, and not before.
    #[must_use]
    pub fn take_woken(&self) -> Vec<WokenSync> {
        let mut state = self.state();
        let woken = state
            .hosts
            .iter_mut()
            .filter(|(_, slot)| slot.woken && slot.waits);
        woken
            .map(|(host, slot)| {
                slot.woken = false;
                WokenSync {
                    host: *host,
                    number: slot.number,
                }
            })
            .collect()
    }

    /// Answers a parked sync, unless a newer one has its place.
    pub fn deliver(&self, sync: WokenSync, instruction: Instruction) {
        let mut state = self.state();
        let slot = state.hosts.remove(&sync.host);
        match slot {
            Some(slot) if slot.number == sync.number => {
                let _ = slot.outcome.send(SyncOutcome::Instruct(instruction));
            }
            newer => state.hosts.extend(newer.map(|slot| (sync.host, slot))),
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
            let _ = slot.outcome.send(SyncOutcome::Draining);
        }
        state.show();
    }
}

impl State {
    fn show(&self) {
        let waiting = self.hosts.len() + self.people.values().sum::<usize>();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a count of connections is far below 2^52"
        )]
        metrics::gauge!("slipway_parked_requests").set(waiting as f64);
    }
}

/// A parked sync; dropping it frees its place, also when its client went away.
#[derive(Debug)]
pub struct Parked {
    parking: Parking,
    host: HostId,
    number: Option<u64>,
    wait: oneshot::Receiver<SyncOutcome>,
}

impl Parked {
    /// Waits for the outcome. Call it once the host's assignment was read: from here on it is looked up.
    pub async fn outcome(&mut self) -> SyncOutcome {
        self.begin_to_wait();
        // The sender is dropped only after it was used, or with the whole process.
        (&mut self.wait).await.unwrap_or(SyncOutcome::Draining)
    }

    fn begin_to_wait(&self) {
        let mut state = self.parking.state();
        let own = state.hosts.get_mut(&self.host);
        if let Some(slot) = own.filter(|slot| Some(slot.number) == self.number) {
            slot.waits = true;
            // Woken while it read: what it read may be older.
            if slot.woken {
                self.parking.0.woken.notify_one();
            }
        }
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
pub struct Reserved {
    parking: Parking,
    principal: PrincipalId,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut state = self.parking.state();
        if let Some(own) = state.people.get_mut(&self.principal) {
            *own -= 1;
            if *own == 0 {
                state.people.remove(&self.principal);
            }
        }
        state.show();
    }
}

/// How many requests may wait: half of the process's limit on open files. The other half is for health, operators
/// and the database.
#[must_use]
pub fn most_parked() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit
        .and_then(|files| usize::try_from(files / 2).ok())
        .unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use slipway_domain::AttemptId;

    use super::*;

    fn commit() -> Instruction {
        Instruction::Commit {
            attempt: AttemptId::random(),
        }
    }

    fn outcome_of(parked: &mut Parked) -> Option<SyncOutcome> {
        parked.outcome().now_or_never()
    }

    /// The host's sync once it waits and was woken.
    fn woken(parking: &Parking, host: HostId) -> WokenSync {
        parking.wake(&HashSet::from([host]));
        let syncs = parking.take_woken();
        assert_eq!(syncs.len(), 1);
        syncs[0]
    }

    #[test]
    fn news_answers_its_host_and_no_other() {
        let parking = Parking::new(10);
        let (one, two) = (HostId::generate(), HostId::generate());
        let mut parked = parking.park(one);
        let mut other = parking.park(two);
        assert_eq!((outcome_of(&mut parked), outcome_of(&mut other)), (None, None));
        parking.deliver(woken(&parking, one), commit());
        assert!(matches!(
            outcome_of(&mut parked),
            Some(SyncOutcome::Instruct(Instruction::Commit { .. }))
        ));
        assert_eq!(outcome_of(&mut other), None);
        assert_eq!(parking.hosts(), [two]);
    }

    #[test]
    fn whoever_is_woken_while_it_reads_is_looked_up_when_it_has_read() {
        let parking = Parking::new(10);
        let host = HostId::generate();
        let mut parked = parking.park(host);
        parking.wake(&HashSet::from([host]));
        assert!(parking.woken().now_or_never().is_some());
        assert_eq!(parking.take_woken(), [], "its own read is not done");
        assert_eq!(outcome_of(&mut parked), None);
        assert!(parking.woken().now_or_never().is_some());
        assert_eq!(parking.take_woken().len(), 1);
        assert_eq!(parking.take_woken(), [], "once is enough");
    }

    #[test]
    fn what_was_looked_up_for_an_older_sync_is_not_told_to_a_newer_one() {
        let parking = Parking::new(10);
        let host = HostId::generate();
        let mut older = parking.park(host);
        assert_eq!(outcome_of(&mut older), None);
        let sync = woken(&parking, host);
        let mut newer = parking.park(host);
        assert_eq!(outcome_of(&mut older), Some(SyncOutcome::Replaced));
        parking.deliver(sync, commit());
        assert_eq!(outcome_of(&mut newer), None);
    }

    #[test]
    fn strangers_in_a_message_wake_nobody() {
        let parking = Parking::new(10);
        let mut parked = parking.park(HostId::generate());
        assert_eq!(outcome_of(&mut parked), None);
        for strangers in [1, 100] {
            parking.wake(&(0..strangers).map(|_| HostId::generate()).collect());
            assert_eq!(parking.take_woken(), []);
        }
    }

    #[test]
    fn a_newer_sync_takes_the_place_of_the_older() {
        let parking = Parking::new(1);
        let host = HostId::generate();
        let mut older = parking.park(host);
        let mut newer = parking.park(host);
        assert_eq!(outcome_of(&mut older), Some(SyncOutcome::Replaced));
        drop(older);
        assert_eq!(outcome_of(&mut newer), None);
        parking.deliver(woken(&parking, host), commit());
        assert!(matches!(outcome_of(&mut newer), Some(SyncOutcome::Instruct(_))));
    }

    #[test]
    fn whoever_watches_takes_no_place_of_a_host() {
        let parking = Parking::new(8);
        let people: Vec<_> = (0..10)
            .map(|_| parking.reserve(PrincipalId::generate()))
            .collect();
        assert_eq!(people.iter().filter(|place| place.is_ok()).count(), 2);
        let mut hosts: Vec<_> = (0..10).map(|_| parking.park(HostId::generate())).collect();
        let refused = hosts.iter_mut().filter_map(outcome_of);
        assert_eq!(
            refused.collect::<Vec<_>>(),
            [
                SyncOutcome::Full,
                SyncOutcome::Full,
                SyncOutcome::Full,
                SyncOutcome::Full
            ]
        );
        drop(people);
        assert!(parking.reserve(PrincipalId::generate()).is_ok());
        drop(hosts);
        assert!(parking.hosts().is_empty());
    }

    #[test]
    fn nobody_gets_more_places_than_their_share() {
        let parking = Parking::new(1000);
        let (greedy, other) = (PrincipalId::generate(), PrincipalId::generate());
        let mut own: Vec<_> = (0..PRINCIPAL_PLACES)
            .map(|_| parking.reserve(greedy).unwrap())
            .collect();
        assert_eq!(parking.reserve(greedy).unwrap_err(), Full);
        assert!(parking.reserve(other).is_ok());
        own.pop();
        assert!(parking.reserve(greedy).is_ok());
    }

    #[test]
    fn a_drain_answers_everybody_and_stays() {
        let parking = Parking::new(8);
        let mut before = parking.park(HostId::generate());
        parking.drain();
        assert_eq!(outcome_of(&mut before), Some(SyncOutcome::Draining));
        let mut after = parking.park(HostId::generate());
        assert_eq!(outcome_of(&mut after), Some(SyncOutcome::Draining));
    }
}
