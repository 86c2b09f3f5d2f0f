//! Reads the rest of a request whose answer is known already.
//!
//! A request can be refused before its body has arrived: without a token, at a route that does not exist. Closing a
//! connection with unread bytes resets it, and the reset overtakes the answer ([RFC 9112, section 9.6]). The client
//! then sees a broken connection instead of the refusal, and a 502 behind nginx.
//!
//! [RFC 9112, section 9.6]: https://www.rfc-editor.org/rfc/rfc9112#section-9.6

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::timeout;

use crate::error::MAX_BODY_BYTES;

/// The most bytes that are read and dropped; a client that sends more may see a broken connection.
const MAX_DISCARD_BYTES: usize = 32 * MAX_BODY_BYTES;
/// The longest that a client may take to send it.
const MAX_DISCARD_TIME: Duration = Duration::from_secs(10);

/// A request's body that can still be read when its handler is done with it.
pub(crate) struct Lingering<B: Body>(Arc<Mutex<Read<B>>>);

struct Read<B: Body> {
    /// What came with the header, until it is read.
    first: Option<Result<Frame<Bytes>, B::Error>>,
    body: B,
    begun: bool,
}

impl<B: Body> Clone for Lingering<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B> Lingering<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    pub(crate) fn new(body: B) -> Self {
        Self(Arc::new(Mutex::new(Read {
            first: None,
            body,
            begun: false,
        })))
    }

    /// Copies what came with the header, for the reason that the header is copied. To be called before the body is read.
    pub(crate) async fn detach(&self) {
        let copy = |frame: Frame<Bytes>| frame.map_data(|data| Bytes::copy_from_slice(&data));
        poll_fn(|cx| {
            let mut read = self.lock();
            if let Poll::Ready(Some(frame)) = Pin::new(&mut read.body).poll_frame(cx) {
                read.first = Some(frame.map(copy));
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Reads on to the end, within bounds. A client that waits for a go-ahead (`Expect: 100-continue`) and got none sends
    /// nothing that would have to be read.
    pub(crate) async fn discard(mut self, expects: bool) {
        if self.is_end_stream() || (expects && !self.lock().begun) {
            return;
        }
        let rest = async {
            let mut left = MAX_DISCARD_BYTES;
            while left > 0
                && let Some(Ok(frame)) = self.frame().await
            {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            }
        };
        let _ = timeout(MAX_DISCARD_TIME, rest).await;
    }

    fn lock(&self) -> MutexGuard<'_, Read<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Body for Lingering<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut read = self.lock();
        read.begun = true;
        if let Some(first) = read.first.take() {
            return Poll::Ready(Some(first));
        }
        Pin::new(&mut read.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        let read = self.lock();
        read.first.is_none() && read.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.lock();
        let first = read
            .first
            .as_ref()
            .and_then(|first| first.as_ref().ok()?.data_ref());
        let (first, rest) = (first.map_or(0, Bytes::len) as u64, read.body.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + first);
        }
        hint.set_lower(rest.lower() + first);
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tokio::time::Instant;

    use super::*;

    /// A body that goes on for ever, in frames of a MiB or not at all.
    struct Endless {
        frames: usize,
        stalls: bool,
    }

    impl Body for Endless {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            if self.stalls {
                return Poll::Pending;
            }
            self.frames += 1;
            Poll::Ready(Some(Ok(Frame::data(vec![0; 1 << 20].into()))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_discarded_has_bounds() {
        let body = Lingering::new(Endless {
            frames: 0,
            stalls: false,
        });
        body.clone().discard(false).await;
        assert_eq!(body.lock().body.frames, MAX_DISCARD_BYTES >> 20);

        let before = Instant::now();
        Lingering::new(Endless {
            frames: 0,
            stalls: true,
        })
        .discard(false)
        .await;
        assert!(before.elapsed() >= MAX_DISCARD_TIME);
    }

    #[tokio::test]
    async fn what_was_copied_is_read_once_and_counted() {
        let sent = Bytes::from_static(b"a body");
        let mut body = Lingering::new(Full::new(sent.clone()));
        body.detach().await;
        assert!(!body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(6));
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(data, sent);
        assert_ne!(data.as_ptr(), sent.as_ptr(), "it lies where it was sent");
        assert!(body.is_end_stream() && body.frame().await.is_none());
        assert_eq!(body.size_hint().exact(), Some(0));
    }

    #[tokio::test]
    async fn who_waits_for_a_go_ahead_gets_none() {
        let body = Lingering::new(Full::new(Bytes::from_static(b"a body")));
        body.clone().discard(true).await;
        assert!(!body.is_end_stream(), "to read is to send the go-ahead");
        body.clone().discard(false).await;
        assert!(body.is_end_stream());
    }
}
