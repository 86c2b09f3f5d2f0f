//! All rollouts, the newest first.

use std::fmt::Write as _;

use axum::extract::RawQuery;
use maud::{Markup, html};
use slipway_domain::EnvironmentName;
use slipway_wire::page::Page;
use slipway_wire::rollout::RolloutSummary;
use slipway_wire::route;

use super::environment;
use crate::api::escape;
use crate::form::Fields;
use crate::ui::{Reply, Ui};
use crate::view;

pub(super) async fn show(ui: Ui, RawQuery(query): RawQuery) -> Reply {
    let query = Fields::of_query(query.as_deref());
    let mut path = format!("{}?limit=50", route::ROLLOUTS);
    let environment = match query.filled("environment") {
        Some(_) => Some(query.parse::<EnvironmentName>("environment", "The environment")?),
        None => None,
    };
    if let Some(environment) = &environment {
        let _ = write!(path, "&environment={environment}");
    }
    if let Some(after) = query.filled("after") {
        let _ = write!(path, "&after={}", escape(after));
    }
    let page: Page<RolloutSummary> = ui.api.get(&path).await?;
    let content = html! {
        h1 { "Rollouts" @if let Some(environment) = &environment { " of " (environment) } }
        section #rollouts {
            (table(&ui, &page.items))
            @if let Some(next) = &page.next {
                nav.pages { a rel="next" href={ "/rollouts?after=" (escape(next)) @if let Some(environment) = &environment { "&environment=" (environment) } } { "Older →" } }
            }
        }
        @if page.items.is_empty() { p { "A rollout begins with a release: " a href="/releases" { "choose one" } "." } }
    };
    Ok(ui.live_page("Rollouts", "/live", &content))
}

/// Rollouts as a table.
pub(super) fn table(ui: &Ui, rollouts: &[RolloutSummary]) -> Markup {
    html! {
        @if rollouts.is_empty() { p.empty { "No rollout yet." } } @else {
            div.scroll { table {
                thead { tr { th { "Rollout" } th { "State" } th { "Environment" } th { "Release" } th { "By" } th { "Started" } th { "Took" } th { "Why" } } }
                tbody { @for rollout in rollouts { tr {
                    th scope="row" { (view::rollout(rollout.id, rollout.number)) }
                    td { (view::rollout_state(rollout.state)) }
                    td { (environment::link(&rollout.environment)) }
                    td { (view::release(rollout.release, rollout.release_label.as_ref())) }
                    td { (rollout.author) }
                    td { (view::ago(ui.now, rollout.created_at)) }
                    td { @if let Some(end) = rollout.finished_at { (slipway_text::time::short_duration(end - rollout.created_at)) } }
                    td.why { @if let Some(reason) = &rollout.reason { (view::words(reason)) } }
                } } }
            } }
        }
    }
}
