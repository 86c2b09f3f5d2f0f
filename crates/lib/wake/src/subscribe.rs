//! A subscription that outlives its connections.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::RedisError;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::task::AbortHandle;
use tokio::time::{Instant, interval, sleep_until, timeout};
use tracing::{debug, warn};

use crate::OPERATION_LIMIT;
use crate::connection::ReconnectBackoff;
use crate::inbox::Inbox;
use crate::message::{self, WakeUp};
use crate::server::RedisTarget;

/// The least time between two wake-ups of a reader. Wake-ups in between arrive together, so that nobody has to query
/// the database more often.
const PACE: Duration = Duration::from_millis(20);
/// How often dropped messages are logged, so that garbage cannot fill the log.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);
/// A connection without a message is tried this often.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// The longest that subscribing takes.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The wake-ups of one topic. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    inbox: Arc<Inbox>,
    next: Instant,
    reader: Option<AbortHandle>,
}

impl Subscription {
    pub(crate) fn open(server: RedisTarget, channel: String) -> Self {
        let inbox = Arc::new(Inbox::default());
        let reader = SubscriptionReader {
            server,
            channel,
            inbox: Arc::clone(&inbox),
        };
        Self {
            inbox,
            next: Instant::now(),
            reader: Some(tokio::spawn(reader.read_for_ever()).abort_handle()),
        }
    }

    pub(crate) fn never() -> Self {
        Self {
            inbox: Arc::default(),
            next: Instant::now(),
            reader: None,
        }
    }

    /// The next wake-up. Waits for ever while Redis is gone or not set up. May be cancelled without losing any.
    pub async fn recv(&mut self) -> WakeUp {
        sleep_until(self.next).await;
        let wake_up = self.inbox.take().await;
        self.next = Instant::now() + PACE;
        wake_up
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}

/// The task behind a subscription.
struct SubscriptionReader {
    server: RedisTarget,
    channel: String,
    inbox: Arc<Inbox>,
}

impl SubscriptionReader {
    async fn read_for_ever(self) {
        let mut backoff = ReconnectBackoff::new();
        loop {
            // The link for commands already logs when Redis goes and comes.
            match timeout(CONNECT_LIMIT, self.subscribe()).await {
                Ok(Ok((sink, stream))) => {
                    backoff = ReconnectBackoff::new();
                    self.inbox.add(WakeUp::Reconnected);
                    self.read(sink, stream).await;
                    debug!("lost the subscription");
                }
                Ok(Err(error)) => debug!(%error, "cannot subscribe"),
                Err(_) => debug!("cannot subscribe: no answer"),
            }
            backoff.wait().await;
        }
    }

    async fn subscribe(&self) -> Result<(PubSubSink, PubSubStream), RedisError> {
        let mut connection = self.server.client().await?.get_async_pubsub().await?;
        connection.subscribe(&self.channel).await?;
        Ok(connection.split())
    }

    /// Hands wake-ups on until the connection fails.
    async fn read(&self, mut sink: PubSubSink, mut stream: PubSubStream) {
        let mut check = interval(CHECK_EVERY);
        check.tick().await;
        let mut complained: Option<Instant> = None;
        loop {
            tokio::select! {
                message = stream.next() => {
                    let Some(message) = message else { return };
                    match message::decode(message.get_payload_bytes()) {
                        Ok(wake_up) => self.inbox.add(wake_up),
                        Err(error) if complained.is_none_or(|at| at.elapsed() > COMPLAIN_EVERY) => {
                            complained = Some(Instant::now());
                            let source = std::error::Error::source(&error).map(ToString::to_string);
                            warn!(%error, source, "dropped a message; others like it are not told of for a minute");
                        }
                        Err(_) => {}
                    }
                }
                _ = check.tick() => {
                    // A connection does not report by itself that the other end vanished.
                    let answer = timeout(4 * OPERATION_LIMIT, sink.ping::<redis::Value>()).await;
                    if !matches!(answer, Ok(Ok(_))) {
                        return;
                    }
                }
            }
        }
    }
}
