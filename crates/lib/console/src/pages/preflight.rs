//! What stands in the way of rolling a release out.

use axum::extract::Path;
use maud::{Markup, html};
use slipway_domain::preflight::Outcome;
use slipway_text::number::count;
use slipway_wire::preflight::{PreflightReport, Told};
use slipway_wire::route;

use crate::api::escape;
use crate::form::Fields;
use crate::query::Query;
use crate::table;
use crate::ui::{Reply, Ui};
use crate::view::{self, Tone};

/// Hosts of a finding that are named.
const MOST_NAMED: usize = 8;

pub(super) async fn show(ui: Ui, Path(name): Path<String>, query: Fields) -> Reply {
    let of = Query::of(route::fill(route::PREFLIGHT, escape(&name)));
    let report: PreflightReport = ui.api.get(&of.with("release", query.text("release"))).await?;
    let (passed, told) = (report.passed(), report.told());
    let label = report.release_label.as_ref();
    let start = format!("{}/start", view::release_path(report.release, label));
    let content = html! {
        p.crumbs { a href={ "/environments/" (report.environment) } { (report.environment) } " / release " (view::release(report.release, label)) }
        h1 { "Preflight " @if report.blocked { (view::badge(Tone::Bad, "blocked")) } @else { (view::badge(Tone::Good, "nothing blocks")) } }
        p.lead { (count(usize::try_from(report.hosts).unwrap_or(usize::MAX), "host")) " asked " (view::ago(ui.now, report.at)) }
        @if !report.unanswered.is_empty() {
            p.alert { "No answer in time from " (report.unanswered.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) }
        }
        (table(&told))
        details { summary { (count(passed.len(), "check")) " passed" } (table(&passed)) }
        p { a href=(Query::of(start).with("environment", &report.environment)) { "Go on to the rollout" } }
    };
    Ok(ui.page(&format!("Preflight of {}", report.environment), &content))
}

fn table(findings: &[Told<'_>]) -> Markup {
    let rows = findings.iter().map(|Told { finding, checks }| {
        [
            html! { span.names { (view::words(&checks.join(", "))) } },
            view::badge(tone(finding.outcome), finding.outcome.as_str()),
            html! { (view::words(&finding.message)) },
            html! {
                @if finding.hosts.is_empty() { @if finding.host_count > 0 { (finding.host_count) } }
                @else {
                    @for host in finding.hosts.iter().take(MOST_NAMED) { a href={ "/hosts/" (host) } { (host) } " " }
                    @if finding.hosts.len() > MOST_NAMED { "and " (finding.hosts.len() - MOST_NAMED) " more" }
                }
            },
            html! { @if let Some(cure) = &finding.cure { (view::said(cure)) } },
        ]
    });
    html! { @if !findings.is_empty() { (table::of(["Check", "Outcome", "What", "Hosts", "What to do"], rows)) } }
}

const fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Blocking => Tone::Bad,
        Outcome::Unknown => Tone::Waits,
        Outcome::Warning => Tone::Warn,
        Outcome::Passed => Tone::Good,
    }
}
