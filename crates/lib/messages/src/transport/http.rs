//! Webhooks: one request within bounds. Its answer counts by its status alone and is not read.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Response, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use slipway_domain::DeliveryId;
use slipway_domain::message::address;
use url::Url;

use super::resolve::{CheckedResolver, NotAllowed, Shared};
use super::{Allowed, Failure, Limits, install_crypto_provider};

const USER_AGENT: &str = concat!("slipway-worker/", env!("CARGO_PKG_VERSION"));

/// Sends requests to where messages may go.
pub(super) struct HttpSender {
    encrypted: reqwest::Client,
    /// Only to networks that are allowed.
    plain: reqwest::Client,
    allowed: Allowed,
    any_allowed: bool,
    limits: Limits,
}

/// A request to the address of a destination.
pub(super) struct Request {
    method: Method,
    /// What follows the address.
    path: String,
    headers: Vec<(&'static str, String)>,
    /// Sent as `Authorization: Bearer`.
    token: Option<SecretString>,
    body: String,
}

impl Request {
    pub(super) fn post(body: String) -> Self {
        Self {
            method: Method::POST,
            path: String::new(),
            headers: Vec::new(),
            token: None,
            body,
        }
    }

    /// Of Matrix. The server itself takes a message with a known id for the one before.
    pub(super) fn matrix(id: DeliveryId, room: &str, token: &SecretString, body: String) -> Self {
        let room = utf8_percent_encode(room, NON_ALPHANUMERIC);
        Self {
            method: Method::PUT,
            path: format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{id}"),
            token: Some(token.clone()),
            ..Self::post(body)
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl HttpSender {
    pub(super) fn new(limits: Limits, allowed: &Allowed, any_allowed: bool) -> Result<Self, Failure> {
        install_crypto_provider();
        let client = |public| {
            let resolver = CheckedResolver {
                allowed: Arc::clone(allowed),
                public,
            };
            let builder = reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .redirect(redirect::Policy::none())
                .referer(false)
                // It would connect in our place, to whatever address.
                .no_proxy()
                .dns_resolver(Shared(Arc::new(resolver)))
                .connect_timeout(limits.connect)
                .timeout(limits.total)
                .pool_max_idle_per_host(1);
            // Plain HTTP works on a machine that has no certificates at all.
            let builder = if public {
                builder
            } else {
                builder.tls_certs_only([])
            };
            builder.build().map_err(|error| Failure::new(words(&error)))
        };
        Ok(Self {
            encrypted: client(true)?,
            plain: client(false)?,
            allowed: Arc::clone(allowed),
            any_allowed,
            limits,
        })
    }

    /// Sends a request to an address, which is read and checked each time: the settings may have changed since.
    pub(super) async fn send(&self, url: &SecretString, request: Request) -> Result<(), Failure> {
        let url = address::parse(url.expose_secret(), self.any_allowed, |address| {
            (self.allowed)(address)
        })
        .map_err(|error| Failure::new(format!("its address {error}")))?;
        let client = if url.scheme() == "https" {
            &self.encrypted
        } else {
            &self.plain
        };
        let url = joined(url, &request.path)?;
        let mut sent = client
            .request(request.method, url)
            .header("content-type", "application/json")
            .body(request.body);
        for (name, value) in request.headers {
            sent = sent.header(HeaderName::from_static(name), value);
        }
        if let Some(token) = &request.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
                .map_err(|_| Failure::new("its token has characters that no header may have"))?;
            value.set_sensitive(true);
            sent = sent.header("authorization", value);
        }
        // Beside the client's own bound: a name may take long to look up.
        match tokio::time::timeout(self.limits.total, sent.send()).await {
            Ok(Ok(response)) => judge(&response),
            Ok(Err(error)) => Err(Failure::new(words(&error))),
            Err(_) => Err(Failure::new(too_long(self.limits.total))),
        }
    }
}

fn joined(mut url: Url, path: &str) -> Result<Url, Failure> {
    if !path.is_empty() {
        let whole = format!("{}{path}", url.path().trim_end_matches('/'));
        url.set_path(&whole);
        if url.path() != whole {
            return Err(Failure::new("its room has characters that no address may have"));
        }
    }
    Ok(url)
}

fn judge(response: &Response) -> Result<(), Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let code = status.as_u16();
    let problem = if status.is_redirection() {
        format!("it answered {code}, and redirects are not followed; give the address that it leads to")
    } else {
        format!("it answered {code}{}", reason(status))
    };
    Err(Failure {
        is_gone: status == StatusCode::GONE,
        retry_after: retry_after(response),
        problem,
    })
}

fn reason(status: StatusCode) -> String {
    status
        .canonical_reason()
        .map(|reason| format!(" {reason}"))
        .unwrap_or_default()
}

/// Only seconds; a date would be by the destination's clock.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get("retry-after")?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// What went wrong, without the address: it may be a password.
fn words(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut last = None;
    while let Some(found) = cause {
        if found.is::<NotAllowed>() {
            return format!(
                "{NotAllowed}; allow its network in MESSAGES_NETWORKS of api and worker, or give another address"
            );
        }
        last = Some(found.to_string());
        cause = found.source();
    }
    let what = if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "it cannot be connected to"
    } else {
        "it gave no answer that can be read"
    };
    match last.filter(|_| !error.is_timeout()) {
        Some(last) => format!("{what} ({last})"),
        None => what.to_owned(),
    }
}

fn too_long(limit: Duration) -> String {
    format!("it did not answer within {} s", limit.as_secs())
}
