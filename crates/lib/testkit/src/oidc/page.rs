//! The provider's page, for tests with a browser.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use url::form_urlencoded::{Serializer, parse};

use super::Shared;

/// Asks the person. The form goes to the address that the browser has.
pub(super) async fn ask() -> Html<&'static str> {
    Html(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>The provider</title></head><body>\
         <h1>The provider</h1><form method=\"post\"><button name=\"answer\" value=\"yes\">It is me</button> \
         <button name=\"answer\" value=\"no\">Cancel</button></form></body></html>",
    )
}

/// Sends the browser back, as providers do: by a redirect after a form of their own.
pub(super) async fn decide(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<HashMap<String, String>>,
    body: String,
) -> Response {
    let is_approved = parse(body.as_bytes()).any(|(name, value)| name == "answer" && value == "yes");
    let query = if is_approved {
        shared.approve(&asked)
    } else {
        let mut query = Serializer::new(String::new());
        query
            .append_pair("error", "access_denied")
            .append_pair("error_description", "the person <b>broke off</b>")
            .append_pair("state", &asked["state"])
            .append_pair("iss", &shared.issuer);
        query.finish()
    };
    Redirect::to(&format!("{}?{query}", asked["redirect_uri"])).into_response()
}
