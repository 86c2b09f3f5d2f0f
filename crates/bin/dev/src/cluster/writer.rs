//! Clients that write numbers all the time and note which were acknowledged.

use std::fs::File;
use std::future::Future;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Between two writes.
const PAUSE: Duration = Duration::from_millis(50);
/// What a client waits for an answer before it connects anew.
const ANSWER: Duration = Duration::from_secs(5);

/// A write that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) number: i64,
    pub(super) sent: Instant,
    pub(super) acked: Instant,
    /// What the server said of itself: Postgres its timeline.
    pub(super) said: String,
}

/// Writes one number; keeps a connection from one write to the next.
pub(super) trait Write: Send + 'static {
    /// Writes `number` and returns what the server says of itself.
    fn write(&mut self, number: i64) -> impl Future<Output = Result<String>>;
    /// Forgets the connection.
    fn disconnect(&mut self);
}

/// What a writer has done.
#[derive(Debug, Default)]
struct Log {
    acks: Mutex<Vec<Ack>>,
    trouble: Mutex<Option<String>>,
    stop: AtomicBool,
}

/// A client in a thread of its own, in the network of a member.
#[derive(Debug)]
pub(super) struct Writer {
    /// What its rows are written under.
    pub(super) name: String,
    log: Arc<Log>,
    /// How many of its acknowledged writes were looked for.
    checked: usize,
    thread: Option<JoinHandle<Option<()>>>,
}

impl Writer {
    /// Starts it.
    pub(super) fn start(name: &str, network: &File, client: impl Write) -> Result<Self> {
        let log = Arc::new(Log::default());
        let shared = Arc::clone(&log);
        let thread = in_network(name, network, async move || write_on(&shared, client).await)?;
        Ok(Self {
            name: name.to_owned(),
            log,
            checked: 0,
            thread: Some(thread),
        })
    }

    /// All that were acknowledged.
    pub(super) fn acks(&self) -> MutexGuard<'_, Vec<Ack>> {
        self.log.acks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that were acknowledged since this was asked last.
    pub(super) fn take_unchecked(&mut self) -> Vec<Ack> {
        let unchecked = self.acks()[self.checked..].to_vec();
        self.checked += unchecked.len();
        unchecked
    }

    /// Whether a write was acknowledged that was sent after `moment`.
    pub(super) fn has_written_since(&self, moment: Instant) -> bool {
        self.acks().last().is_some_and(|ack| ack.sent > moment)
    }

    /// Why the last failure was one.
    pub(super) fn trouble(&self) -> String {
        let trouble = self.log.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.clone().unwrap_or_default()
    }

    /// Ends it, and waits for the write under way.
    pub(super) fn stop(&mut self) {
        self.log.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn write_on(log: &Log, mut client: impl Write) {
    for number in 1.. {
        if log.stop.load(Ordering::Relaxed) {
            return;
        }
        let sent = Instant::now();
        let trouble = match tokio::time::timeout(ANSWER, client.write(number)).await {
            Ok(Ok(said)) => {
                let acked = Instant::now();
                let mut acks = log.acks.lock().unwrap_or_else(PoisonError::into_inner);
                acks.push(Ack {
                    number,
                    sent,
                    acked,
                    said,
                });
                None
            }
            Ok(Err(error)) => Some(format!("{error:#}")),
            Err(_) => Some(format!("no answer within {ANSWER:?}")),
        };
        if let Some(trouble) = trouble {
            // Whether this number was written is not known; it is never used again.
            client.disconnect();
            *log.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Runs `body` in a thread that is in a member's network.
pub(super) fn in_network<T: Send + 'static>(
    name: &str,
    network: &File,
    body: impl AsyncFnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<Option<T>>> {
    let network = network.try_clone()?;
    let (told, entered) = std::sync::mpsc::channel();
    let work = move || {
        let runtime = move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(std::io::Error::from)
            .and_then(|()| tokio::runtime::Builder::new_current_thread().enable_all().build());
        match runtime {
            Ok(runtime) => {
                let _ = told.send(Ok(()));
                Some(runtime.block_on(body()))
            }
            Err(error) => {
                let _ = told.send(Err(error));
                None
            }
        }
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
    let entered = entered
        .recv()
        .unwrap_or_else(|_| Err(std::io::Error::other("the thread ended")));
    entered.context("cannot enter a member's network")?;
    Ok(thread)
}
