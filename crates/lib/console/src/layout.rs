//! The frame of every page.

use std::borrow::Cow;

use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use maud::{DOCTYPE, Markup, html};
use slipway_domain::Role;
use slipway_wire::problem::Problem;

use crate::form;
use crate::ui::Ui;
use crate::{assets, view};

/// The pages of the navigation: their paths and names.
const PAGES: [(&str, &str); 5] = [
    ("/", "Fleet"),
    ("/rollouts", "Rollouts"),
    ("/releases", "Releases"),
    ("/audit", "Audit"),
    ("/access", "Access"),
];

/// The page that only admins may see.
fn for_admins(ui: &Ui) -> Option<(&'static str, &'static str)> {
    (ui.role() == Role::Admin).then_some(("/destinations", "Messages"))
}

/// A page for somebody who is signed in. With `live` it follows the events of that path.
pub(crate) fn page(ui: &Ui, title: &str, live: Option<&str>, content: &Markup) -> Response {
    let here = ui.here.split('?').next().unwrap_or("/");
    let is_here = |path: &str| match path {
        "/" => here == "/" || here.starts_with("/environments") || here.starts_with("/hosts"),
        path => here.starts_with(path),
    };
    let body = html! {
        a.skip href="#content" { "Skip to the content" }
        header.top {
            div.bar {
                a.brand href="/" { (view::mark()) span { "Slipway" } }
                nav aria-label="Pages" {
                    @for (path, name) in PAGES.into_iter().chain(for_admins(ui)) {
                        a href=(path) aria-current=[is_here(path).then_some("page")] { (name) }
                    }
                }
                div.who {
                    a href="/sessions" title="Your sessions" { (ui.name()) " " span.role { (ui.role()) } }
                    form method="post" action="/sign-out" { (form::hidden(ui)) button.quiet { "Sign out" } }
                }
            }
        }
        div #connection role="status" aria-live="polite" hidden { }
        main #content tabindex="-1" data-live=[live] { (alert(ui.problem())) (content) }
    };
    frame(title, Some(ui.now.timestamp_millis()), &body)
}

/// A page for whoever it is.
pub(crate) fn bare(title: &str, status: StatusCode, content: &Markup) -> Response {
    let body = html! {
        header.top { div.bar { a.brand href="/" { (view::mark()) span { "Slipway" } } } }
        main #content { (content) }
    };
    (status, frame(title, None, &body)).into_response()
}

fn frame(title: &str, now: Option<i64>, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(now) = now { meta name="slipway-now" content=(now); }
                title { (title) " · Slipway" }
                link rel="icon" type="image/svg+xml" href=(assets::ICON.path());
                link rel="stylesheet" href=(assets::STYLE.path());
                script src=(assets::SCRIPT.path()) defer {}
            }
            body { (body) }
        }
    };
    Html(page.into_string()).into_response()
}

/// What was refused, above the page that it was asked on.
pub(crate) fn alert(refused: Option<&Problem>) -> Markup {
    html! {
        @if let Some(refused) = refused {
            div.alert.bad role="alert" {
                p { strong { "Not done: " } (view::said(&by_label(refused))) }
                @if refused.fields.len() > 1 {
                    ul { @for field in &refused.fields { li { code { (field.field) } ": " (view::said(&field.detail)) } } }
                }
            }
        }
    }
}

/// The detail, in which the one field that is wrong has the name that the forms have for it.
fn by_label(refused: &Problem) -> Cow<'_, str> {
    let [one] = &refused.fields[..] else {
        return refused.detail.as_str().into();
    };
    match refused.detail.strip_prefix(&format!("{}: ", one.field)) {
        Some(rest) if one.field == "url" => format!("The address: {rest}").into(),
        Some(rest) => format!("{}: {rest}", view::spaced(&one.field)).into(),
        None => refused.detail.as_str().into(),
    }
}

/// The status of a page on which something was refused.
pub(crate) fn with_status(mut response: Response, refused: Option<&Problem>) -> Response {
    if let Some(status) = refused.and_then(|refused| StatusCode::from_u16(refused.status).ok()) {
        *response.status_mut() = status;
    }
    response
}
