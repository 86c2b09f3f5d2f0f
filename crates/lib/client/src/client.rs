//! Sending requests and reading answers.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use slipway_domain::TraceParent;
use slipway_wire::{Problem, problem};
use url::Url;

use crate::backoff::RetryBackoff;
use crate::builder::RETRY_FOR;
use crate::cause;
use crate::error::{ClientError, UnreachableCause};

/// No answer of the API is near this many bytes.
const LONGEST_ANSWER: usize = 64 * 1024 * 1024;
/// How often a request is tried again where nobody answers. Most likely the address is wrong, and a person waits to be told.
const RETRIES: u32 = 4;
/// A pause that is longer is told of.
const QUIET: Duration = Duration::from_secs(3);
const BACKOFF: RetryBackoff = RetryBackoff {
    first: Duration::from_millis(200),
    longest: Duration::from_secs(3),
    longest_asked: Duration::from_secs(3),
};

/// A client of one API. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    request_timeout: Duration,
    retry_for: Duration,
    on_wait: Option<fn(&str)>,
    /// The proxy on the way, if there is one.
    proxy: Option<String>,
    /// Where the server's spans hang.
    parent: Option<TraceParent>,
}

/// An answer that was read to its end.
pub(crate) struct HttpAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// When a request may be sent again.
#[derive(Clone, Copy)]
pub(crate) enum RetryRule {
    /// Whenever trying again can help: it changes nothing.
    Always,
    /// Only when it certainly changed nothing: it never arrived, or the server says so.
    Unchanged,
    /// Never here: the caller has its own loop.
    No,
}

impl Client {
    pub(crate) const fn new(
        http: reqwest::Client,
        base: Url,
        request_timeout: Duration,
        proxy: Option<String>,
    ) -> Self {
        Self {
            http,
            base,
            request_timeout,
            retry_for: RETRY_FOR,
            on_wait: None,
            proxy,
            parent: None,
        }
    }

    /// A client that tries again for so long while the API cannot answer; see [`RETRY_FOR`].
    #[must_use]
    pub const fn retry_for(mut self, limit: Duration) -> Self {
        self.retry_for = limit;
        self
    }

    pub(crate) const fn on_wait(mut self, tell: Option<fn(&str)>) -> Self {
        self.on_wait = tell;
        self
    }

    /// A client whose requests are part of a trace: the server's spans hang below this one.
    #[must_use]
    pub fn under(mut self, parent: Option<TraceParent>) -> Self {
        self.parent = parent;
        self
    }

