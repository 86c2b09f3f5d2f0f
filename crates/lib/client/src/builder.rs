//! How a client is made.

use std::fmt::Display;
use std::net::IpAddr;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Certificate, redirect};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret, SecretString};
use slipway_wire::route;
use url::{Host, Url};

use crate::{Client, ClientError};

/// How long a connection may take, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take, beyond the time that the server was asked to wait.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a request is tried again while there is an API that cannot answer. A cluster of databases has another leader
/// within 30 s, and later if a second member dies while the first comes back.
pub const RETRY_FOR: Duration = Duration::from_secs(90);

/// Installs ring as the process's TLS provider. Does nothing when there is one already.
pub fn install_crypto_provider() {
    // The error means that another provider is installed, which works as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Settings of a [`Client`]; see [`crate::builder`](fn@crate::builder).
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    url: Url,
    token: Option<SecretString>,
    ca_pem: Vec<u8>,
    certificates: Vec<Certificate>,
    connect_timeout: Duration,
    request_timeout: Duration,
    retry_for: Duration,
    on_wait: Option<fn(&str)>,
    user_agent: String,
}

impl ClientBuilder {
    pub(crate) fn new(url: &str) -> Result<Self, ClientError> {
        Ok(Self {
            url: parse_url(url)?,
            token: None,
            ca_pem: Vec::new(),
            certificates: Vec::new(),
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            retry_for: RETRY_FOR,
            on_wait: None,
            user_agent: concat!("slipway-client/", env!("CARGO_PKG_VERSION")).to_owned(),
        })
    }

    /// The address as it will be used.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The PEM certificates that are trusted besides the machine's own.
    #[must_use]
    pub fn ca_pem(&self) -> &[u8] {
        &self.ca_pem
    }

    /// Whether others can read the requests with the token: plain HTTP to another machine.
    #[must_use]
    pub fn is_readable_on_the_way(&self) -> bool {
        self.url.scheme() == "http" && !is_loopback(&self.url)
    }

    /// Sends this token with every request.
    #[must_use]
    pub fn token(mut self, token: SecretString) -> Self {
        self.token = Some(token);
        self
    }

    /// Trusts these PEM certificates besides the machine's own; `from` names their file in the error.
    pub fn extra_ca_pem(mut self, from: impl Display, pem: impl Into<Vec<u8>>) -> Result<Self, ClientError> {
        self.ca_pem = pem.into();
        let blocks = are_certificates(&self.ca_pem);
        self.certificates = Certificate::from_pem_bundle(&self.ca_pem).unwrap_or_default();
        if self.certificates.is_empty() || blocks.contains(&false) {
            let broken = blocks.iter().position(|good| !good).map(|place| place + 1);
            return Err(ClientError::BadCa {
                from: from.to_string(),
                broken_block: broken.filter(|_| blocks.contains(&true)),
            });
        }
        Ok(self)
    }

    /// How long a connection may take; [`CONNECT_TIMEOUT`] when not said.
    #[must_use]
    pub const fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long an answer may take beyond the time asked to wait; [`REQUEST_TIMEOUT`] when not said.
    #[must_use]
    pub const fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = limit;
        self
    }

    /// How long a request is tried again; [`RETRY_FOR`] when not said. A request that changes something is tried again only
    /// if it certainly changed nothing.
    #[must_use]
    pub const fn retry_for(mut self, limit: Duration) -> Self {
        self.retry_for = limit;
        self
    }

    /// Is told once when a request is tried again for longer than a moment.
    #[must_use]
    pub const fn on_wait(mut self, tell: fn(&str)) -> Self {
        self.on_wait = Some(tell);
        self
    }

    /// The user agent, such as `slipway-agent/0.1.0`.
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Makes the client. Nothing is sent yet.
    pub fn build(self) -> Result<Client, ClientError> {
        install_crypto_provider();
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
                .map_err(|_| ClientError::BadToken)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut http = reqwest::Client::builder()
            .user_agent(self.user_agent)
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(15))
            // Notices a dead connection while waiting for an answer.
            .http2_keep_alive_interval(Duration::from_secs(10))
            .http2_keep_alive_timeout(Duration::from_secs(5));
        http = if self.url.scheme() == "http" {
            // Plain HTTP works on a machine that has no certificates at all.
            http.tls_certs_only([])
        } else {
            http.tls_certs_merge(self.certificates)
        };
        let mut proxy = None;
        if is_loopback(&self.url) {
            http = http.no_proxy();
        } else {
            proxy = proxy_of(&self.url);
        }
        let http = http.build().map_err(|error| ClientError::BadSetup {
            source: error.without_url(),
        })?;
        let client = Client::new(http, self.url, self.request_timeout, proxy);
        Ok(client.retry_for(self.retry_for).on_wait(self.on_wait))
    }
}

