//! Headers that go along with every request to a collector, such as an account's key.

use std::fmt;

use secrecy::SecretString;

use super::percent_decode;
use crate::error::InvalidValue;

/// Names and values of HTTP headers. The values are secret, and a name may be one by mistake: whoever gives a bare key that
/// ends in `=` gives a name.
#[derive(Clone, Default)]
pub struct OtlpHeaders(Vec<(String, SecretString)>);

impl OtlpHeaders {
    /// Each header once, in the order in which it was given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SecretString)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// `name=value` separated by commas, as OpenTelemetry has it: a value may have percent escapes.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidValue> {
        let mut headers: Vec<(String, SecretString)> = Vec::new();
        for (place, pair) in (1..).zip(text.split(',')) {
            let wrong = |problem: &str| {
                InvalidValue::new(
                    format!("has a header (number {place}) {problem}"),
                    "give name=value, separated by commas; write a comma in a value as %2C",
                )
            };
            let (name, value) = pair.split_once('=').ok_or_else(|| wrong("without a ="))?;
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if name.is_empty() || !name.bytes().all(is_token) {
                return Err(wrong("whose name is none"));
            }
            if headers.iter().any(|(other, _)| *other == name) {
                return Err(wrong("that was given before"));
            }
            let value = percent_decode(value).ok_or_else(|| wrong("with an incomplete percent escape"))?;
            if value.is_empty() || !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
                return Err(wrong("whose value is empty or not plain ASCII"));
            }
            headers.push((name, value.into()));
        }
        Ok(Self(headers))
    }
}

impl fmt::Debug for OtlpHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OtlpHeaders({} redacted)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn what_vendors_hand_out_is_understood() {
        let text = "api-key=0123, Authorization=Basic dXNlcjpwYXNz==,x-sentry-auth=sentry%20sentry_key%3Dab";
        let headers = OtlpHeaders::parse(text).unwrap();
        let read: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name, value.expose_secret()))
            .collect();
        assert_eq!(
            read,
            [
                ("api-key", "0123"),
                ("authorization", "Basic dXNlcjpwYXNz=="),
                ("x-sentry-auth", "sentry sentry_key=ab"),
            ]
        );
        assert_eq!(format!("{headers:?}"), "OtlpHeaders(3 redacted)");
    }

    #[test]
    fn a_key_without_a_name_is_not_shown_as_one() {
        let headers = OtlpHeaders::parse("c2VjcmV0LWtleQ==").unwrap();
        assert!(!format!("{headers:?}").contains("c2vjcmv0"), "{headers:?}");
    }

    #[test]
    fn what_is_no_header_is_told_by_its_place_and_not_shown() {
        for (text, problem) in [
            ("s3cret", "number 1) without a ="),
            ("a=1,s3cret", "number 2) without a ="),
            ("=s3cret", "whose name is none"),
            ("s3 cret=1", "whose name is none"),
            ("a=1,A=s3cret", "number 2) that was given before"),
            ("a=s3cret%2", "an incomplete percent escape"),
            ("a=s3cret%0A", "not plain ASCII"),
            ("a=", "is empty"),
        ] {
            let wrong = OtlpHeaders::parse(text).unwrap_err();
            let told = format!("{} {}", wrong.problem, wrong.cure);
            assert!(told.contains(problem) && !told.contains("s3"), "{text}: {told}");
        }
    }
}
