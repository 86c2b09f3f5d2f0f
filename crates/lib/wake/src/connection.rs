//! The connection for commands: one shared connection, watched in the background.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::cause::ConnectError;
use crate::counts;
use crate::server::{Access, Finder, Live};

/// How often the connection is tested while nobody complains, and Sentinels are asked.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// How long to wait between two tries to connect.
#[derive(Debug)]
pub(crate) struct ReconnectBackoff(Duration);

impl ReconnectBackoff {
    const LEAST: Duration = Duration::from_millis(100);
    /// After a failover everybody is there again this soon, and a server that comes back is not stormed.
    const MOST: Duration = Duration::from_secs(1);

    pub(crate) const fn new() -> Self {
        Self(Self::LEAST)
    }

    /// Waits, and doubles the next wait.
    pub(crate) async fn wait(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(Self::MOST);
    }
}

/// A connection while there is one.
pub(crate) struct RedisLink {
    current: watch::Receiver<Option<Live>>,
    doubt: Arc<Doubt>,
    access: Access,
    keeper: AbortHandle,
}

/// What callers say of the connection.
#[derive(Debug, Default)]
struct Doubt {
    told: Notify,
    /// A write was refused because the server is a replica.
    demoted: AtomicBool,
}

impl RedisLink {
    /// Begins to connect and returns at once.
    pub(crate) fn open(finder: Finder) -> Self {
        let (publish, current) = watch::channel(None);
        let (doubt, access) = (Arc::new(Doubt::default()), finder.access());
        let keeper = tokio::spawn(keep(finder, publish, Arc::clone(&doubt))).abort_handle();
        Self {
            current,
            doubt,
            access,
            keeper,
        }
    }

    pub(crate) fn current(&self) -> Option<MultiplexedConnection> {
        self.current.borrow().as_ref().map(|live| live.connection.clone())
    }

    /// Every change of the connection, for who needs another one to the same server.
    pub(crate) fn follow(&self) -> watch::Receiver<Option<Live>> {
        self.current.clone()
    }

    pub(crate) const fn access(&self) -> &Access {
        &self.access
    }

    /// Tests the connection now, since somebody had trouble with it.
    pub(crate) fn suspect(&self, trouble: Option<&RedisError>) {
        let is_read_only = |error: &RedisError| error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
        if trouble.is_some_and(is_read_only) {
            self.doubt.demoted.store(true, Ordering::Relaxed);
        }
        self.doubt.told.notify_one();
    }
}

impl fmt::Debug for RedisLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.current.borrow().as_ref().map(|live| live.place.to_string());
        f.debug_struct("RedisLink")
            .field("place", &place)
            .finish_non_exhaustive()
    }
}

impl Drop for RedisLink {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Connects, watches the connection until it fails, and begins again, for ever.
async fn keep(mut finder: Finder, publish: watch::Sender<Option<Live>>, doubt: Arc<Doubt>) {
    let mut backoff = ReconnectBackoff::new();
    let mut logged = false;
    loop {
        match finder.connect().await {
            Ok(mut live) => {
                info!(server = %live.place, "connected to Redis");
                logged = false;
                doubt.demoted.store(false, Ordering::Relaxed);
                let began = Instant::now();
                publish.send_replace(Some(live.clone()));
                counts::connected(true);
                let lost = watch_over(&mut finder, &mut live, &doubt).await;
                publish.send_replace(None);
                counts::connected(false);
                warn!(
                    reason = lost.in_words(),
                    "lost Redis; going on without wake-ups until it is back"
                );
                // One that fails again and again at once is not tried without a pause.
                if began.elapsed() > CHECK_EVERY {
                    backoff = ReconnectBackoff::new();
                }
            }
            Err(error) if !logged => {
                warn!(
                    reason = error.in_words(),
                    "cannot reach Redis; going on without wake-ups until it is there"
                );
                logged = true;
            }
            Err(_) => {}
        }
        backoff.wait().await;
    }
}

/// Returns the reason once the connection has failed.
async fn watch_over(finder: &mut Finder, live: &mut Live, doubt: &Doubt) -> ConnectError {
    loop {
        // Whether it is time or somebody complains: look.
        timeout(CHECK_EVERY, doubt.told.notified()).await.ok();
        if doubt.demoted.load(Ordering::Relaxed) {
            return ConnectError::Replica(live.place.clone());
        }
        if let Err(error) = finder.check(live).await {
            return error;
        }
    }
}