/// Of each block, whether it is a certificate inside, too: making the client would fail without a word of the file.
fn are_certificates(pem: &[u8]) -> Vec<bool> {
    let mut store = RootCertStore::empty();
    CertificateDer::pem_slice_iter(pem)
        .map(|certificate| certificate.is_ok_and(|certificate| store.add(certificate).is_ok()))
        .collect()
}

/// The proxy that the environment names for this address, without its password.
fn proxy_of(url: &Url) -> Option<String> {
    let uri: http::Uri = url.as_str().parse().ok()?;
    let proxy = Matcher::from_env().intercept(&uri)?;
    let scheme = proxy.uri().scheme_str().unwrap_or("http");
    let host = proxy.uri().host()?;
    let port = proxy.uri().port().map(|port| format!(":{port}"));
    Some(format!("{scheme}://{host}{}", port.unwrap_or_default()))
}

fn parse_url(text: &str) -> Result<Url, ClientError> {
    // A URL may contain a password, so the error shows a bad one only up to an `@`.
    let bad = |problem: &'static str| ClientError::BadUrl {
        value: shown(text),
        problem,
    };
    let text = text.trim();
    let mut url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => bad("it has no scheme"),
        url::ParseError::EmptyHost => bad("it has no host"),
        url::ParseError::InvalidPort => bad("its port is not a number from 1 to 65535"),
        _ => bad("it is not a URL"),
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("its scheme is neither https nor http"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it has a user name or password, which do not belong there"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it has a `?` or `#` part"));
    }
    // Every route begins with this part, so an address copied from the docs may have it.
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix(route::PREFIX).unwrap_or(path);
    let path = path.trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

fn shown(text: &str) -> String {
    let text: String = text.trim().chars().take(200).collect();
    match text.rsplit_once('@') {
        Some((_, after)) => format!("…@{after}"),
        None => text,
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_bad_address_is_told_with_its_problem() {
        for (bad, problem) in [
            ("", "it has no scheme"),
            ("slipway.example.com", "it has no scheme"),
            ("localhost:8000", "neither https nor http"),
            ("ftp://a", "neither https nor http"),
            ("https://", "it has no host"),
            ("https://a:99999", "not a number from 1 to 65535"),
            ("https://a/?x=1", "a `?` or `#` part"),
            ("https://me:secret@a", "user name or password"),
        ] {
            let error = crate::builder(bad).unwrap_err().to_string();
            assert!(error.contains(problem), "{bad}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_path_before_the_routes_is_kept() {
        let url = |text| crate::builder(text).unwrap().url().to_string();
        assert_eq!(url(" https://a.example/ "), "https://a.example/");
        assert_eq!(url("https://a.example/slipway/"), "https://a.example/slipway");
    }

    #[test]
    fn an_address_with_the_routes_beginning_is_the_same_address() {
        let url = |text| crate::builder(text).unwrap().url().to_string();
        for text in [
            "https://a.example/api/v1",
            "https://a.example/api/v1/",
            "https://a.example//",
        ] {
            assert_eq!(url(text), "https://a.example/", "{text}");
        }
        assert_eq!(
            url("https://a.example/slipway/api/v1"),
            "https://a.example/slipway"
        );
        assert_eq!(url("https://a.example/other/v1"), "https://a.example/other/v1");
    }

    #[test]
    fn a_token_and_a_ca_are_checked_and_not_shown() {
        let builder = crate::builder("https://a.example").unwrap();
        let error = builder.clone().token("slw_a\nb".into()).build().unwrap_err();
        assert!(!error.to_string().contains("slw_a"), "{error}");
        assert!(!format!("{:?}", builder.clone().token("slw_ab".into())).contains("slw_"));
        for pem in [
            "",
            "nonsense",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let error = builder.clone().extra_ca_pem("CA_FILE=a.pem", pem).unwrap_err();
            assert_eq!(
                error.to_string(),
                "CA_FILE=a.pem holds no PEM certificate; name a file with one or more \
                 -----BEGIN CERTIFICATE----- blocks"
            );
        }
    }

    #[test]
    fn plain_http_to_another_machine_is_noticed() {
        for (url, readable) in [
            ("http://a.example", true),
            ("http://127.0.0.1:8000", false),
            ("http://[::1]:8000", false),
            ("http://localhost", false),
            ("https://a.example", false),
        ] {
            assert_eq!(
                crate::builder(url).unwrap().is_readable_on_the_way(),
                readable,
                "{url}"
            );
        }
    }
}
