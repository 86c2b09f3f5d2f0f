//! What of a value may be shown.

use url::Url;

use crate::kind::Kind;
use crate::registry::Variable;
use crate::sections::{DatabaseUrl, RedisUrl};

/// Stands in for what is never shown.
pub(crate) const REDACTED: &str = "<redacted>";

/// The value as it may be shown to anybody.
///
/// Of a connection URL everything but the credentials is shown, and only when it is understood: in a malformed one the
/// password may be anywhere.
pub(crate) fn shown(variable: &Variable, value: &str) -> String {
    match variable.kind {
        Kind::DatabaseUrl if DatabaseUrl::parse(value).is_ok() => without_password(value),
        Kind::RedisUrl if RedisUrl::parse(value).is_ok() => without_password(value),
        Kind::Url if value.contains('@') => REDACTED.to_owned(),
        _ if variable.secret => REDACTED.to_owned(),
        _ => value.to_owned(),
    }
}

fn without_password(value: &str) -> String {
    let Ok(mut url) = Url::parse(value) else {
        return REDACTED.to_owned();
    };
    if url.password().is_some() && url.set_password(Some("***")).is_err() {
        return REDACTED.to_owned();
    }
    if url.query_pairs().any(|(key, _)| key == "pass") {
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(key, value)| {
                (
                    key.to_string(),
                    if key == "pass" {
                        "***".to_owned()
                    } else {
                        value.to_string()
                    },
                )
            })
            .collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    url.to_string()
}
