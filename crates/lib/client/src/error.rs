//! What can go wrong between a client and the API.

use std::fmt;
use std::time::Duration;

use slipway_wire::Problem;
use slipway_wire::problem::kind;

/// A request that came to nothing, or a client that could not be made.
///
/// `Display` is one line with the cure at its end; [`summary`](Self::summary) and [`help`](Self::help) are its halves.
/// It never shows a token.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The API refused.
    Problem {
        /// Its answer.
        problem: Box<Problem>,
        /// When it is worth asking again, if it said so.
        retry_after: Option<Duration>,
    },
    /// No answer from the API.
    Unreachable {
        /// The API's address.
        url: String,
        /// Why.
        cause: UnreachableCause,
        /// Whether the request certainly never arrived.
        never_sent: bool,
        /// The proxy on the way, if it is what failed.
        proxy: Option<String>,
        /// When it is worth asking again, if a proxy said so.
        retry_after: Option<Duration>,
        /// The error below.
        source: Option<reqwest::Error>,
    },
    /// A request that changes something failed, but may have taken effect.
    Unsure {
        /// Its path.
        path: String,
        /// How it failed.
        error: Box<Self>,
    },
    /// Something answered, but not as the API would.
    BadAnswer {
        /// What was asked.
        url: String,
        /// The answer's HTTP status.
        status: u16,
        /// What is wrong with it.
        detail: String,
    },
    /// The address cannot be used.
    BadUrl {
        /// The address, without a password.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The token holds characters that no token has.
    BadToken,
    /// The extra CA is no PEM certificate.
    BadCa {
        /// The file, in the caller's words.
        from: String,
        /// The number of the block that is broken, where others are certificates.
        broken_block: Option<usize>,
    },
    /// The TLS settings cannot be used.
    BadSetup {
        /// The error below.
        source: reqwest::Error,
    },
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnreachableCause {
    /// The name has no address.
    Dns,
    /// Nothing listens there.
    Refused,
    /// There is no way to the address.
    NoRoute,
    /// Connecting took too long.
    ConnectTimedOut,
    /// The answer took too long.
    TimedOut,
    /// The connection was cut.
    Closed,
    /// This machine does not know the certificate's issuer.
    UnknownCa,
    /// The certificate is for another name.
    WrongName,
    /// The certificate is not valid at this machine's time.
    Expired,
    /// The certificate is unfit in another way, such as a CA's own.
    Certificate,
    /// TLS failed in another way, such as when the other side speaks plain HTTP.
    Tls,
    /// A proxy before the API answered with this status, 502 to 504.
    Proxy(u16),
    /// Anything else.
    Other,
}

impl UnreachableCause {
    /// Why TLS failed.
    #[must_use]
    pub fn of_tls(error: &rustls::Error) -> Self {
        crate::cause::tls(error)
    }

    /// Whether it can pass by itself.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        !matches!(
            self,
            Self::UnknownCa | Self::WrongName | Self::Expired | Self::Certificate | Self::Tls
        )
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Dns => "check the host's name in the address, and this machine's DNS",
            Self::Refused => "check the port in the address, and that the API runs",
            Self::NoRoute | Self::ConnectTimedOut => {
                "check the address, the network and firewalls on the way"
            }
            Self::TimedOut | Self::Closed => "try again; if it goes on, look at the API's log",
            Self::UnknownCa => {
                "if a CA of your own signed it, name that CA's PEM file: --ca-file or SLIPWAY_CA_FILE for slipway, AGENT_CA_FILE for the agent"
            }
            Self::WrongName => "use the name that the certificate is for as the address",
            Self::Expired => "renew the server's certificate, or set this machine's clock",
            Self::Certificate => {
                "give the server a certificate with its name in it that a CA signed and that is no CA's itself"
            }
            Self::Tls => "check that the port in the address is the HTTPS one",
            Self::Proxy(_) => "the proxy runs and the API behind it does not; look at the API's log",
            Self::Other => "check the address and the network",
        }
    }
}

impl fmt::Display for UnreachableCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "the host's name has no address",
            Self::Refused => "nothing listens there (connection refused)",
            Self::NoRoute => "there is no way to that address",
            Self::ConnectTimedOut => "the connection timed out",
            Self::TimedOut => "the answer did not come in time",
            Self::Closed => "the connection was cut",
            Self::UnknownCa => "its certificate is signed by a CA that this machine does not know",
            Self::WrongName => "its certificate is for another name",
            Self::Expired => "its certificate is not valid at this time",
            Self::Certificate => "its certificate is not fit for a server",
            Self::Tls => "no secure connection could be made",
            Self::Proxy(status) => return write!(f, "the proxy before it answered {status}"),
            Self::Other => "the request failed",
        })
    }
}

