//! The body of an answer that keeps something until it is over, such as its request or its place.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A body with what is dropped after it: a stream of news may be silent for longer than an idle connection lives.
pub(crate) struct Held<T> {
    pub(crate) body: axum::body::Body,
    pub(crate) _until_over: T,
}

impl<T: Unpin> Body for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
