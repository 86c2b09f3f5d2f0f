//! Room for open pages: so many in the process, and no more than a share of them for one person.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slipway_domain::PrincipalName;

/// The places of one process. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    most_each: usize,
    taken: Mutex<HashMap<PrincipalName, usize>>,
}

/// A place; dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    of: PrincipalName,
}

impl Places {
    pub(crate) fn new(most: usize, most_each: usize) -> Self {
        Self(Arc::new(Inner {
            most,
            most_each,
            taken: Mutex::default(),
        }))
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<PrincipalName, usize>> {
        // Every change below is whole before anything can panic.
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, unless all are taken or this person has its share.
    pub(crate) fn take(&self, of: &PrincipalName) -> Option<Place> {
        let mut taken = self.taken();
        let all: usize = taken.values().sum();
        let own = taken.get(of).copied().unwrap_or_default();
        if all >= self.0.most || own >= self.0.most_each {
            return None;
        }
        taken.insert(of.clone(), own + 1);
        Some(Place {
            places: self.clone(),
            of: of.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let left = taken.get(&self.of).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            taken.remove(&self.of);
        } else {
            taken.insert(self.of.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_more_than_a_share_and_all_together_no_more_than_there_are() {
        let places = Places::new(5, 2);
        let name = |text: &str| text.parse::<PrincipalName>().unwrap();
        let (ada, bob, eve) = (name("ada"), name("bob"), name("eve"));
        let mut kept: Vec<Place> = [&ada, &ada, &bob, &bob].map(|of| places.take(of).unwrap()).into();
        assert!(places.take(&ada).is_none(), "a third one");
        kept.push(places.take(&eve).unwrap());
        assert!(places.take(&eve).is_none(), "a sixth one of all");
        kept.remove(0);
        kept.push(places.take(&eve).unwrap());
        kept.clear();
        assert!(places.taken().is_empty());
    }
}
