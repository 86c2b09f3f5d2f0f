//! What of a value may be shown.

use url::Url;

use crate::registry::Variable;
use crate::value_kind::ValueKind;

/// Stands in for what is never shown.
const REDACTED: &str = "<redacted>";

/// The value as it may be shown to anybody.
///
/// Of a connection URL everything but the credentials is shown, and only when it is understood: in a malformed one the
/// password may be anywhere.
pub(crate) fn redacted(variable: &Variable, value: &str) -> String {
    let hidden = || REDACTED.to_owned();
    if variable.kind.is_connection() && variable.kind.read("", value).is_ok() {
        return without_password(value).unwrap_or_else(hidden);
    }
    if variable.secret || matches!(variable.kind, ValueKind::Url) && value.contains('@') {
        return hidden();
    }
    value.to_owned()
}

fn without_password(value: &str) -> Option<String> {
    const HIDDEN: &str = "***";
    let mut url = Url::parse(value).ok()?;
    if url.password().is_some() {
        url.set_password(Some(HIDDEN)).ok()?;
    }
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if pairs.iter().any(|(key, _)| key == "pass") {
        let pairs = pairs
            .iter()
            .map(|(key, value)| (key, if key == "pass" { HIDDEN } else { value }));
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    Some(url.to_string())
}
