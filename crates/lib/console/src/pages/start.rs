//! Before a rollout: its waves, what stands in the way, and its strategy. And the button that starts it.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use maud::{Markup, html};
use slipway_domain::{EnvironmentName, HostName, ReleaseId};
use slipway_text::number::{count, listed};
use slipway_wire::problem::Problem;
use slipway_wire::release::Release;
use slipway_wire::rollout::{CreateRollout, Rollout, RolloutPlan};
use slipway_wire::route;

use super::{environment, waves};
use crate::api::escape;
use crate::form::{self, Fields, Sent, parse_each, words};
use crate::layout;
use crate::ui::{Reply, Ui};
use crate::view;

/// Hosts that are left alone, in one line.
const MOST_NAMED: usize = 40;

pub(super) async fn show(ui: Ui, Path(id): Path<String>, query: Fields) -> Reply {
    let release: Release = ui.api.get(&route::fill(route::RELEASE, escape(&id))).await?;
    let environment = query.parse("environment", "The environment")?;
    page(&ui, release.id, &environment, None).await
}

fn wish(environment: EnvironmentName, release: ReleaseId) -> CreateRollout {
    CreateRollout {
        environment,
        release: release.into(),
        strategy: None,
        not_before: None,
        override_freeze: None,
        hosts: Vec::new(),
        reboot: false,
    }
}

async fn page(
    ui: &Ui,
    release: ReleaseId,
    environment: &EnvironmentName,
    refused: Option<&Problem>,
) -> Reply {
    let plan: RolloutPlan = ui
        .api
        .post(route::ROLLOUT_PLANS, &wish(environment.clone(), release), None)
        .await?;
    let hosts: usize = plan
        .groups
        .iter()
        .flat_map(|group| &group.waves)
        .map(|wave| wave.hosts.len())
        .sum();
    let content = html! {
        (layout::alert(refused))
        p.crumbs { a href="/releases" { "Releases" } " / " a href={ "/releases/" (release) } { (view::short(release)) } }
        h1 { "Roll out to " (environment) "?" }
        p.lead { (count(hosts, "host")) ", at most " (plan.max_unavailable) " out at once."
            @if plan.approval_required { " Somebody other than you approves it, once the hosts have said what changes." } }
        @if let Some(open) = plan.open_rollout { p.alert.bad { "Another rollout of " (environment) " is under way: " a href={ "/rollouts/" (open) } { (view::short(open)) } } }
        @if let Some(hold) = &plan.hold { p.alert.waits { "It would wait: " (view::words(&hold.why)) @if let Some(until) = hold.until { ", until " (view::at(until)) } } }
        section #preview aria-labelledby="preview-title" { h2 #preview-title { "Waves" } (waves::preview(&plan)) (left_alone(&plan)) }
        section #start aria-labelledby="start-title" { h2 #start-title { "Start" } (start_form(ui, release, environment)) }
        p { a href={ "/environments/" (environment) "/preflight?release=" (release) } { "Run all checks of the preflight first" } }
        section #how aria-labelledby="how-title" { h2 #how-title { "How it goes" } (environment::strategy(&plan.strategy)) }
    };
    let response = ui.page(&format!("Roll out to {environment}"), &content);
    Ok(layout::with_status(response, refused))
}

fn left_alone(plan: &RolloutPlan) -> Markup {
    let names: Vec<&str> = plan.left_alone.iter().map(HostName::as_str).collect();
    html! { @if !names.is_empty() {
        p.faint { "Left alone, since the release has nothing for them: " (listed(&names, MOST_NAMED)) }
    } }
}

fn start_form(ui: &Ui, release: ReleaseId, environment: &EnvironmentName) -> Markup {
    html! {
        form.start method="post" action="/rollouts" {
            (form::hidden(ui))
            input type="hidden" name="release" value=(release);
            input type="hidden" name="environment" value=(environment);
            details { summary { "Later, on some hosts, or with reboots" }
                label { "Not before (UTC)" input type="datetime-local" name="not_before"; }
                label { "Only these hosts" input name="hosts" placeholder="web-1 web-2"; }
                label.check { input type="checkbox" name="reboot"; "Every host reboots into it" }
                label { "Override a freeze, because" input name="override" maxlength="2000"; }
            }
            button.primary { "Start the rollout" }
        }
    }
}

/// Starts it.
pub(super) async fn begin(Sent { ui, fields }: Sent) -> Reply {
    let release: ReleaseId = fields.parse("release", "The release")?;
    let environment: EnvironmentName = fields.parse("environment", "The environment")?;
    let done = async {
        let mut wish = wish(environment.clone(), release);
        if let Some(at) = fields.filled("not_before") {
            wish.not_before = Some(environment::read_instant(at)?);
        }
        wish.hosts = parse_each(words(fields.text("hosts")), "the host")?;
        wish.reboot = fields.is_on("reboot");
        wish.override_freeze = fields.filled("override").map(ToOwned::to_owned);
        ui.api
            .post::<Rollout>(route::ROLLOUTS, &wish, fields.once())
            .await
    };
    match done.await {
        Ok(made) => Ok(Redirect::to(&format!("/rollouts/{}", made.summary.id)).into_response()),
        Err(refused) => page(&ui, release, &environment, Some(&refused)).await,
    }
}
