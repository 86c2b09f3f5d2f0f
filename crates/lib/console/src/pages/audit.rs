//! The audit log, its check and its export.

use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::RawQuery;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use maud::{Markup, html};
use slipway_wire::audit::{AuditReport, Event};
use slipway_wire::page::Page;
use slipway_wire::route;

use crate::api::{Api, escape};
use crate::form::{Fields, Sent};
use crate::ui::{Reply, Ui};
use crate::view::{self, Tone};

/// Events on one page.
const A_PAGE: usize = 100;
/// The filters that the API takes, with their names for people.
const FILTERS: [(&str, &str, &str); 4] = [
    ("kind", "Kind", "rollout.state, token"),
    ("actor", "Who", "a name"),
    ("host", "Host", "web-1"),
    ("rollout", "Rollout", "its id"),
];

pub(super) async fn show(ui: Ui, RawQuery(query): RawQuery) -> Reply {
    let query = Fields::of_query(query.as_deref());
    page(&ui, &query, None).await
}

/// The query of the API for these filters.
fn filters(query: &Fields) -> String {
    let mut text = String::new();
    for (name, ..) in FILTERS {
        if let Some(value) = query.filled(name) {
            let _ = write!(text, "&{name}={}", escape(value));
        }
    }
    text
}

async fn page(ui: &Ui, query: &Fields, report: Option<&AuditReport>) -> Reply {
    let filters = filters(query);
    let before = query
        .filled("before")
        .map_or_else(String::new, |n| format!("&before={}", escape(n)));
    let path = format!(
        "{}?newest_first=true&limit={A_PAGE}{before}{filters}",
        route::EVENTS
    );
    let found: Page<Event> = ui.api.get(&path).await?;
    let older = (found.items.len() == A_PAGE)
        .then(|| found.items.last().map(|event| event.number))
        .flatten();
    let content = html! {
        h1 { "Audit" }
        section #check aria-label="The log's check" {
            (verdict(report))
            form.inline method="post" action="/audit/check" { (crate::form::hidden(ui)) button { "Check the whole log now" } }
            p.faint { "Each event carries the hash of the one before and a seal. The check computes them all again." }
        }
        form.filter method="get" action="/audit" role="search" {
            @for (name, label, example) in FILTERS {
                label { (label) input type="search" name=(name) value=(query.text(name)) placeholder=(example); }
            }
            button { "Filter" }
            a.button href={ "/audit/export?" (filters.trim_start_matches('&')) } download="events.jsonl" { "Export" }
        }
        section #events {
            (table(ui, &found.items))
            @if found.items.is_empty() { p.empty { "No event fits. " a href="/audit" { "Show all" } } }
            @if let Some(older) = older { nav.pages { a rel="next" href={ "/audit?before=" (older) (filters) } { "Older →" } } }
        }
    };
    Ok(ui.live_page("Audit", "/live", &content))
}

fn verdict(report: Option<&AuditReport>) -> Markup {
    html! { @if let Some(report) = report {
        @if report.whole {
            p { (view::badge(Tone::Good, "whole")) " " (report.events) " events; the newest hash is " code { (report.head) } ". Note it down elsewhere: then a cut-off end shows too." }
        } @else {
            div.alert.bad role="alert" { p { strong { "The log is broken" } @if let Some(at) = report.broken_at { " at event " (at) } ": "
                (view::words(report.problem.as_deref().unwrap_or("see the server's log"))) } }
        }
    } }
}

/// Events as a table.
pub(super) fn table(ui: &Ui, events: &[Event]) -> Markup {
    html! { @if !events.is_empty() { div.scroll { table.events {
        thead { tr { th { "No." } th { "When" } th { "Who" } th { "What" } th { "About" } th { "Why" } } }
        tbody { @for event in events { tr {
            td { (event.number) }
            td { (view::ago(ui.now, event.at)) }
            td { @match event.event.actor.name() { "" => { span.faint { (event.event.actor.kind()) } }, name => (view::words(name)) } }
            td { code { (view::words(&event.event.kind)) }
                @if let (Some(from), Some(to)) = (&event.event.from, &event.event.to) { " " span.faint { (view::spaced(from)) " → " } (view::spaced(to)) } }
            td { @if let Some(host) = &event.host_name { a href={ "/hosts/" (host) } { (host) } " " }
                @if let Some(rollout) = event.event.rollout { a href={ "/rollouts/" (rollout) } { "rollout " (view::short(rollout)) } } }
            td.why { (view::words(event.event.cause_text())) }
        } } }
    } } } }
}

/// Checks the whole log.
pub(super) async fn check(Sent { ui, .. }: Sent) -> Reply {
    let report: AuditReport = ui.api.get(route::AUDIT_VERIFY).await?;
    page(&ui, &Fields::default(), Some(&report)).await
}

/// The events as lines of JSON, the oldest first, as the API gives them.
pub(super) async fn export(ui: Ui, RawQuery(query): RawQuery) -> Reply {
    let filters = filters(&Fields::of_query(query.as_deref()));
    // The first page tells what is refused, before the answer begins.
    let first = read(&ui.api, 0, &filters).await?;
    let stream = futures_util::stream::unfold(Some((first, ui.api, filters)), |state| async move {
        let (page, api, filters) = state?;
        let mut lines = String::new();
        for event in &page.items {
            let _ = writeln!(lines, "{}", serde_json::to_string(event).unwrap_or_default());
        }
        let rest = match (&page.next, page.items.last()) {
            (Some(_), Some(last)) => read(&api, last.number, &filters).await.ok(),
            _ => None,
        };
        if lines.is_empty() {
            return None;
        }
        Some((
            Ok::<_, std::convert::Infallible>(lines),
            rest.map(|page| (page, api, filters)),
        ))
    });
    let headers = [
        (CONTENT_TYPE, "application/jsonl"),
        (CONTENT_DISPOSITION, "attachment; filename=\"events.jsonl\""),
    ];
    Ok::<Response, _>((headers, Body::from_stream(stream)).into_response())
}

async fn read(api: &Api, after: i64, filters: &str) -> crate::api::Answer<Page<Event>> {
    api.get(&format!("{}?after={after}&limit=500{filters}", route::EVENTS))
        .await
}
