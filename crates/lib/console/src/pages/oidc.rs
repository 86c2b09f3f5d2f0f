//! Signing in through a provider of `OpenID` Connect: on the way there, and back.
//!
//! The browser keeps what binds the sign-in to it in a cookie of its own. That one is `Lax`: the provider's site leads back
//! here, and a strict cookie would stay behind. The session's own cookie stays strict.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{Request, State};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use maud::{Markup, html};
use percent_encoding::percent_decode_str;
use slipway_wire::access::TokenCreated;
use slipway_wire::oidc::{ATTEMPT_MINUTES, ATTEMPT_SECONDS, FinishOidc, OidcBegun};
use slipway_wire::route;
use subtle::ConstantTimeEq;
use url::Url;

use super::sign_in::{label, local, page, wrong};
use crate::api::{Answer, Api, PageRequest, Refused, escape};
use crate::form::{self, Fields};
use crate::ui::Reply;
use crate::{Console, guard, session, view};

/// As the session's, only over TLS and for this very host.
const COOKIE: &str = "__Host-slipway-oidc";
/// A longer path is not led back to: a cookie has little room.
const MAX_NEXT: usize = 1000;

/// The button, for the page with all ways to sign in.
pub(super) fn form(next: &str, issuer: &str) -> Markup {
    let url = Url::parse(issuer).ok();
    let name = url.as_ref().and_then(Url::host_str).unwrap_or(issuer);
    html! {
        form method="post" action="/sign-in/oidc" {
            input type="hidden" name="next" value=(next);
            button.primary autofocus { "Sign in at " (view::words(name)) }
        }
        p.faint { "Or with a token:" }
    }
}

/// What the browser keeps while somebody is at the provider.
struct Kept<'a> {
    attempt: &'a str,
    state: &'a str,
    next: Cow<'a, str>,
}

impl<'a> Kept<'a> {
    fn of(headers: &'a HeaderMap) -> Option<Self> {
        let mut parts = session::value_of(headers, COOKIE)?.splitn(3, ':');
        Some(Self {
            attempt: parts.next()?,
            state: parts.next()?,
            next: percent_decode_str(parts.next()?).decode_utf8().ok()?,
        })
    }

    fn cookie(&self) -> HeaderValue {
        let next = if self.next.len() > MAX_NEXT {
            "/"
        } else {
            &self.next
        };
        let value = format!("{}:{}:{}", self.attempt, self.state, escape(next));
        session::cookie(COOKIE, &value, "Lax", ATTEMPT_SECONDS)
    }
}

fn forget() -> HeaderValue {
    session::cookie(COOKIE, "", "Lax", 0)
}

/// Leads to the provider.
pub(super) async fn begin(State(console): State<Arc<Console>>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let fields = form::read(body).await?;
    let next = local(fields.text("next"));
    let api = Api::new(console.api.clone(), None, PageRequest(parts.extensions));
    let begun: OidcBegun = match api.post(route::OIDC, &serde_json::json!({}), None).await {
        Ok(begun) => begun,
        Err(refused) => return Ok(page(&api, next, false, Some(&refused), None).await),
    };
    let kept = Kept {
        attempt: begun.attempt.expose(),
        state: &begun.state,
        next: next.into(),
    };
    let mut response = guard::lead_on(&begun.url);
    response.headers_mut().append(SET_COOKIE, kept.cookie());
    Ok(response)
}

/// Begins the session of whoever comes back, or says why not.
pub(super) async fn come_back(State(console): State<Arc<Console>>, query: Fields, request: Request) -> Reply {
    let (parts, _) = request.into_parts();
    let api = Api::new(console.api.clone(), None, PageRequest(parts.extensions.clone()));
    let state = query.text("state");
    // Somebody else's address must neither sign this browser in nor say anything here. Nor does it end what this browser began
    // in another tab.
    let kept = Kept::of(&parts.headers);
    let kept = kept.filter(|kept| kept.state.as_bytes().ct_eq(state.as_bytes()).into());
    let next = kept.as_ref().map_or("/", |kept| local(&kept.next));
    let is_over = kept.is_some();
    let mut response = match finish(&api, kept.as_ref(), &query, label(&parts.headers)).await {
        Ok(made) => {
            let mut response = guard::lead_on(next);
            let cookie = session::begin(&made.token);
            response.headers_mut().append(SET_COOKIE, cookie);
            response
        }
        Err(refused) => page(&api, next, false, Some(&refused), None).await,
    };
    if is_over {
        response.headers_mut().append(SET_COOKIE, forget());
    }
    Ok(response)
}

async fn finish(api: &Api, kept: Option<&Kept<'_>>, query: &Fields, label: String) -> Answer<TokenCreated> {
    let Some(kept) = kept else {
        return Err(wrong(format!(
            "This sign-in was not begun in this browser, or more than {ATTEMPT_MINUTES} minutes ago. Begin it here"
        )));
    };
    if let Some(error) = query.filled("error") {
        return Err(refused_there(error, query.text("error_description")));
    }
    let Some(code) = query.filled("code") else {
        return Err(wrong("The provider sent no code. Begin the sign-in again"));
    };
    let finish = FinishOidc {
        attempt: kept.attempt.to_owned(),
        state: kept.state.to_owned(),
        code: code.to_owned(),
        iss: query.filled("iss").map(str::to_owned),
        label,
    };
    api.post(route::OIDC_FINISH, &finish, None).await
}

/// What the provider says, as text.
fn refused_there(error: &str, description: &str) -> Refused {
    const MOST: usize = 300;
    let said = match (error, description) {
        ("access_denied", "") => "The provider says that you may not, or that you broke off".to_owned(),
        (error, "") => format!("The provider says: {error}"),
        (error, description) => format!("The provider says: {error}: {description}"),
    };
    wrong(said.chars().take(MOST).collect::<String>())
}
