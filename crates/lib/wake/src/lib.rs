//! Wake-ups through Redis: they make the control plane quick, and losing them loses nothing.
//!
//! Whoever waits for a wake-up also looks for itself now and then, so Redis may be empty, full, evicting or gone at any
//! time. Nothing here waits for it: [`Wake::connect`] returns at once, connections are made in the background and made
//! again for ever, and every operation ends within half a second.
//!
//! Messages carry what changed, so that thousands of parked requests can be answered without a query each. They are
//! signals and no truth: a message that cannot be read is dropped and logged.

mod connection;
mod limit;
mod message;
mod server;
mod subscribe;

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisError};
use slipway_domain::agent::Assignment;
use slipway_domain::{HostId, RolloutId};
use slipway_settings::RedisSettings;
use tokio::time::{Instant, timeout};
use tracing::{debug, instrument, warn};

pub use limit::Failures;
pub use message::{Topic, WakeUp};
pub use subscribe::Subscription;

use connection::Link;
use limit::LocalCounts;
use server::Server;

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

/// The carrier of wake-ups. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Wake {
    remote: Option<Arc<Remote>>,
    local: Arc<LocalCounts>,
}

#[derive(Debug)]
struct Remote {
    server: Server,
    prefix: String,
    link: Link,
}

impl Wake {
    /// Connects in the background, again and again for as long as this lives. Without settings it does nothing, and all
    /// goes on without wake-ups.
    ///
    /// `namespace` keeps stacks that share one Redis apart: every process of a stack gives the same one, such as the
    /// name of its Postgres database. Must be called within a tokio runtime.
    #[must_use]
    pub fn connect(settings: Option<&RedisSettings>, namespace: &str) -> Self {
        let remote = settings.map(|settings| {
            let server = Server::new(settings);
            Arc::new(Remote {
                link: Link::open(server.clone()),
                prefix: format!("slipway:{namespace}:{}", settings.database),
                server,
            })
        });
        Self {
            remote,
            local: Arc::default(),
        }
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

    /// Whether there is a connection to Redis just now, as far as anybody knows.
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
    #[instrument(name = "wake.publish_rollout", level = "debug", skip_all, fields(%rollout))]
    pub async fn publish_rollout(&self, rollout: RolloutId) {
        self.publish(Topic::Rollouts, vec![message::encode_rollout(rollout)])
            .await;
    }

    /// Wakes the requests of these hosts that are parked at any api replica, with what is asked of each now.
    #[instrument(name = "wake.publish_hosts", level = "debug", skip_all, fields(hosts = hosts.len()))]
    pub async fn publish_hosts(&self, hosts: &[(HostId, Assignment)]) {
        self.publish(Topic::Hosts, message::encode_hosts(hosts)).await;
    }

    /// The wake-ups of one topic from now on, and [`WakeUp::Reconnected`] after every gap.
    #[must_use]
    pub fn subscribe(&self, topic: Topic) -> Subscription {
        match &self.remote {
            Some(remote) => Subscription::open(remote.server.clone(), topic.channel(&remote.prefix)),
            None => Subscription::never(),
        }
    }

    /// Counts a failure under a key, such as an address, and gives how many there were within the window and how long
    /// that lasts yet.
    ///
    /// The window begins with the first failure. All replicas count together; while Redis is gone, each for itself.
    #[instrument(name = "wake.count_failure", level = "debug", skip_all)]
    pub async fn count_failure(&self, key: &str, window_seconds: u32) -> Failures {
        let local = self.local.add(key, window_seconds, Instant::now());
        let counted = self
            .run(async |mut connection: MultiplexedConnection, prefix: &str| {
                let name = failures_key(prefix, key);
                let (count, left): (u32, i64) = redis::pipe()
                    .atomic()
                    .cmd("SET")
                    .arg(&name)
                    .arg(0)
                    .arg("EX")
                    .arg(window_seconds.max(1))
                    .arg("NX")
                    .ignore()
                    .cmd("INCR")
                    .arg(&name)
                    .cmd("PTTL")
                    .arg(&name)
                    .query_async(&mut connection)
                    .await?;
                Ok(remote(count, left))
            })
            .await;
        local.max(counted.unwrap_or_default())
    }

    /// How many failures there were under a key within its window.
    #[instrument(name = "wake.failures", level = "debug", skip_all)]
    pub async fn failures(&self, key: &str) -> Failures {
        let local = self.local.get(key, Instant::now());
        let counted = self
            .run(async |mut connection: MultiplexedConnection, prefix: &str| {
                let name = failures_key(prefix, key);
                let (count, left): (Option<u32>, i64) = redis::pipe()
                    .atomic()
                    .get(&name)
                    .pttl(&name)
                    .query_async(&mut connection)
                    .await?;
                Ok(remote(count.unwrap_or(0), left))
            })
            .await;
        local.max(counted.unwrap_or_default())
    }

    /// Publishing is a help and no duty: what goes wrong is logged and forgotten.
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
                // The link says once when it goes down; saying it again at every wake-up would drown the log.
                Err(WakeError::Down) => return debug!("no wake-up: Redis cannot be reached"),
                Err(error) => return warn!(error = %error, "no wake-up"),
            }
        }
    }

    async fn run<T>(
        &self,
        operation: impl AsyncFnOnce(MultiplexedConnection, &str) -> Result<T, RedisError>,
    ) -> Result<T, WakeError> {
        let remote = self.remote.as_ref().ok_or(WakeError::NotConfigured)?;
        let connection = remote.link.current().ok_or(WakeError::Down)?;
        match timeout(OPERATION_LIMIT, operation(connection, &remote.prefix)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                remote.link.suspect();
                Err(WakeError::Refused(error))
            }
            Err(_) => {
                remote.link.suspect();
                Err(WakeError::TimedOut)
            }
        }
    }
}

/// A key without an end or without a value has a negative time to live.
fn remote(count: u32, milliseconds_left: i64) -> Failures {
    Failures::new(
        count,
        Duration::from_millis(u64::try_from(milliseconds_left).unwrap_or(0)),
    )
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
        assert_eq!(is_send(wake.failures("a")).await.count, 1);
        let mut subscription = wake.subscribe(Topic::Hosts);
        assert!(
            timeout(Duration::from_millis(10), is_send(subscription.recv()))
                .await
                .is_err()
        );
    }
}
