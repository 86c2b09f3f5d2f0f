//! All rollouts, the newest first.

use maud::{Markup, html};
use slipway_domain::EnvironmentName;
use slipway_text::time::short_duration;
use slipway_wire::page::Page;
use slipway_wire::rollout::RolloutSummary;
use slipway_wire::route;

use super::environment;
use crate::form::Fields;
use crate::query::Query;
use crate::table;
use crate::ui::{Reply, Ui};
use crate::view;

pub(super) async fn show(ui: Ui, query: Fields) -> Reply {
    let environment: Option<EnvironmentName> = query.parse_filled("environment", "The environment")?;
    let of_environment = |path| Query::of(path).with_some("environment", environment.as_ref());
    let list = of_environment(route::ROLLOUTS)
        .with("limit", 50)
        .with_some("after", query.filled("after"));
    let page: Page<RolloutSummary> = ui.api.get(&list).await?;
    let content = html! {
        h1 { "Rollouts" @if let Some(environment) = &environment { " of " (environment) } }
        section #rollouts {
            (table(&ui, &page.items))
            @if let Some(next) = &page.next {
                nav.pages { a rel="next" href=(of_environment("/rollouts").with("after", next)) { "Older →" } }
            }
        }
        @if page.items.is_empty() { p { "A rollout begins with a release: " a href="/releases" { "choose one" } "." } }
    };
    Ok(ui.live_page("Rollouts", "/live", &content))
}

/// The newest rollouts of an environment.
pub(super) fn newest_of(environment: &EnvironmentName) -> Query {
    Query::of(route::ROLLOUTS)
        .with("environment", environment)
        .with("limit", 20)
}

/// Rollouts as a table.
pub(super) fn table(ui: &Ui, rollouts: &[RolloutSummary]) -> Markup {
    if rollouts.is_empty() {
        return html! { p.empty { "No rollout yet." } };
    }
    let rows = rollouts.iter().map(|rollout| {
        [
            view::rollout(rollout.id, rollout.number),
            view::rollout_state(rollout.state),
            environment::link(&rollout.environment),
            view::release(rollout.release, rollout.release_label.as_ref()),
            html! { (rollout.author) },
            view::ago(ui.now, rollout.created_at),
            html! { @if let Some(end) = rollout.finished_at { (short_duration(end - rollout.created_at)) } },
            html! { @if let Some(reason) = &rollout.reason { (view::words(reason)) } },
        ]
    });
    table::of(
        [
            "Rollout",
            "State",
            "Environment",
            "Release",
            "By",
            "Started",
            "Took",
            "Why",
        ],
        rows,
    )
}
