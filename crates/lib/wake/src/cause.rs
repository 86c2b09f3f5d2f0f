//! Why there is no connection, with what to do about it.

use std::error::Error;
use std::io;

use redis::RedisError;

use crate::place::Place;

/// Why Redis cannot be used now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("{place} cannot be reached")]
    Unreachable {
        place: Place,
        cure: Option<&'static str>,
        #[source]
        source: io::Error,
    },
    #[error("{place} refused")]
    Refused {
        place: Place,
        cure: Option<&'static str>,
        #[source]
        source: RedisError,
    },
    #[error("{place} does not answer")]
    Silent {
        place: Place,
        cure: Option<&'static str>,
    },
    #[error("{0} is a replica and takes no writes")]
    Replica(Place),
    #[error("the Sentinels name {0} as the primary now")]
    Moved(Place),
    #[error("none of the {count} Sentinels says where `{name}` is")]
    NoSentinel {
        count: usize,
        name: String,
        #[source]
        source: Option<Box<ConnectError>>,
    },
    #[error("{place} knows no primary `{name}`; set REDIS_SENTINEL_MASTER to the name in its configuration")]
    UnknownPrimary { place: Place, name: String },
    #[error("{0} gives an answer that no Sentinel gives; REDIS_SENTINELS names Sentinels, not Redis")]
    NotSentinel(Place),
}

impl ConnectError {
    pub(crate) fn unreachable(place: &Place, source: io::Error) -> Self {
        Self::Unreachable {
            place: place.clone(),
            cure: cure_of(&source.to_string()),
            source,
        }
    }

    pub(crate) fn refused(place: &Place, source: RedisError, over_tls: bool) -> Self {
        let text = source.to_string();
        let mut cure = cure_of(&text);
        if cure.is_none() && !over_tls && source.is_connection_dropped() {
            cure = Some("if it takes connections with TLS only, set REDIS_TLS=on");
        }
        Self::Refused {
            place: place.clone(),
            cure,
            source,
        }
    }

    pub(crate) fn silent(place: &Place, over_tls: bool) -> Self {
        let place = place.clone();
        // A server without TLS waits for the end of what it takes for a command.
        let cure = "if it speaks no TLS on this port, correct the port or set REDIS_TLS=off";
        Self::Silent {
            place,
            cure: over_tls.then_some(cure),
        }
    }

    fn cure(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { cure, .. } | Self::Refused { cure, .. } | Self::Silent { cure, .. } => *cure,
            Self::NoSentinel { source, .. } => source.as_ref()?.cure(),
            _ => None,
        }
    }

    /// All that is known, in one line.
    pub(crate) fn in_words(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            let words = error.to_string();
            // Errors of redis quote what they come from.
            if !text.ends_with(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            source = error.source();
        }
        if let Some(cure) = self.cure() {
            text.push_str("; ");
            text.push_str(cure);
        }
        text
    }
}

/// What to do about a problem of TLS or a password, by the words of rustls and Redis.
fn cure_of(text: &str) -> Option<&'static str> {
    let cures = [
        (
            "UnknownIssuer",
            "REDIS_TLS_CA must name a file with the authority of its certificate",
        ),
        (
            "BadSignature",
            "REDIS_TLS_CA must name a file with the authority of its certificate",
        ),
        (
            "not valid for name",
            "set REDIS_TLS_NAME to a name that its certificate is for",
        ),
        ("certificate expired", "renew its certificate"),
        (
            "CertificateRequired",
            "it asks for a certificate: set REDIS_TLS_CERTIFICATE and REDIS_TLS_KEY_FILE",
        ),
        (
            "alert: UnknownCA",
            "it does not know the authority of REDIS_TLS_CERTIFICATE",
        ),
        (
            "InvalidContentType",
            "it speaks no TLS on this port: correct the port, or set REDIS_TLS=off",
        ),
        (
            "WRONGPASS",
            "check REDIS_USER, REDIS_PASSWORD and, for a Sentinel, REDIS_SENTINEL_PASSWORD",
        ),
        (
            "AuthenticationFailed",
            "check REDIS_USER, REDIS_PASSWORD and, for a Sentinel, REDIS_SENTINEL_PASSWORD",
        ),
        (
            "NOAUTH",
            "it asks for a password: set REDIS_PASSWORD, or REDIS_SENTINEL_PASSWORD for a Sentinel",
        ),
    ];
    cures
        .into_iter()
        .find(|(words, _)| text.contains(words))
        .map(|(_, cure)| cure)
}
