//! What values mean: each type is parsed here, by one function that the check and the section's struct share.

mod database_url;
mod headers;
mod lists;
mod names;
mod oidc;
mod redis_url;
mod secret_key;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};

pub use database_url::DatabaseHost;
pub use headers::OtlpHeaders;
pub use lists::{Networks, TrustedProxies};
pub use oidc::{OidcDomains, OidcRole, OidcRoles};
pub use redis_url::RedisServer;
pub use secret_key::SecretKey;
pub use words::{AgentBootLoader, AgentRunner, AppEnv, LogFormat, SmtpTls, SslMode};

pub(crate) use lists::Nodes;
pub use names::is_address;
pub(crate) use names::{is_label, is_mailbox, is_name, is_plain_path};
pub(crate) use {database_url::parse as parse_database_url, redis_url::parse as parse_redis_url};

/// What a value says, by the names of the section's fields: a URL says several things at once.
pub(crate) type Fields = BTreeMap<&'static str, String>;

macro_rules! deserialize_as_parsed {
    ($($value:ty),*) => {$(
        impl<'de> Deserialize<'de> for $value {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(|wrong| D::Error::custom(wrong.problem))
            }
        }
    )*};
}

deserialize_as_parsed!(
    Networks,
    Nodes,
    OidcDomains,
    OidcRoles,
    OtlpHeaders,
    SecretKey,
    TrustedProxies
);

/// Percent-decodes a part of a URL, where `+` is a plus; `None` when an escape is incomplete or the result is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let escapes = text.split('%').skip(1);
    let is_whole = |escape: &str| {
        escape
            .as_bytes()
            .get(..2)
            .is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit))
    };
    let whole = escapes.into_iter().all(is_whole);
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8().ok()?;
    whole.then(|| decoded.into_owned())
}
