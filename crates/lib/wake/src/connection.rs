//! The connection for commands: one shared connection, watched in the background.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;
use redis::aio::MultiplexedConnection;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::server::RedisTarget;
use crate::{OPERATION_LIMIT, counts};

/// How often the connection is tested while nobody complains.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// The longest that making a connection takes, name lookup and sentinels included.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long to wait between two tries to connect.
#[derive(Debug)]
pub(crate) struct ReconnectBackoff(Duration);

impl ReconnectBackoff {
    const LEAST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(5);

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
#[derive(Debug)]
pub(crate) struct RedisLink {
    current: watch::Receiver<Option<MultiplexedConnection>>,
    suspect: Arc<Notify>,
    keeper: AbortHandle,
}

impl RedisLink {
    /// Begins to connect and returns at once.
    pub(crate) fn open(server: RedisTarget) -> Self {
        let (publish, current) = watch::channel(None);
        let suspect = Arc::new(Notify::new());
        let keeper = tokio::spawn(keep(server, publish, Arc::clone(&suspect))).abort_handle();
        Self {
            current,
            suspect,
            keeper,
        }
    }

    pub(crate) fn current(&self) -> Option<MultiplexedConnection> {
        self.current.borrow().clone()
    }

    /// Tests the connection now, since somebody had trouble with it.
    pub(crate) fn suspect(&self) {
        self.suspect.notify_one();
    }
}

impl Drop for RedisLink {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Connects, watches the connection until it fails, and begins again, for ever.
async fn keep(
    server: RedisTarget,
    publish: watch::Sender<Option<MultiplexedConnection>>,
    suspect: Arc<Notify>,
) {
    let mut backoff = ReconnectBackoff::new();
    let mut logged = false;
    loop {
        match connect(&server).await {
            Ok(mut connection) => {
                info!("connected to Redis");
                (backoff, logged) = (ReconnectBackoff::new(), false);
                publish.send_replace(Some(connection.clone()));
                counts::connected(true);
                let lost = watch_over(&mut connection, &suspect).await;
                publish.send_replace(None);
                counts::connected(false);
                warn!(
                    reason = lost,
                    "lost Redis; going on without wake-ups until it is back"
                );
            }
            Err(error) if !logged => {
                warn!(
                    reason = error,
                    "cannot reach Redis; going on without wake-ups until it is there"
                );
                logged = true;
            }
            Err(_) => {}
        }
        backoff.wait().await;
    }
}

async fn connect(server: &RedisTarget) -> Result<MultiplexedConnection, String> {
    let attempt = async {
        let client = server.client().await?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&RedisTarget::limits())
            .await?;
        ping(&mut connection).await?;
        Ok::<_, RedisError>(connection)
    };
    match timeout(CONNECT_LIMIT, attempt).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", CONNECT_LIMIT.as_secs())),
    }
}

/// Returns the reason once the connection has failed.
async fn watch_over(connection: &mut MultiplexedConnection, suspect: &Notify) -> String {
    loop {
        // Whether it is time or somebody complains: look.
        timeout(CHECK_EVERY, suspect.notified()).await.ok();
        match timeout(2 * OPERATION_LIMIT, ping(connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "no answer to a ping".to_owned(),
        }
    }
}

async fn ping(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    redis::cmd("PING").query_async(connection).await
}