    /// The API's address.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.base
    }

    pub(crate) fn request(&self, method: Method, path: &str, wait: Option<Duration>) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let mut request = self.http.request(method, url);
        if let Some(parent) = &self.parent {
            request = request.header("traceparent", parent.as_str());
        }
        match wait {
            Some(wait) => request
                .header("prefer", format!("wait={}", wait.as_secs()))
                .timeout(wait + self.request_timeout),
            None => request.timeout(self.request_timeout),
        }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.get_with(path, &(), None).await
    }

    pub(crate) async fn get_with<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &(impl Serialize + Sync),
        wait: Option<Duration>,
    ) -> Result<T, ClientError> {
        let request = self.request(Method::GET, path, wait).query(query);
        self.json(path, self.send(request, RetryRule::Always).await?)
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        self.change(Method::POST, path, body).await
    }

    /// Sends a request that changes something. If it fails and may have taken effect, the error is
    /// [`ClientError::Unsure`].
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        let request = self.request(method, path, None).json(body);
        self.changed(path, request, RetryRule::Unchanged).await
    }

    pub(crate) async fn changed<T: DeserializeOwned>(
        &self,
        path: &str,
        request: RequestBuilder,
        retry: RetryRule,
    ) -> Result<T, ClientError> {
        let answer = self.send(request, retry).await;
        answer
            .and_then(|answer| self.json(path, answer))
            .map_err(|error| error.of_change(path))
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), ClientError> {
        let request = self.request(Method::DELETE, path, None);
        let answer = self.send(request, RetryRule::Unchanged).await;
        answer
            .and_then(|answer| self.success(path, answer))
            .map(drop)
            .map_err(|error| error.of_change(path))
    }

    /// Sends the request, and repeats it if that is safe and can help. Any answer with a status counts as a success
    /// here, except those of a proxy without an API behind it.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
        retry: RetryRule,
    ) -> Result<HttpAnswer, ClientError> {
        let (mut tries, mut unanswered) = (0, 0);
        let mut failing_since = None;
        let mut told = false;
        loop {
            let this = request
                .try_clone()
                .expect("bodies are bytes, which can be cloned");
            let outcome = self.once(this).await;
            let asked = match (&outcome, retry) {
                (Err(error), RetryRule::Always) if error.is_retryable() => error.retry_after(),
                (Err(error), RetryRule::Unchanged) if error.is_retryable() && error.never_sent() => None,
                (Ok(answer), RetryRule::Always) if answer.status == StatusCode::SERVICE_UNAVAILABLE => {
                    retry_after(&answer.headers)
                }
                (Ok(answer), RetryRule::Unchanged) if answer.did_nothing() => retry_after(&answer.headers),
                _ => return outcome,
            };
            let nobody = matches!(&outcome, Err(error) if error.never_sent());
            unanswered = if nobody { unanswered + 1 } else { 0 };
            let since: &mut Instant = failing_since.get_or_insert_with(Instant::now);
            let pause = BACKOFF.pause(tries, asked);
            let waited = since.elapsed() + pause;
            if unanswered > RETRIES || waited > self.retry_for {
                return outcome;
            }
            if let Some(tell) = self.on_wait.filter(|_| !told && waited > QUIET) {
                told = true;
                let limit = self.retry_for.as_secs();
                tell(&format!(
                    "{} cannot answer now; trying again for up to {limit} s",
                    self.shown()
                ));
            }
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }

    async fn once(&self, request: RequestBuilder) -> Result<HttpAnswer, ClientError> {
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = self.read(response).await?;
        let answer = HttpAnswer {
            status,
            headers,
            body,
        };
        if matches!(status.as_u16(), 502..=504) && !answer.is_json() {
            return Err(ClientError::Unreachable {
                url: self.shown(),
                cause: UnreachableCause::Proxy(status.as_u16()),
                never_sent: false,
                proxy: None,
                retry_after: retry_after(&answer.headers),
                source: None,
            });
        }
        Ok(answer)
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(ClientError::BadAnswer {
                    url: self.shown(),
                    status: response.status().as_u16(),
                    detail: "the answer is over 64 MiB".to_owned(),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The answer if its status is a success, or else its error.
    pub(crate) fn success(&self, path: &str, answer: HttpAnswer) -> Result<HttpAnswer, ClientError> {
        if answer.status.is_success() {
            return Ok(answer);
        }
        if answer.is_json()
            && let Ok(problem) = serde_json::from_slice::<Problem>(&answer.body)
        {
            return Err(ClientError::Problem {
                problem: Box::new(problem),
                retry_after: retry_after(&answer.headers),
            });
        }
        let detail = if answer.status.is_redirection() {
            let to = answer.headers.get(LOCATION).and_then(|to| to.to_str().ok());
            format!(
                "it points to {}, and redirects are not followed",
                to.unwrap_or("nowhere")
            )
        } else {
            "it explains nothing".to_owned()
        };
        Err(self.bad_answer(path, answer.status, detail))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, path: &str, answer: HttpAnswer) -> Result<T, ClientError> {
        let answer = self.success(path, answer)?;
        serde_json::from_slice(&answer.body)
            .map_err(|error| self.bad_answer(path, answer.status, error.to_string()))
    }

    pub(crate) fn bad_answer(&self, path: &str, status: StatusCode, detail: String) -> ClientError {
        ClientError::BadAnswer {
            url: format!("{}{path}", self.shown()),
            status: status.as_u16(),
            detail,
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> ClientError {
        let cause = cause::of(&error);
        // A failure before there is a connection is the proxy's, unless TLS with the API had begun.
        let at_proxy = error.is_connect() && cause.is_passing();
        ClientError::Unreachable {
            url: self.shown(),
            cause,
            never_sent: error.is_connect(),
            proxy: self.proxy.clone().filter(|_| at_proxy),
            retry_after: None,
            source: Some(error.without_url()),
        }
    }

    fn shown(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }
}

/// An answer as it came, whatever its status.
#[derive(Debug, Clone)]
pub struct RawResponse {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpAnswer {
    /// Whether the server says that it did nothing, and may be asked again.
    fn did_nothing(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
            && self.is_json()
            && serde_json::from_slice::<Problem>(&self.body).is_ok_and(|problem| problem.nothing_done)
    }

    fn is_json(&self) -> bool {
        self.headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| {
                value.starts_with(problem::MEDIA_TYPE) || value.starts_with("application/json")
            })
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
