//! Sessions of browsers, and their end.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use http::header::SET_COOKIE;
use maud::{Markup, html};
use slipway_wire::access::Token;
use slipway_wire::route;

use super::actions::{Action, action, nothing};
use crate::api::escape;
use crate::form::Sent;
use crate::query::Query;
use crate::session;
use crate::table;
use crate::ui::{Reply, Ui};
use crate::view::{self, Tone};

pub(super) async fn show(ui: Ui) -> Reply {
    let open = Query::of(route::TOKENS).with("session", true).with("good", true);
    let open: Vec<Token> = ui.api.list(&open).await?;
    let content = html! {
        p.crumbs { a href="/access" { "Access" } }
        h1 { "Sessions" }
        p { "A session ends after 12 hours at the latest, after an hour without a request, and with the token that it was made with." }
        (table::of(["Browser", "Whose", "Began", "Used", "Ends", "Do"], open.iter().map(|token| row(&ui, token))))
    };
    Ok(ui.page("Sessions", &content))
}

fn row(ui: &Ui, token: &Token) -> [Markup; 6] {
    let is_own = ui.token_id() == Some(token.id);
    [
        html! { (view::words(&token.label)) @if is_own { " " (view::badge(Tone::Good, "this one")) } },
        html! { @if let Some(name) = &token.principal { (name) } },
        view::ago(ui.now, token.created_at),
        view::ago_opt(ui.now, token.last_used_at),
        view::ago_opt(ui.now, token.expires_at),
        action(
            ui,
            &Action {
                to: &format!("/sessions/{}", token.id),
                name: "End",
                what: "end",
                meaning: "The browser must sign in again.",
                danger: true,
            },
            nothing,
        ),
    ]
}

pub(super) async fn end(Path(id): Path<String>, Sent { ui, .. }: Sent) -> Reply {
    ui.api.delete(&route::fill(route::TOKEN, escape(&id))).await?;
    if ui.token_id().is_some_and(|own| own.to_string() == id) {
        let mut response = Redirect::to("/sign-in").into_response();
        response.headers_mut().append(SET_COOKIE, session::end());
        return Ok(response);
    }
    Ok(Redirect::to("/sessions").into_response())
}
