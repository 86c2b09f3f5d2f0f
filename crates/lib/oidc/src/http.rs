//! Requests to the provider: no redirects, over TLS, with a bound on time and size.

use std::error::Error as _;
use std::pin::Pin;
use std::time::Duration;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::{Certificate, redirect};
use url::{Host, Url};

const USER_AGENT: &str = concat!("slipway-api/", env!("CARGO_PKG_VERSION"));

/// How long and how large an answer may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until there is a connection.
    pub connect: Duration,
    /// For the whole answer.
    pub total: Duration,
    /// Bytes of an answer: a token with ten thousand groups has about half of it.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(10),
            bytes: 1024 * 1024,
        }
    }
}

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadCa {
    /// There is none in the file.
    #[error("there is no certificate in it")]
    Empty,
    /// The client cannot be made with them.
    #[error("a certificate in it cannot be used")]
    Unusable(#[source] reqwest::Error),
}

/// Why there is no answer. The words name the address and never what was sent.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoAnswer(pub(crate) String);

/// Sends requests to one provider.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    limits: Limits,
}

impl Http {
    pub(crate) fn new(issuer: &Url, ca_pem: Option<&[u8]>, limits: Limits) -> Result<Self, BadCa> {
        // The error means that another provider is installed, which works as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(limits.connect)
            .timeout(limits.total)
            .pool_max_idle_per_host(1);
        if let Some(pem) = ca_pem {
            let certificates = Certificate::from_pem_bundle(pem).unwrap_or_default();
            if certificates.is_empty() {
                return Err(BadCa::Empty);
            }
            builder = builder.tls_certs_merge(certificates);
        } else if issuer.scheme() == "http" {
            // Plain HTTP works on a machine that has no certificates at all.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(BadCa::Unusable)?;
        Ok(Self { client, limits })
    }

    /// The answer to a request. The provider itself names most addresses, so each of them is looked at.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let (parts, body) = request.into_parts();
        let shown = parts.uri.to_string();
        let fails = |why: &str| NoAnswer(format!("{shown} {why}"));
        let url = Url::parse(&shown).map_err(|_| fails("is no address"))?;
        if !is_private(&url) {
            return Err(fails(
                "is not encrypted; the provider must have https:// addresses",
            ));
        }
        let answer = async {
            let sent = self.client.request(parts.method, url);
            let mut response = sent.headers(parts.headers).body(body).send().await?;
            let mut answer = http::Response::builder().status(response.status());
            if let Some(headers) = answer.headers_mut() {
                headers.clone_from(response.headers());
            }
            let mut bytes = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                if bytes.len() + chunk.len() > self.limits.bytes {
                    return Ok(None);
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(Some((answer, bytes)))
        };
        // Beside the client's own bound: a name may take long to look up.
        let answered = match tokio::time::timeout(self.limits.total, answer).await {
            Err(_) => return Err(fails("did not answer in time")),
            Ok(Err(error)) => return Err(fails(&words(&error))),
            Ok(Ok(answered)) => answered,
        };
        let Some((answer, bytes)) = answered else {
            return Err(fails(&format!("answered more than {} bytes", self.limits.bytes)));
        };
        let answer = answer
            .body(bytes)
            .map_err(|_| fails("gave no answer that can be read"))?;
        if answer.status().is_redirection() {
            let code = answer.status().as_u16();
            return Err(fails(&format!("answered {code}, and redirects are not followed")));
        }
        if answer.status().is_server_error() {
            return Err(fails(&format!("answered {}", answer.status().as_u16())));
        }
        Ok(answer)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Whether nobody on the way can read what goes there: over TLS, or within this machine.
pub(crate) fn is_private(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "did not answer in time".to_owned();
    }
    let mut last = None;
    let mut cause = error.source();
    while let Some(found) = cause {
        last = Some(found.to_string());
        cause = found.source();
    }
    let what = if error.is_connect() {
        "cannot be connected to"
    } else {
        "gave no answer that can be read"
    };
    last.map_or_else(|| what.to_owned(), |last| format!("{what}: {last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_can_read_on_the_way_is_asked() {
        for (url, private) in [
            ("https://login.example.org/token", true),
            ("http://127.0.0.1:8080/token", true),
            ("http://[::1]/token", true),
            ("http://localhost/token", true),
            ("http://login.example.org/token", false),
            ("http://localhost.example.org/token", false),
            ("ftp://127.0.0.1/token", false),
        ] {
            assert_eq!(is_private(&Url::parse(url).unwrap()), private, "{url}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_told() {
        let issuer = Url::parse("http://127.0.0.1:1").unwrap();
        let made = |pem| Http::new(&issuer, pem, Limits::default());
        assert!(matches!(made(Some(b"no PEM")), Err(BadCa::Empty)));
        assert!(made(None).is_ok());
    }
}
