//! A receiver of webhooks, which answers as a test tells it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use slipway_testkit::wait_until;
use tokio::net::TcpListener;

/// How long a message may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// How to answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Status(u16),
    /// 307 to there.
    Redirect(String),
    /// 429 with so many seconds.
    Later(u32),
    /// Never.
    Hang,
    /// 200, and bytes without end.
    Endless,
}

#[derive(Clone, Default)]
struct Shared {
    got: Arc<Mutex<Vec<Got>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

/// The receiver; it answers 204 once it was told nothing else.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Shared,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let shared = Shared::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(take).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks/a-secret-path", self.address)
    }

    /// Answers so, one after the other.
    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.answers.lock().unwrap().extend(answers);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.shared.got.lock().unwrap().clone()
    }

    /// What came, once so many have.
    pub(crate) async fn until(&self, count: usize) -> Vec<Got> {
        wait_until("messages", SOON, async || {
            Some(self.got()).filter(|got| got.len() >= count)
        })
        .await
    }
}

async fn take(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    shared.got.lock().unwrap().push(Got {
        method,
        uri,
        headers,
        body,
    });
    let answer = shared.answers.lock().unwrap().pop_front();
    let (status, headers, body) = match answer.unwrap_or(Answer::Status(204)) {
        Answer::Status(status) => (status, None, Body::from("the receiver's own words")),
        Answer::Redirect(to) => (307, Some(("location", to)), Body::empty()),
        Answer::Later(seconds) => (429, Some(("retry-after", seconds.to_string())), Body::empty()),
        Answer::Hang => std::future::pending().await,
        Answer::Endless => (200, None, Body::from_stream(endless())),
    };
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    if let Some((name, value)) = headers {
        response = response.header(name, value);
    }
    response.body(body).unwrap()
}

fn endless() -> impl futures_util::Stream<Item = Result<Bytes, std::convert::Infallible>> {
    futures_util::stream::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 8_192])))
}
