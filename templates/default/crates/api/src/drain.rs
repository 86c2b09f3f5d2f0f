//! Stops without losing a request.
//!
//! systemd holds the socket: later connections wait there for the next process. A connection must not be closed just when
//! the proxy sends a request on it. So the process accepts no new connections, and each answer says that its connection
//! closes. It only closes connections that stayed idle for a while.

use std::io;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::Listener;
use tokio_util::sync::CancellationToken;

/// How long open connections are used on after the stop. A busy proxy has used each of them by then.
pub const IDLE: Duration = Duration::from_secs(1);

/// A listener that takes no more connections after the stop.
pub struct Draining<L> {
    pub listener: L,
    pub stopped: CancellationToken,
}

impl<L: Listener> Listener for Draining<L> {
    type Io = L::Io;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        tokio::select! {
            biased;
            () = self.stopped.cancelled() => std::future::pending().await,
            accepted = self.listener.accept() => accepted,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Tells the client after the stop not to use the connection again.
pub async fn close(State(stopped): State<CancellationToken>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if stopped.is_cancelled() {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
