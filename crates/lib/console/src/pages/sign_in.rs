//! Signing in and out.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{SET_COOKIE, USER_AGENT};
use http::{HeaderMap, StatusCode};
use maud::html;
use slipway_domain::{PrincipalName, TokenLimits};
use slipway_wire::access::{CreateToken, LoginRequest, TOKEN_PREFIX, TokenCreated, TokenSecret, Whoami};
use slipway_wire::oidc::OidcOffer;
use slipway_wire::problem::{self, Problem};
use slipway_wire::route;

use super::oidc;
use crate::api::{Answer, Api, PageRequest, Refused, plain};
use crate::form::{self, Fields, Sent};
use crate::ui::Reply;
use crate::{Console, layout, session};

/// What the labels of sessions begin with.
const LABEL: &str = "console";

/// The form.
pub(super) async fn show(State(console): State<Arc<Console>>, query: Fields, request: Request) -> Response {
    let api = Api::new(
        console.api.clone(),
        None,
        PageRequest(request.extensions().clone()),
    );
    page(&api, local(query.text("next")), query.is_on("ended"), None, None).await
}

/// All ways to sign in. While the API cannot say whether there is a provider, there is none.
///
/// `name` was refused with its password: whoever typed it goes on there.
pub(super) async fn page(
    api: &Api,
    next: &str,
    ended: bool,
    refused: Option<&Problem>,
    name: Option<&str>,
) -> Response {
    let offer = api.get::<OidcOffer>(route::OIDC).await;
    let issuer = offer.ok().and_then(|offer| offer.issuer);
    let content = html! {
        section.sign-in {
            h1 { "Sign in" }
            @if ended && refused.is_none() { p.alert role="status" { "The session is over. Sign in to go on." } }
            (layout::alert(refused))
            @if let Some(issuer) = &issuer { (oidc::form(next, issuer)) }
            form method="post" action="/sign-in" {
                input type="hidden" name="next" value=(next);
                (form::account("token"))
                label { "Token" input type="password" name="token" autocomplete="current-password" placeholder="slw_…" autofocus[issuer.is_none() && name.is_none()]; }
                p.faint { "Your token of " code { "slipway token create" } " or of an administrator. The page keeps a token of its own, which ends after 12 hours, and after an hour without a request." }
                button.primary[issuer.is_none()] { "Sign in" }
            }
            details open[name.is_some()] {
                summary { "With a name and a password" }
                form method="post" action="/sign-in" {
                    input type="hidden" name="next" value=(next);
                    label { "Name" input name="name" autocomplete="username" value=(name.unwrap_or("admin")); }
                    label { "Password" input type="password" name="password" autocomplete="current-password" autofocus[name.is_some()]; }
                    button { "Sign in" }
                }
            }
        }
    };
    layout::with_status(layout::bare("Sign in", StatusCode::OK, &content), refused)
}

/// Begins a session.
pub(super) async fn sign_in(State(console): State<Arc<Console>>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let fields = form::read(body).await?;
    let next = local(fields.text("next"));
    let api = Api::new(console.api.clone(), None, PageRequest(parts.extensions.clone()));
    match begin(&api, &fields, &label(&parts.headers)).await {
        Ok(made) => {
            let mut response = Redirect::to(next).into_response();
            response
                .headers_mut()
                .append(SET_COOKIE, session::begin(&made.token));
            Ok(response)
        }
        Err(refused) => Ok(page(&api, next, false, Some(&refused), fields.filled("name")).await),
    }
}

async fn begin(api: &Api, fields: &Fields, label: &str) -> Answer<TokenCreated> {
    let wish = CreateToken {
        principal: None,
        label: label.to_owned(),
        expires_in_days: None,
        limits: TokenLimits::default(),
        session: true,
    };
    if let Some(name) = fields.filled("name") {
        let name: PrincipalName = name
            .parse()
            .map_err(|_| wrong("There is nobody of this name with a password"))?;
        let login = LoginRequest {
            name,
            password: fields.verbatim("password").to_owned(),
            label: None,
            token: Some(wish),
        };
        return api.post(route::LOGIN, &login, None).await;
    }
    let token = fields.text("token");
    if !token.starts_with(TOKEN_PREFIX) {
        return Err(wrong(format!(
            "A token begins with {TOKEN_PREFIX}; paste it whole"
        )));
    }
    let api = api.with_token(TokenSecret::new(token.to_owned()));
    let who = api.get(route::WHOAMI).await;
    if let Whoami::Host { name } = who.map_err(|refused| refused.of_a_token("token"))? {
        return Err(wrong(format!(
            "The token is of the host {name}; hosts cannot sign in"
        )));
    }
    api.post(route::TOKENS, &wish, None).await
}

pub(super) fn wrong(detail: impl Into<String>) -> Refused {
    plain(problem::kind::UNAUTHENTICATED, StatusCode::UNAUTHORIZED, detail)
}

/// Ends the session.
pub(super) async fn sign_out(Sent { ui, .. }: Sent) -> Reply {
    if let Some(id) = ui.token_id() {
        ui.api.delete(&route::fill(route::TOKEN, id)).await?;
    }
    let mut response = Redirect::to("/sign-in").into_response();
    response.headers_mut().append(SET_COOKIE, session::end());
    Ok(response)
}

/// A path of this very site, or the first page. The pages' own links have nothing but visible ASCII, and other characters
/// may be none that a header can have.
pub(super) fn local(next: &str) -> &str {
    let is_visible = next.bytes().all(|byte| byte.is_ascii_graphic());
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.contains('\\');
    if is_path && is_visible { next } else { "/" }
}

/// What the session is called in the list: the browser and its system, in two words.
pub(super) fn label(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    label_of(agent.unwrap_or_default())
}

fn label_of(agent: &str) -> String {
    let first = |names: &[&'static str]| names.iter().find(|name| agent.contains(**name)).copied();
    // Most browsers say that they are others too, so the order counts.
    let browser = first(&["Edg", "OPR", "Firefox", "Chrome", "Safari", "curl"]);
    let system = first(&["Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux"]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{LABEL}: {browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => format!("{LABEL}: {one}"),
        (None, None) => LABEL.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_another_site() {
        assert_eq!(local("/rollouts/1?a=b"), "/rollouts/1?a=b");
        for foreign in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "javascript:x",
            "/a\nb",
            "/\u{0}",
            "/\u{7f}",
            "/\t/evil.example",
        ] {
            assert_eq!(local(foreign), "/", "{foreign}");
        }
    }

    #[test]
    fn a_session_is_named_after_its_browser() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36";
        assert_eq!(label_of(chrome), "console: Chrome on Linux");
        let phone = "Mozilla/5.0 (Linux; Android 15; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0";
        assert_eq!(label_of(phone), "console: Firefox on Android");
        // Nothing of what a browser says is taken over.
        assert_eq!(label_of("<b>\u{1b}[31m"), "console");
        assert_eq!(label_of(""), "console");
    }
}
