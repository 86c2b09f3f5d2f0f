//! The server: accepts connections until the process must stop, and lets running requests finish.

use std::time::Duration;

use axum::Router;
use slipway_telemetry::Lifecycle;
use tokio_util::sync::CancellationToken;

use crate::connection;
use crate::listen::{Listener, Peer, Stream};

/// How long a stopping server still accepts connections while it reports that it is not ready. So a load balancer can
/// choose another server first.
const FAREWELL: Duration = Duration::from_millis(500);
/// The wait after a failed accept, usually for a free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections on all listeners. Returns at once; the lifecycle waits for what it began.
///
/// After the soft token the server goes on for half a second (a tenth of `grace` if that is less). Then it
/// closes its listeners and idle connections. It answers running requests until the hard token.
pub fn spawn(
    listeners: Vec<Listener>,
    router: &Router,
    keepalive: Duration,
    grace: Duration,
    lifecycle: &Lifecycle,
) {
    let closing = CancellationToken::new();
    for listener in listeners {
        tracing::info!(%listener, "listening");
        let acceptor = Acceptor {
            router: router.clone(),
            keepalive,
            closing: closing.clone(),
            lifecycle: lifecycle.clone(),
        };
        lifecycle.spawn(acceptor.run(listener));
    }
    let soft = lifecycle.soft();
    lifecycle.spawn(async move {
        soft.cancelled().await;
        tokio::time::sleep(FAREWELL.min(grace / 10)).await;
        closing.cancel();
    });
}

struct Acceptor {
    router: Router,
    keepalive: Duration,
    closing: CancellationToken,
    lifecycle: Lifecycle,
}

impl Acceptor {
    async fn run(self, listener: Listener) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.closing.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.serve(stream, peer),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot accept a connection"
                    );
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Closing the listener would cut off the connections in its queue.
        while let Ok(Ok((stream, peer))) = tokio::time::timeout(Duration::ZERO, listener.accept()).await {
            self.serve(stream, peer);
        }
    }

    fn serve(&self, stream: Stream, peer: Peer) {
        let (router, closing) = (self.router.clone(), self.closing.clone());
        match stream {
            Stream::Tcp(stream) => {
                self.lifecycle
                    .spawn(connection::serve(stream, peer, router, self.keepalive, closing));
            }
            Stream::Unix(stream) => {
                self.lifecycle
                    .spawn(connection::serve(stream, peer, router, self.keepalive, closing));
            }
        }
    }
}
