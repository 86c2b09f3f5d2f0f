//! Wake-ups through Redis, which make the control plane quick. The api and the worker use this crate. It must
//! never carry an instruction, and no caller may depend on a wake-up: losing them loses nothing.
//!
//! A reader of wake-ups also queries the database at intervals, so Redis may be empty, full, evicting or gone at any
//! time. No caller waits for Redis. [`Wake::connect`] returns at once and connects in the background, again and again.
//! Every operation ends within half a second.
//!
//! This crate trusts Redis as little as possible. A message names hosts or rollouts and never says what to do. Its reader
//! reads the database, so a forged, late or repeated message changes nothing. A counter only counts if this program can
//! have set it.

mod cause;
mod connection;
mod counts;
mod inbox;
mod limit;
mod message;
mod place;
mod sentinel;
mod server;
mod subscribe;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisError};
use slipway_domain::{HostId, RolloutId};
use slipway_settings::RedisSettings;
use tokio::time::{Instant, timeout};
use tracing::{debug, instrument, warn};

pub use counts::describe_metrics;
pub use limit::FailureCount;
pub use message::{Topic, WakeUp};
pub use subscribe::Subscription;
pub use tls::WakeSetupError;

use connection::RedisLink;
use limit::LocalCounts;
use server::Finder;

/// The longest that one operation takes.
const OPERATION_LIMIT: Duration = Duration::from_millis(500);

/// Why Redis did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WakeError {
    /// None is set up.
    #[error("no Redis is set up")]
    NotConfigured,
    /// It cannot be reached just now.
    #[error("Redis cannot be reached")]
    Down,
    /// It did not answer in time.
    #[error("Redis did not answer within {} ms", OPERATION_LIMIT.as_millis())]
    TimedOut,
    /// It refused.
    #[error("Redis refused the command")]
    Refused(#[source] RedisError),
}

/// Sends and receives wake-ups. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Wake {
    remote: Option<Arc<Remote>>,
    local: Arc<LocalCounts>,
}

#[derive(Debug)]
struct Remote {
    prefix: String,
    link: Arc<RedisLink>,
}

impl Wake {
    /// Connects in the background, again and again while this value lives. Without settings it does nothing, and
    /// callers work without wake-ups.
    ///
    /// `namespace` separates stacks that share one Redis. Every process of a stack uses the same one, such as the
    /// name of its Postgres database. Call it within a tokio runtime. It fails only when a file for TLS cannot be used.
    pub fn connect(settings: Option<&RedisSettings>, namespace: &str) -> Result<Self, WakeSetupError> {
        let Some(settings) = settings else {
            return Ok(Self::none());
        };
        counts::begin();
        let remote = Remote {
            link: Arc::new(RedisLink::open(Finder::new(settings)?)),
            prefix: format!("slipway:{namespace}:{}", settings.database),
        };
        Ok(Self {
            remote: Some(Arc::new(remote)),
            local: Arc::default(),
        })
    }

    /// One that does nothing.
    #[must_use]
    pub fn none() -> Self {
        Self {
            remote: None,
            local: Arc::default(),
        }
    }

