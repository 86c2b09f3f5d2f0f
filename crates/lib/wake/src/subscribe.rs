//! A subscription that outlives its connections.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::task::AbortHandle;
use tokio::time::{Instant, interval, sleep_until, timeout};
use tracing::{debug, warn};

use crate::OPERATION_LIMIT;
use crate::connection::{ReconnectBackoff, RedisLink};
use crate::inbox::Inbox;
use crate::message::{self, WakeUp};

/// The least time between two wake-ups of a reader. Wake-ups in between arrive together, so that nobody has to query
/// the database more often.
const PACE: Duration = Duration::from_millis(20);
/// How often dropped messages are logged, so that garbage cannot fill the log.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);
/// A connection without a message is tried this often.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// The wake-ups of one topic. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    inbox: Arc<Inbox>,
    next: Instant,
    reader: Option<AbortHandle>,
}

impl Subscription {
    pub(crate) fn open(link: Arc<RedisLink>, channel: String) -> Self {
        let inbox = Arc::new(Inbox::default());
        let reader = SubscriptionReader {
            link,
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
    link: Arc<RedisLink>,
    channel: String,
    inbox: Arc<Inbox>,
}

impl SubscriptionReader {
    /// Subscribes where commands go, and again wherever they go next: who publishes and who listens are at one server.
    async fn read_for_ever(self) {
        let mut backoff = ReconnectBackoff::new();
        let mut link = self.link.follow();
        loop {
            // The link for commands already logs when Redis goes and comes.
            let place = match link.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(live)) => live.place.clone(),
                _ => return,
            };
            let access = self.link.access();
            match access
                .dialer
                .subscribe(&place, &access.login, &self.channel)
                .await
            {
                Ok(connection) => {
                    backoff = ReconnectBackoff::new();
                    self.inbox.add(WakeUp::Reconnected);
                    let (sink, stream) = connection.split();
                    tokio::select! {
                        () = self.read(sink, stream) => debug!("lost the subscription"),
                        _ = link.changed() => debug!("leaves a subscription at a server that commands have left"),
                    }
                }
                Err(error) => debug!(reason = error.in_words(), "cannot subscribe"),
            }
            backoff.wait().await;
        }
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
