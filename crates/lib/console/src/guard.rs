//! The layer around every page: headers of the answer, and no forms from other sites.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use slipway_wire::problem;

use crate::api::plain;
use crate::pages::problem_page;

/// Nothing but the console's own files, and no markup as script or style.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks where a request comes from, and sets the headers of its answer.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let mut response = if is_foreign_form(request.method(), request.headers()) {
        tracing::warn!("a form from another site was refused");
        problem_page(&plain(
            problem::kind::FORBIDDEN,
            StatusCode::FORBIDDEN,
            "this form was sent from another site; open the console itself and try again",
        ))
    } else {
        next.run(request).await
    };
    decorate(response.headers_mut());
    response
}

/// Whether a request that changes something was made by a page of somebody else.
///
/// Browsers say it in `Sec-Fetch-Site`, and older ones in `Origin`. The secret of the form is asked for as well.
fn is_foreign_form(method: &Method, headers: &HeaderMap) -> bool {
    if method == Method::GET || method == Method::HEAD {
        return false;
    }
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(site) = text(&SEC_FETCH_SITE) {
        return site != "same-origin" && site != "none";
    }
    match (text(&ORIGIN), text(&HOST)) {
        (Some(origin), Some(host)) => origin.split_once("://").map(|(_, of)| of) != Some(host),
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// Whether a link on another site led here: then the browser held back the cookie.
pub(crate) fn is_followed_link(headers: &HeaderMap) -> bool {
    headers
        .get(&SEC_FETCH_SITE)
        .is_some_and(|site| site == "cross-site")
}

/// A page that loads itself again. This time the request comes from here, so the browser sends the cookie.
pub(crate) fn come_again() -> Response {
    opening("0", &maud::html! { "Opening the page…" })
}

/// A page that leads to another one, to browsers in place of whoever led here. After a redirect they would hold the cookie
/// back, and the answer to a form may not lead to another site.
pub(crate) fn lead_on(to: &str) -> Response {
    let link = maud::html! { a href=(to) { "Go on" } };
    opening(&format!("0; url={to}"), &link)
}

fn opening(refresh: &str, content: &maud::Markup) -> Response {
    let page = maud::html! {
        (maud::DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; meta http-equiv="refresh" content=(refresh); title { "Slipway" } }
            body { p { (content) } }
        }
    };
    axum::response::Html(page.into_string()).into_response()
}

fn decorate(headers: &mut HeaderMap) {
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(http::header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(CACHE_CONTROL, "no-store");
    // With none at all, browsers would hide where a form comes from, also from ourselves.
    set(REFERRER_POLICY, "same-origin");
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(http::header::X_FRAME_OPTIONS, "DENY");
    set(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(headers: &[(HeaderName, &'static str)]) -> bool {
        let headers = headers.iter().cloned();
        let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
        is_foreign_form(&Method::POST, &headers.collect::<HeaderMap>())
    }

    #[test]
    fn a_form_of_another_site_is_foreign() {
        assert!(!foreign(&[(SEC_FETCH_SITE, "same-origin")]));
        assert!(!foreign(&[
            (ORIGIN, "https://ship.example"),
            (HOST, "ship.example")
        ]));
        for headers in [
            &[(SEC_FETCH_SITE, "cross-site")][..],
            &[(SEC_FETCH_SITE, "same-site")],
            &[(ORIGIN, "https://evil.example"), (HOST, "ship.example")],
            &[(ORIGIN, "null"), (HOST, "ship.example")],
            &[(ORIGIN, "https://ship.example")],
        ] {
            assert!(foreign(headers), "{headers:?}");
        }
    }
}
