//! A subscription that outlives its connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use redis::RedisError;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{interval, timeout};
use tracing::{debug, warn};

use crate::OPERATION_LIMIT;
use crate::connection::Backoff;
use crate::message::{self, WakeUp};
use crate::server::Server;

/// Wake-ups that wait for a slow reader. Beyond it they are dropped, and the reader is told so.
const BUFFER: usize = 1024;
/// A connection without a message is tried this often.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// The longest that subscribing takes.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The wake-ups of one topic. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    wake_ups: mpsc::Receiver<WakeUp>,
    missed: Arc<AtomicBool>,
    /// Keeps the channel open where nobody ever sends.
    _silent: Option<mpsc::Sender<WakeUp>>,
    reader: Option<AbortHandle>,
}

impl Subscription {
    pub(crate) fn open(server: Server, channel: String) -> Self {
        let (send, wake_ups) = mpsc::channel(BUFFER);
        let missed = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            server,
            channel,
            send,
            missed: Arc::clone(&missed),
        };
        Self {
            wake_ups,
            missed,
            _silent: None,
            reader: Some(tokio::spawn(reader.read_for_ever()).abort_handle()),
        }
    }

    pub(crate) fn never() -> Self {
        let (send, wake_ups) = mpsc::channel(1);
        Self {
            wake_ups,
            missed: Arc::default(),
            _silent: Some(send),
            reader: None,
        }
    }

    /// The next wake-up. Waits for ever while Redis is gone or not set up. May be cancelled without losing any.
    pub async fn recv(&mut self) -> WakeUp {
        if self.missed.swap(false, Ordering::Relaxed) {
            return WakeUp::Reconnected;
        }
        match self.wake_ups.recv().await {
            Some(wake_up) => wake_up,
            // The reader ends only with the runtime.
            None => std::future::pending().await,
        }
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
struct Reader {
    server: Server,
    channel: String,
    send: mpsc::Sender<WakeUp>,
    missed: Arc<AtomicBool>,
}

impl Reader {
    async fn read_for_ever(self) {
        let mut backoff = Backoff::new();
        loop {
            // The link for commands says in the log when Redis goes and comes; this need not say it again.
            match timeout(CONNECT_LIMIT, self.subscribe()).await {
                Ok(Ok((sink, stream))) => {
                    backoff = Backoff::new();
                    self.hand_on(WakeUp::Reconnected);
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
        loop {
            tokio::select! {
                message = stream.next() => {
                    let Some(message) = message else { return };
                    match message::decode(message.get_payload_bytes()) {
                        Ok(wake_up) => self.hand_on(wake_up),
                        Err(error) => {
                            let source = std::error::Error::source(&error).map(ToString::to_string);
                            warn!(%error, source, "dropped a wake-up");
                        }
                    }
                }
                _ = check.tick() => {
                    // A connection whose other end vanished says nothing by itself.
                    let answer = timeout(4 * OPERATION_LIMIT, sink.ping::<redis::Value>()).await;
                    if !matches!(answer, Ok(Ok(_))) {
                        return;
                    }
                }
            }
        }
    }

    /// Never waits: behind the connection is a buffer without a bound, and it must stay empty.
    fn hand_on(&self, wake_up: WakeUp) {
        if self.send.try_send(wake_up).is_err() {
            self.missed.store(true, Ordering::Relaxed);
        }
    }
}
