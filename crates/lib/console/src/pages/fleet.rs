//! The first page: environments, what asks for attention, and hosts.

use http::StatusCode;
use maud::{Markup, html};
use slipway_domain::{Role, RolloutState, Standing};
use slipway_text::number::count;
use slipway_wire::fleet::Environment;
use slipway_wire::page::Page;
use slipway_wire::rollout::RolloutSummary;
use slipway_wire::route;
use slipway_wire::standing::Fleet;

use super::hosts::{self, Filter};
use super::{environment, host, standing};
use crate::api::Answer;
use crate::form::Fields;
use crate::query::Query;
use crate::ui::{Reply, Ui};
use crate::view::{self, Tone};

/// The newest rollouts, or none for whom the list is closed.
async fn newest_rollouts(ui: &Ui, limit: u32) -> Answer<Vec<RolloutSummary>> {
    let newest = Query::of(route::ROLLOUTS).with("limit", limit);
    match ui.api.get::<Page<RolloutSummary>>(&newest).await {
        Ok(page) => Ok(page.items),
        Err(refused) if refused.status == StatusCode::FORBIDDEN => Ok(Vec::new()),
        Err(refused) => Err(refused),
    }
}

pub(super) async fn show(ui: Ui, query: Fields) -> Reply {
    fleet(&ui, &Filter::of(&query)).await
}

/// The first page.
pub(super) async fn fleet(ui: &Ui, filter: &Filter) -> Reply {
    let environments: Vec<Environment> = ui.api.list(&Query::of(route::ENVIRONMENTS)).await?;
    let (fleet, hosts, rollouts) = tokio::join!(
        ui.api.get::<Fleet>(route::FLEET),
        filter.hosts(ui, &environments),
        newest_rollouts(ui, 100)
    );
    let (fleet, hosts, rollouts) = (fleet?, hosts?, rollouts?);
    let content = html! {
        h1 { "Fleet" }
        (attention(ui, &fleet, &rollouts))
        section aria-label="Environments" #environments {
            div.cards {
                @for environment in &environments { (card(ui, environment, &fleet, &rollouts)) }
                @if environments.is_empty() {
                    p.empty { "There is no environment yet. An environment is a group of hosts that a release is rolled out to." }
                }
            }
            @if ui.role() == Role::Admin { (environment::new_form(ui)) }
        }
        section aria-labelledby="hosts-title" #hosts {
            h2 #hosts-title { "Hosts" }
            @if ui.role() == Role::Admin && !environments.is_empty() { p { (host::new_link(None)) } }
            (filter.form("/", &environments))
            (hosts::table(ui, "/", filter, &hosts))
        }
    };
    Ok(ui.live_page("Fleet", "/live", &content))
}

/// What asks for a person.
fn attention(ui: &Ui, fleet: &Fleet, rollouts: &[RolloutSummary]) -> Markup {
    use RolloutState as R;
    let waiting = rollouts
        .iter()
        .filter(|rollout| matches!(rollout.state, R::PendingApproval | R::Paused));
    let waiting: Vec<_> = waiting.collect();
    let counts: Vec<(Standing, u32)> = Standing::ALL
        .iter()
        .filter(|standing| standing.asks_for_attention())
        .map(|standing| (*standing, standing::count(fleet, None, *standing)))
        .filter(|(_, n)| *n > 0)
        .collect();
    html! {
        section.attention #attention aria-label="What asks for you" {
            @if waiting.is_empty() && counts.is_empty() {
                p.calm { (view::badge(Tone::Good, "Nothing asks for you.")) }
            } @else {
                ul {
                    @for rollout in &waiting {
                        li { a href=(view::rollout_path(rollout.id, rollout.number)) {
                            (view::rollout_state(rollout.state)) " "
                            span { (rollout.environment) ": rollout " (view::numbered(rollout.id, rollout.number)) " of " (view::words(&rollout.release_words()))
                                @if rollout.state == R::PendingApproval { ", started by " (rollout.author) } }
                        } " " (view::ago(ui.now, rollout.since)) }
                    }
                    @for (standing, n) in &counts {
                        li { a href={ (Query::of("/").with("show", standing.as_str())) "#hosts" } {
                            (standing::badge(*standing)) " " span { (count(*n as usize, "host")) }
                        } }
                    }
                }
            }
        }
    }
}

fn card(ui: &Ui, environment: &Environment, fleet: &Fleet, rollouts: &[RolloutSummary]) -> Markup {
    let newest = rollouts
        .iter()
        .find(|rollout| rollout.environment == environment.name);
    html! {
        article.card {
            h2 { a href={ "/environments/" (environment.name) } { (environment.name) } }
            @if let Some(release) = &environment.release {
                p { "Runs release " (view::release(release.id, Some(release))) }
            }
            (standing::health(fleet, &environment.name))
            @if let Some(hold) = &environment.hold {
                (view::closed(hold))
            }
            @if let Some(rollout) = newest {
                p.last { (view::rollout_state(rollout.state)) " " "rollout " (view::rollout(rollout.id, rollout.number))
                    " of release " (view::release(rollout.release, rollout.release_label.as_ref())) " "
                    (view::ago(ui.now, rollout.since)) }
            } @else { p.faint { "No rollout yet." } }
        }
    }
}
