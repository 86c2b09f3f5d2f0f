//! Who looks, and what every page needs.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use http::header::SET_COOKIE;
use http::request::Parts;
use http::{Method, StatusCode};
use maud::Markup;
use slipway_domain::{EnvironmentName, PrincipalName, Role, TokenId};
use slipway_wire::access::{TokenSecret, Whoami};
use slipway_wire::problem::Problem;
use slipway_wire::route;

use crate::api::{Api, PageRequest, Refused};
use crate::form::{Fields, Typed};
use crate::query::Query;
use crate::{Console, guard, layout, pages, session};

/// A page, or what is shown in its place.
pub(crate) type Reply = Result<Response, Instead>;

/// A request of somebody who is signed in.
pub(crate) struct Ui {
    pub(crate) console: Arc<Console>,
    pub(crate) api: Api,
    pub(crate) token: TokenSecret,
    pub(crate) who: Whoami,
    /// The page's path with its query.
    pub(crate) here: String,
    /// Now, for ages.
    pub(crate) now: DateTime<Utc>,
    /// The form that came with the request and is shown again.
    pub(crate) typed: Option<Typed>,
}

/// What is shown in place of a page.
pub(crate) struct Instead(Box<Response>);

impl IntoResponse for Instead {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl From<Response> for Instead {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl From<Refused> for Instead {
    fn from(refused: Refused) -> Self {
        pages::problem_page(&refused).into()
    }
}

impl Ui {
    pub(crate) fn name(&self) -> &str {
        match &self.who {
            Whoami::Principal { name, .. } => name.as_str(),
            Whoami::Host { name } => name.as_str(),
        }
    }

    /// Who looks. No host ever does.
    pub(crate) const fn principal(&self) -> Option<&PrincipalName> {
        match &self.who {
            Whoami::Principal { name, .. } => Some(name),
            Whoami::Host { .. } => None,
        }
    }

    /// The id of the session's token.
    pub(crate) fn token_id(&self) -> Option<TokenId> {
        match &self.who {
            Whoami::Principal { token, .. } => *token,
            Whoami::Host { .. } => None,
        }
    }

    /// The strongest role of whoever looks.
    pub(crate) fn role(&self) -> Role {
        match &self.who {
            Whoami::Principal { role, .. } => *role,
            Whoami::Host { .. } => Role::Viewer,
        }
    }

    /// The role in an environment.
    pub(crate) fn role_in(&self, environment: &EnvironmentName) -> Role {
        match &self.who {
            Whoami::Principal {
                role,
                environment_roles,
                ..
            } => environment_roles.0.get(environment).copied().unwrap_or(*role),
            Whoami::Host { .. } => Role::Viewer,
        }
    }

    /// The secret of this session's forms.
    pub(crate) fn form_secret(&self) -> String {
        session::form_secret(&self.token)
    }

    /// The same, after a form was refused. The page that it is on shows it again, as it was typed.
    pub(crate) fn refusing(self, problem: Refused, fields: Fields) -> Self {
        Self {
            typed: Some(Typed::new(fields, Some(problem))),
            ..self
        }
    }

    /// The same, with a form that its page shows as it was typed.
    pub(crate) fn showing(self, fields: Fields) -> Self {
        Self {
            typed: Some(Typed::new(fields, None)),
            ..self
        }
    }

    /// Why the form of this request was refused.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        self.typed.as_ref()?.problem.as_deref()
    }

    /// A page with its frame.
    pub(crate) fn page(&self, title: &str, content: &Markup) -> Response {
        let page = layout::page(self, title, None, content);
        layout::with_status(page, self.problem())
    }

    /// A page that follows the events of this path.
    ///
    /// With a form that is shown again it does not: nothing takes away what somebody typed.
    pub(crate) fn live_page(&self, title: &str, live: &str, content: &Markup) -> Response {
        let page = layout::page(self, title, self.typed.is_none().then_some(live), content);
        layout::with_status(page, self.problem())
    }
}

impl FromRequestParts<Arc<Console>> for Ui {
    type Rejection = Instead;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Instead> {
        let here = parts
            .uri
            .path_and_query()
            .map_or_else(|| "/".to_owned(), ToString::to_string);
        let request = PageRequest(parts.extensions.clone());
        let Some(token) = session::token_of(&parts.headers) else {
            if parts.method == Method::GET && guard::is_followed_link(&parts.headers) {
                return Err(guard::come_again().into());
            }
            return Err(sign_in_first(parts, &here, false));
        };
        let api = Api::new(console.api.clone(), Some(token.clone()), request);
        let who = match api.get::<Whoami>(route::WHOAMI).await {
            Ok(who @ Whoami::Principal { .. }) => who,
            Ok(Whoami::Host { .. }) => return Err(sign_in_first(parts, &here, true)),
            Err(refused) if refused.status == StatusCode::UNAUTHORIZED => {
                return Err(sign_in_first(parts, &here, true));
            }
            Err(refused) => return Err(refused.into()),
        };
        Ok(Self {
            console: Arc::clone(console),
            api,
            token,
            who,
            here,
            now: (console.clock)(),
            typed: None,
        })
    }
}

/// The page for signing in. It leads back to where the request went; what a form sent is not done.
fn sign_in_first(parts: &Parts, here: &str, ended: bool) -> Instead {
    // The script asks for parts of pages, and for news: it shows by itself that the session is over.
    if parts.headers.contains_key("x-slipway-part") || parts.uri.path().ends_with("/live") {
        let said = (StatusCode::UNAUTHORIZED, "the session is over; sign in again");
        return said.into_response().into();
    }
    let next = if parts.method == Method::GET { here } else { "/" };
    let to = Query::of("/sign-in")
        .with("next", next)
        .with_some("ended", ended.then_some(1));
    let mut response = Redirect::to(&to).into_response();
    if ended {
        response.headers_mut().append(SET_COOKIE, session::end());
    }
    response.into()
}