    /// Whether Redis is set up at all.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        self.remote.is_some()
    }

    /// Whether there is a connection to Redis now, as far as known.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.remote
            .as_ref()
            .is_some_and(|remote| remote.link.current().is_some())
    }

    /// Asks Redis for an answer and gives how long it took, for health checks.
    #[instrument(name = "wake.ping", level = "debug", skip_all)]
    pub async fn ping(&self) -> Result<Duration, WakeError> {
        let began = Instant::now();
        self.run(async |mut connection: MultiplexedConnection, _| connection.ping::<()>().await)
            .await?;
        Ok(began.elapsed())
    }

    /// Wakes a worker: this rollout has news.
    #[instrument(name = "wake.publish_rollout", level = "debug", skip_all, fields(rollout_id = %rollout))]
    pub async fn publish_rollout(&self, rollout: RolloutId) {
        self.publish(Topic::Rollouts, vec![message::encode_rollout(rollout)])
            .await;
    }

    /// Wakes the parked requests of these hosts at every api replica: each has a new instruction.
    #[instrument(name = "wake.publish_hosts", level = "debug", skip_all, fields(hosts = hosts.len()))]
    pub async fn publish_hosts(&self, hosts: &[HostId]) {
        self.publish(Topic::Hosts, message::encode_hosts(hosts)).await;
    }

    /// The wake-ups of one topic from now on, and [`WakeUp::Reconnected`] after every gap.
    #[must_use]
    pub fn subscribe(&self, topic: Topic) -> Subscription {
        match &self.remote {
            Some(remote) => Subscription::open(Arc::clone(&remote.link), topic.channel(&remote.prefix)),
            None => Subscription::never(),
        }
    }

    /// Counts a failure under a key, such as an address. Returns the count within the window and the rest of the
    /// window.
    ///
    /// The window begins with the first failure. All replicas count together; without Redis each counts for itself.
    #[instrument(name = "wake.count_failure", level = "debug", skip_all)]
    pub async fn count_failure(&self, key: &str, window_seconds: u32) -> FailureCount {
        let local = self.local.add(key, window_seconds, Instant::now());
        match self.change_count("INCR", key, window_seconds).await {
            Ok((count, left)) => {
                if let Some(counted) = FailureCount::believed(count, left, window_seconds) {
                    return local.max(counted);
                }
                warn!("a counter in Redis lasts longer than any of ours does; it counts for nothing");
            }
            Err(WakeError::Refused(error)) if !error.is_io_error() => {
                warn!(%error, "a counter in Redis cannot be counted on; it counts for nothing");
            }
            Err(_) => return local,
        }
        // It would stay for as long as somebody chose.
        let _ = self
            .run(async |mut connection: MultiplexedConnection, prefix: &str| {
                connection.del::<_, ()>(failures_key(prefix, key)).await
            })
            .await;
        local
    }

    /// Undoes one [`Wake::count_failure`], because the try succeeded.
    #[instrument(name = "wake.take_back_failure", level = "debug", skip_all)]
    pub async fn take_back_failure(&self, key: &str, window_seconds: u32) {
        self.local.take_back(key, Instant::now());
        // If this fails, the try counts as a failure for the rest of the window.
        let _ = self.change_count("DECR", key, window_seconds).await;
    }

    /// Changes a counter, and creates a missing one. Returns its value and the milliseconds until it ends.
    async fn change_count(
        &self,
        command: &str,
        key: &str,
        window_seconds: u32,
    ) -> Result<(i64, i64), WakeError> {
        self.run(async |mut connection: MultiplexedConnection, prefix: &str| {
            let name = failures_key(prefix, key);
            redis::pipe()
                .atomic()
                .cmd("SET")
                .arg(&name)
                .arg(0)
                .arg("EX")
                .arg(window_seconds.max(1))
                .arg("NX")
                .ignore()
                .cmd(command)
                .arg(&name)
                .cmd("PTTL")
                .arg(&name)
                .query_async(&mut connection)
                .await
        })
        .await
    }

    /// Publishing only helps, so errors are logged and otherwise ignored.
    async fn publish(&self, topic: Topic, messages: Vec<Vec<u8>>) {
        for message in messages {
            let sent = self
                .run(async |mut connection: MultiplexedConnection, prefix: &str| {
                    connection
                        .publish::<_, _, ()>(topic.channel(prefix), message)
                        .await
                })
                .await;
            match sent {
                Ok(()) => {}
                Err(WakeError::NotConfigured) => return,
                // The link logs once when it goes down; a line for every wake-up would flood the log.
                Err(WakeError::Down) => return debug!("no wake-up: Redis cannot be reached"),
                Err(error) => return warn!(error = %error, "no wake-up"),
            }
        }
    }

    async fn run<T>(
        &self,
        operation: impl AsyncFnOnce(MultiplexedConnection, &str) -> Result<T, RedisError>,
    ) -> Result<T, WakeError> {
        let done = self.run_uncounted(operation).await;
        counts::operation(&done);
        done
    }

    async fn run_uncounted<T>(
        &self,
        operation: impl AsyncFnOnce(MultiplexedConnection, &str) -> Result<T, RedisError>,
    ) -> Result<T, WakeError> {
        let remote = self.remote.as_ref().ok_or(WakeError::NotConfigured)?;
        let connection = remote.link.current().ok_or(WakeError::Down)?;
        match timeout(OPERATION_LIMIT, operation(connection, &remote.prefix)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                remote.link.suspect(Some(&error));
                Err(WakeError::Refused(error))
            }
            Err(_) => {
                remote.link.suspect(None);
                Err(WakeError::TimedOut)
            }
        }
    }
}

fn failures_key(prefix: &str, key: &str) -> String {
    format!("{prefix}:failures:{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_operation_may_move_between_threads() {
        fn is_send<T: Send>(task: T) -> T {
            task
        }
        let wake = Wake::none();
        is_send(wake.publish_rollout(RolloutId::generate())).await;
        is_send(wake.publish_hosts(&[])).await;
        assert!(matches!(
            is_send(wake.ping()).await,
            Err(WakeError::NotConfigured)
        ));
        assert_eq!(is_send(wake.count_failure("a", 60)).await.count, 1);
        is_send(wake.take_back_failure("a", 60)).await;
        assert_eq!(is_send(wake.count_failure("a", 60)).await.count, 1);
        let mut subscription = wake.subscribe(Topic::Hosts);
        assert!(
            timeout(Duration::from_millis(10), is_send(subscription.recv()))
                .await
                .is_err()
        );
    }
}
