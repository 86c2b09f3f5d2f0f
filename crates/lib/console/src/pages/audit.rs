//! The audit log, its check and its export.

use std::io;

use axum::body::Body;
use axum::response::IntoResponse;
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use maud::{Markup, html};
use slipway_wire::audit::{AuditReport, Event};
use slipway_wire::page::{MAX_LIMIT, Page};
use slipway_wire::route;

use crate::form::{self, Fields, Sent};
use crate::query::Query;
use crate::table;
use crate::ui::{Reply, Ui};
use crate::view::{self, Tone};

/// Events on one page.
const A_PAGE: usize = 100;
/// The filters that the API takes, with their names for people.
const FILTERS: [(&str, &str, &str); 4] = [
    ("kind", "Kind", "rollout.state, token"),
    ("actor", "Who", "a name"),
    ("host", "Host", "web-1"),
    ("rollout", "Rollout", "34, latest@prod"),
];

pub(super) async fn show(ui: Ui, query: Fields) -> Reply {
    page(&ui, &query, None).await
}

/// This path with the filters of a query.
fn filtered(path: &str, query: &Fields) -> Query {
    let names = FILTERS.into_iter().map(|(name, ..)| name);
    names.fold(Query::of(path), |path, name| {
        path.with_some(name, query.filled(name))
    })
}

async fn page(ui: &Ui, query: &Fields, report: Option<&AuditReport>) -> Reply {
    let list = filtered(route::EVENTS, query)
        .with("newest_first", true)
        .with("limit", A_PAGE)
        .with_some("before", query.filled("before"));
    let found: Page<Event> = ui.api.get(&list).await?;
    let older = (found.items.len() == A_PAGE)
        .then(|| found.items.last().map(|event| event.number))
        .flatten();
    let content = html! {
        h1 { "Audit" }
        section #check aria-label="The log's check" {
            (verdict(report))
            form.inline method="post" action="/audit/check" { (form::hidden(ui)) button { "Check the whole log now" } }
            p.faint { "Each event carries the hash of the one before and a seal. The check computes them all again." }
        }
        form.filter method="get" action="/audit" role="search" {
            @for (name, label, example) in FILTERS {
                label { (label) input type="search" name=(name) value=(query.text(name)) placeholder=(example); }
            }
            button { "Filter" }
            a.button href=(filtered("/audit/export", query)) download="events.jsonl" { "Export" }
        }
        section #events {
            (table(ui, &found.items))
            @if found.items.is_empty() { p.empty { "No event fits. " a href="/audit" { "Show all" } } }
            @if let Some(older) = older { nav.pages { a rel="next" href=(filtered("/audit", query).with("before", older)) { "Older →" } } }
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
    let rows = events.iter().map(|event| {
        let of = &event.event;
        [
            html! { (event.number) },
            view::ago(ui.now, event.at),
            html! { @match of.actor.name() { "" => { span.faint { (of.actor.kind()) } }, name => (view::words(name)) } },
            html! {
                code { (view::words(&of.kind)) }
                @if let (Some(from), Some(to)) = (&of.from, &of.to) { " " span.faint { (view::spaced(from)) " → " } (view::spaced(to)) }
            },
            html! {
                @if let Some(host) = &event.host_name { a href={ "/hosts/" (host) } { (host) } " " }
                @if let Some(rollout) = of.rollout { "rollout " (view::rollout(rollout, event.rollout_number)) }
            },
            html! { (view::words(of.cause_text())) },
        ]
    });
    html! { @if !events.is_empty() { (table::of(["No.", "When", "Who", "What", "About", "Why"], rows)) } }
}

/// Checks the whole log.
pub(super) async fn check(Sent { ui, .. }: Sent) -> Reply {
    let report: AuditReport = ui.api.get(route::AUDIT_VERIFY).await?;
    page(&ui, &Fields::default(), Some(&report)).await
}

/// The events as lines of JSON, the oldest first, as the API gives them.
///
/// Where a later page fails, the answer breaks off, so that nobody takes a part of the log for all of it.
pub(super) async fn export(ui: Ui, query: Fields) -> Reply {
    let wanted = filtered(route::EVENTS, &query).with("limit", MAX_LIMIT);
    let api = ui.api;
    // The first page tells what is refused, before the answer begins.
    let first = api.get::<Page<Event>>(&wanted).await?;
    let stream = stream::try_unfold(Some(first), move |page| {
        let (api, wanted) = (api.clone(), wanted.clone());
        async move {
            let Some(page) = page else { return Ok(None) };
            let rest = match (&page.next, page.items.last()) {
                (Some(_), Some(last)) => {
                    let rest = api.get::<Page<Event>>(&wanted.with("after", last.number)).await;
                    Some(rest.map_err(|refused| io::Error::other(refused.detail.clone()))?)
                }
                _ => None,
            };
            Ok::<_, io::Error>(Some((lines(&page.items)?, rest)))
        }
    });
    let headers = [
        (CONTENT_TYPE, "application/jsonl"),
        (CONTENT_DISPOSITION, "attachment; filename=\"events.jsonl\""),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}

fn lines(events: &[Event]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for event in events {
        serde_json::to_writer(&mut lines, event)?;
        lines.push(b'\n');
    }
    Ok(lines)
}
