//! Watches every host's profile: it must only ever point to a closure that was verified on that host.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use slipway_domain::{HostName, Timestamp};
use tokio::task::JoinHandle;

use crate::stack::hosts::DevHost;

const INTERVAL: Duration = Duration::from_millis(10);

/// A profile that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    /// Whose.
    pub(super) host: HostName,
    /// Where to.
    pub(super) closure: PathBuf,
    /// When it was seen there.
    pub(super) at: Timestamp,
}

/// A closure that passed its checks on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verified {
    /// Where.
    pub(super) host: HostName,
    /// What.
    pub(super) closure: PathBuf,
    /// When the control plane noted it.
    pub(super) at: Timestamp,
}

/// The watcher at work. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Watcher {
    moves: Arc<Mutex<Vec<Move>>>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Begins to look.
    #[must_use]
    pub(super) fn start(hosts: &[DevHost]) -> Self {
        let moves = Arc::new(Mutex::new(Vec::new()));
        let (shared, hosts) = (Arc::clone(&moves), hosts.to_vec());
        // The installed system is the start, not a move.
        let begin = hosts
            .iter()
            .filter_map(|host| Some((host.name.clone(), host.profile_target()?)));
        let mut last: BTreeMap<HostName, PathBuf> = begin.collect();
        let task = tokio::spawn(async move {
            loop {
                for host in &hosts {
                    let Some(closure) = host.profile_target() else {
                        continue;
                    };
                    if last.get(&host.name) != Some(&closure) {
                        last.insert(host.name.clone(), closure.clone());
                        let entry = Move {
                            host: host.name.clone(),
                            closure,
                            at: SystemTime::now().into(),
                        };
                        shared.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
                    }
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        Self { moves, task }
    }

    /// Every move so far.
    #[must_use]
    pub(super) fn moves(&self) -> Vec<Move> {
        self.moves.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The moves to a closure that was not verified on that host before.
#[must_use]
pub(super) fn unverified<'a>(moves: &'a [Move], verified: &[Verified]) -> Vec<&'a Move> {
    let allowed = |entry: &&Move| {
        !verified
            .iter()
            .any(|known| known.host == entry.host && known.closure == entry.closure && known.at <= entry.at)
    };
    moves.iter().filter(allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        (SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).into()
    }

    #[test]
    fn a_profile_that_moved_too_early_elsewhere_or_unverified_is_found() {
        let move_to = |host: &str, closure: &str, seconds| Move {
            host: host.parse().unwrap(),
            closure: closure.into(),
            at: at(seconds),
        };
        let moves = [
            move_to("a", "/v1", 10),
            move_to("a", "/v2", 19),
            move_to("b", "/v1", 30),
            move_to("a", "/v3", 40),
        ];
        let passed = |closure: &str, seconds| Verified {
            host: "a".parse().unwrap(),
            closure: closure.into(),
            at: at(seconds),
        };
        let found = unverified(&moves, &[passed("/v1", 9), passed("/v2", 20)]);
        assert_eq!(found, [&moves[1], &moves[2], &moves[3]]);
    }
}