impl ClientError {
    /// What went wrong, without the cure.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Problem { problem, .. } => {
                if problem.detail.is_empty() {
                    problem.title.clone()
                } else {
                    problem.detail.clone()
                }
            }
            Self::Unreachable {
                url,
                cause: UnreachableCause::Other | UnreachableCause::Closed,
                proxy: Some(proxy),
                ..
            } => format!("cannot reach {url}: the proxy {proxy} on the way does not connect to it"),
            Self::Unreachable {
                url,
                cause,
                proxy: Some(proxy),
                ..
            } => format!("cannot reach {url}: the proxy {proxy} on the way cannot be reached: {cause}"),
            Self::Unreachable { url, cause, .. } => format!("cannot reach {url}: {cause}"),
            Self::Unsure { error, .. } => error.summary(),
            Self::BadAnswer { url, status, detail } => {
                format!("{url} answered {status}, but not as the Slipway API does: {detail}")
            }
            Self::BadUrl { value, problem } => format!("`{value}` is not an API address: {problem}"),
            Self::BadToken => "the token holds characters that no token has".to_owned(),
            Self::BadCa {
                from,
                broken_block: None,
            } => format!("{from} holds no PEM certificate"),
            Self::BadCa {
                from,
                broken_block: Some(number),
            } => format!("certificate block {number} in {from} holds no certificate"),
            Self::BadSetup { .. } => "the TLS settings cannot be used".to_owned(),
        }
    }

    /// What to do about it, when the summary does not say.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::Problem { problem, .. } => match problem.short_kind() {
                kind::INTERNAL => "look for the request id in the API's log",
                kind::UNAVAILABLE | kind::TIMEOUT => "try again in a moment",
                _ => return None,
            },
            Self::Unreachable { proxy: Some(_), .. } => {
                "check the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names, or name the API's host in NO_PROXY"
            }
            Self::Unreachable { cause, .. } => cause.help(),
            Self::Unsure { .. } => "it may have been done all the same: look before you ask for it again",
            Self::BadAnswer { url, .. } if url.starts_with("http:") => {
                "check that the address is the API's; where the server speaks TLS, the address begins with https://"
            }
            Self::BadAnswer { .. } => {
                "check that the address is the API's, and that client and server are of one version"
            }
            Self::BadUrl { .. } => "use a form like https://slipway.example.com",
            Self::BadToken => "a token is `slw_` and 64 hex digits on one line",
            Self::BadCa {
                broken_block: Some(_),
                ..
            } => "take that block out, or put its certificate in again",
            Self::BadCa { .. } => "name a file with one or more -----BEGIN CERTIFICATE----- blocks",
            Self::BadSetup { .. } => {
                "install the CA certificates of the distribution (ca-certificates), or name a CA file"
            }
        })
    }

    /// Whether the same request may succeed later without any change.
    ///
    /// It says nothing about whether the request took effect; see [`never_sent`](Self::never_sent).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Problem { problem, .. } => matches!(problem.status, 408 | 429 | 500 | 502..=504),
            Self::Unreachable { cause, .. } => cause.is_passing(),
            Self::Unsure { error, .. } => error.is_retryable(),
            _ => false,
        }
    }

    /// The same error as that of a request that changes something.
    pub(crate) fn of_change(self, path: &str) -> Self {
        let is_open = match &self {
            Self::Unreachable { never_sent, .. } => !never_sent,
            // The server's limit, a database that went away in the middle, or a proxy that lost its server.
            Self::Problem { problem, .. } => !problem.nothing_done && matches!(problem.status, 408 | 500..),
            Self::BadAnswer { status, .. } => !matches!(status, 300..500),
            _ => false,
        };
        if !is_open {
            return self;
        }
        Self::Unsure {
            path: path.to_owned(),
            error: Box::new(self),
        }
    }

    /// When the other side asked to be asked again.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Problem { retry_after, .. } | Self::Unreachable { retry_after, .. } => *retry_after,
            Self::Unsure { error, .. } => error.retry_after(),
            _ => None,
        }
    }

    /// Whether the request certainly had no effect because it never arrived.
    #[must_use]
    pub const fn never_sent(&self) -> bool {
        match self {
            Self::Unreachable { never_sent, .. } => *never_sent,
            Self::BadUrl { .. } | Self::BadToken | Self::BadCa { .. } | Self::BadSetup { .. } => true,
            Self::Problem { .. } | Self::Unsure { .. } | Self::BadAnswer { .. } => false,
        }
    }

    /// The API's answer, when it gave one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem { problem, .. } => Some(problem),
            Self::Unsure { error, .. } => error.problem(),
            _ => None,
        }
    }

    /// Whether the API refused with this kind (one of [`slipway_wire::problem::kind`]).
    #[must_use]
    pub fn is(&self, kind: &str) -> bool {
        self.problem().is_some_and(|problem| problem.short_kind() == kind)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        if let Some(problem) = self.problem() {
            for field in &problem.fields {
                write!(f, "; {}: {}", field.field, field.detail)?;
            }
            if let Some(id) = &problem.request_id {
                write!(f, " (request {id})")?;
            }
        }
        match self.help() {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable {
                source: Some(source), ..
            }
            | Self::BadSetup { source } => Some(source),
            Self::Unsure { error, .. } => error.source(),
            _ => None,
        }
    }
}
