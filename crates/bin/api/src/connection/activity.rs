//! The activity of a connection, and the time that each may take.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The longest that a client may take to send a request's header.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How far a client may be behind in reading its answer.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_mins(1);
/// The longest that a client may take for a byte of its answer, on average: it reads at least 16 KiB a second. An answer may
/// be long, and stays in memory until it is read.
const TIME_OF_A_BYTE: Duration = Duration::from_nanos(1_000_000_000 / (16 * 1024));
/// How often an idle connection is looked at: it may have begun a header, which has less time than idling.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often a connection is looked at whose request is being answered: thousands of agents wait at once.
const LOOK_AGAIN_AT_REQUEST: Duration = Duration::from_secs(5);
/// What a connection is doing, in both directions.
#[derive(Debug)]
pub(super) struct Activity {
    keepalive: Duration,
    state: Mutex<State>,
    first_bytes: Notify,
}

#[derive(Debug, Clone, Copy)]
struct State {
    doing: Doing,
    /// While something is being sent: up to when the client kept pace. A byte that it takes adds [`TIME_OF_A_BYTE`].
    sending: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Doing {
    /// Nothing was ever received.
    Nothing { since: Instant },
    /// Between two requests.
    Idle { since: Instant },
    /// A header began to arrive.
    Header { since: Instant },
    /// A request is being answered.
    Request,
}

impl Activity {
    pub(super) fn new(keepalive: Duration) -> Self {
        let doing = Doing::Nothing {
            since: Instant::now(),
        };
        Self {
            keepalive,
            state: Mutex::new(State { doing, sending: None }),
            first_bytes: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn received(&self) {
        let mut state = self.state();
        if let Doing::Nothing { .. } | Doing::Idle { .. } = state.doing {
            state.doing = Doing::Header {
                since: Instant::now(),
            };
        }
        drop(state);
        self.first_bytes.notify_one();
    }

    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.state().doing = Doing::Request;
        Busy(Arc::clone(self))
    }

    fn answered(&self) {
        self.state().doing = Doing::Idle {
            since: Instant::now(),
        };
    }

    /// Something is to be sent, and the client took so many bytes of it.
    fn sends(&self, taken: usize) {
        let now = Instant::now();
        let time = TIME_OF_A_BYTE.saturating_mul(taken.try_into().unwrap_or(u32::MAX));
        let mut state = self.state();
        let since = state.sending.map_or(now, |since| since + time);
        state.sending = Some(since.min(now));
    }

    /// All that was to be sent is with the kernel.
    fn sent(&self) {
        let mut state = self.state();
        if state.sending.take().is_some() {
            let since = Instant::now();
            // Only now can the client be waited for.
            state.doing = match state.doing {
                Doing::Idle { .. } => Doing::Idle { since },
                Doing::Header { .. } => Doing::Header { since },
                other => other,
            };
        }
    }

    /// Waits until something was received.
    pub(super) async fn used(&self) {
        while matches!(self.state().doing, Doing::Nothing { .. }) {
            self.first_bytes.notified().await;
        }
    }

    /// Begins the time of an idle connection again; false when it is not idle.
    pub(super) fn restart_idle(&self) -> bool {
        let mut state = self.state();
        let idle =
            matches!(state.doing, Doing::Nothing { .. } | Doing::Idle { .. }) && state.sending.is_none();
        if idle {
            state.doing = Doing::Idle {
                since: Instant::now(),
            };
        }
        idle
    }

    /// How long to wait before looking again; `None` when the time is over.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let state = *self.state();
        let (since, bound) = match (state.sending, state.doing) {
            (Some(since), _) => (since, SEND_TIMEOUT),
            (None, Doing::Nothing { since } | Doing::Idle { since }) => (since, self.keepalive),
            (None, Doing::Header { since }) => (since, HEADER_TIMEOUT),
            (None, Doing::Request) => return Some(LOOK_AGAIN_AT_REQUEST),
        };
        let left = bound
            .checked_sub(since.elapsed())
            .filter(|left| !left.is_zero())?;
        // What it does may change meanwhile, and have less time.
        Some(left.min(LOOK_AGAIN))
    }
}

/// A request under way; also over when its client goes away.
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.answered();
    }
}

/// A stream that tells when something arrives, and how well the client takes what is sent.
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.received();
        }
        result
    }
}

impl<S> Watched<S> {
    pub(super) const fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    /// Notes how a write went.
    fn wrote(&self, result: &Poll<io::Result<usize>>) {
        let taken = match result {
            Poll::Ready(Ok(taken)) => *taken,
            _ => 0,
        };
        self.activity.sends(taken);
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(&result);
        result
    }

    /// hyper flushes once it has written all that it has.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        if result.is_ready() {
            self.activity.sent();
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
