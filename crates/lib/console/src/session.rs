//! The session of a browser: a token of the API in a cookie, and the secret of its forms.
//!
//! The token is one for sessions: it ends after 12 hours, and after an hour without a request. Nothing of it is kept here.

use hmac::{Hmac, KeyInit, Mac};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use sha2::Sha256;
use slipway_wire::access::{SESSION_SECONDS, TokenSecret};
use subtle::ConstantTimeEq;

/// `__Host-`: browsers take it only over TLS (or from this machine), for this very host, and for all paths.
const NAME: &str = "__Host-slipway";

/// The token of the request's cookie, if it has one.
pub(crate) fn token_of(headers: &HeaderMap) -> Option<TokenSecret> {
    Some(TokenSecret::new(value_of(headers, NAME)?.to_owned()))
}

/// The value of the request's cookie of this name.
pub(crate) fn value_of<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter();
    let mut pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == wanted)?;
    Some(value)
}

/// The cookie that begins a session.
///
/// Strict: no other site can send a request with it, not even by a link. `guard` has the detour for links.
pub(crate) fn begin(token: &TokenSecret) -> HeaderValue {
    cookie(NAME, token.expose(), "Strict", SESSION_SECONDS)
}

/// The cookie that ends it.
pub(crate) fn end() -> HeaderValue {
    cookie(NAME, "", "Strict", 0)
}

/// A cookie that no script reads.
pub(crate) fn cookie(name: &str, value: &str, same_site: &str, seconds: u32) -> HeaderValue {
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite={same_site}; Max-Age={seconds}");
    let mut header = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}

/// What every form of a session sends, and no other site knows.
pub(crate) fn form_secret(token: &TokenSecret) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(token.expose().as_bytes()).expect("a key of any length");
    mac.update(b"slipway console form");
    hex::encode(mac.finalize().into_bytes())
}

/// Whether a form sent the session's secret.
pub(crate) fn is_form_secret(token: &TokenSecret, sent: &str) -> bool {
    form_secret(token).as_bytes().ct_eq(sent.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let headers = HeaderMap::from_iter([(
            COOKIE,
            HeaderValue::from_static("a=b; __Host-slipway=slw_1; x-__Host-slipway=no"),
        )]);
        assert_eq!(token_of(&headers).unwrap().expose(), "slw_1");
        assert!(token_of(&HeaderMap::new()).is_none());
    }

    #[test]
    fn a_cookie_is_for_no_script_and_no_other_site() {
        let value = begin(&TokenSecret::new("slw_1".to_owned()));
        let text = value.to_str().unwrap();
        for part in ["Secure", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("Domain"), "{text}");
    }

    #[test]
    fn each_session_has_its_own_form_secret() {
        let (one, two) = (
            TokenSecret::new("slw_1".to_owned()),
            TokenSecret::new("slw_2".to_owned()),
        );
        assert!(is_form_secret(&one, &form_secret(&one)));
        for wrong in [
            form_secret(&two),
            String::new(),
            form_secret(&one)[..63].to_owned(),
        ] {
            assert!(!is_form_secret(&one, &wrong), "{wrong}");
        }
    }
}
