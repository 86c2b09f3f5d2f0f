//! Room for work of which a process does only so much at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::error::{ApiError, Result};

/// A place, until it is dropped.
pub(crate) type Place = OwnedSemaphorePermit;

/// So many places, and how long a request waits for one before it is asked to come again.
#[derive(Debug)]
pub(crate) struct Room {
    places: Arc<Semaphore>,
    wait: Duration,
}

impl Room {
    pub(crate) fn new(places: usize, wait: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            wait,
        }
    }

    /// A place, if there is one in time.
    pub(crate) async fn place(&self) -> Result<Place> {
        let place = Arc::clone(&self.places).acquire_owned();
        let in_time = timeout(self.wait, place).await;
        in_time.ok().and_then(Result::ok).ok_or_else(ApiError::crowded)
    }
}

/// So many at once, of work that waits for its turn as long as it must.
#[derive(Debug, Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    /// At least one.
    pub(crate) fn new(most: u32) -> Self {
        Self(Arc::new(Semaphore::new(most.max(1) as usize)))
    }

    /// Nobody closes it, so there always is one.
    pub(crate) async fn take(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok()
    }
}
