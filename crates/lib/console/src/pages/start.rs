//! Before a rollout: its waves, what stands in the way, and its strategy. And the button that starts it.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use maud::{Markup, html};
use slipway_domain::{EnvironmentName, HostName, ReleaseId};
use slipway_text::number::{count, listed};
use slipway_wire::fleet::Environment;
use slipway_wire::release::{Release, ReleaseLabel};
use slipway_wire::rollout::{CreateRollout, Rollout, RolloutPlan};
use slipway_wire::route;

use super::{environment, release, waves};
use crate::api::{Answer, escape};
use crate::draft::Draft;
use crate::form::{self, Fields, Sent};
use crate::query::Query;
use crate::ui::{Reply, Ui};
use crate::view;

/// What the form does, in its field `do`.
const WHAT: &str = "start";
/// Hosts that are left alone, in one line.
const MOST_NAMED: usize = 40;

pub(super) async fn show(ui: Ui, Path(id): Path<String>, query: Fields) -> Reply {
    let environment = query.filled("environment").map(ToOwned::to_owned);
    // A link may bring what the form holds.
    let brings = query.filled("hosts").is_some() || query.is_on("reboot");
    let ui = if brings {
        ui.showing(query.with("do", WHAT))
    } else {
        ui
    };
    page(&ui, &id, environment.as_deref()).await
}

/// What is asked for: by a form that came back, or else nothing but the release.
fn wish(fields: Option<&Fields>, environment: EnvironmentName, release: ReleaseId) -> Answer<CreateRollout> {
    let mut wish = CreateRollout {
        environment,
        release: release.into(),
        strategy: None,
        not_before: None,
        override_freeze: None,
        hosts: Vec::new(),
        reboot: false,
    };
    if let Some(fields) = fields {
        wish.not_before = environment::read_instant(fields, "not_before")?;
        wish.hosts = fields.parse_words("hosts", "the host")?;
        wish.reboot = fields.is_on("reboot");
        wish.override_freeze = fields.filled("override_freeze").map(ToOwned::to_owned);
    }
    Ok(wish)
}

async fn page(ui: &Ui, release: &str, environment: Option<&str>) -> Reply {
    let release: Release = ui.api.get(&route::fill(route::RELEASE, escape(release))).await?;
    let label = release.label();
    let path = view::release_path(release.id, Some(&label));
    let crumbs = html! { p.crumbs { a href="/releases" { "Releases" } " / " (view::release(release.id, Some(&label))) } };
    let Some(environment) = environment else {
        let environments: Vec<Environment> = ui.api.list(&Query::of(route::ENVIRONMENTS)).await?;
        let content = html! {
            (crumbs)
            h1 { "Roll out " (view::words(&label.to_string())) }
            (release::start_form(ui, &release, &environments))
        };
        return Ok(ui.page(&format!("Roll out {label}"), &content));
    };
    let environment: Environment = ui
        .api
        .get(&route::fill(route::ENVIRONMENT, escape(environment)))
        .await?;
    let to = Query::of(format!("{path}/start")).with("environment", &environment.name);
    let plan = plan(ui, &environment.name, release.id).await?;
    let hosts: usize = plan
        .groups
        .iter()
        .flat_map(|group| &group.waves)
        .map(|wave| wave.hosts.len())
        .sum();
    let runs = environment.release.as_ref().filter(|runs| runs.id != release.id);
    let again = environment
        .release
        .as_ref()
        .is_some_and(|runs| runs.id == release.id);
    let busy = plan.open_rollout.is_some();
    let content = html! {
        (crumbs)
        h1 { "Roll out " (view::words(&label.to_string())) " to " (environment.name)
            @if let Some(runs) = runs { ", which runs " (view::words(&runs.to_string())) }
            @if again { ", which runs it already" }
            "?" }
        p.lead { (count(hosts, "host")) ", at most " (plan.max_unavailable) " out at once."
            @if plan.approval_required { " Somebody other than you approves it, once the hosts have said what changes." } }
        @if let Some(open) = plan.open_rollout {
            p.alert.bad { "Another rollout of " (environment.name) " is under way: rollout " (view::rollout(open, plan.open_rollout_number)) ". This one can begin when it is over." }
        }
        @if let Some(hold) = &plan.hold { p.alert.waits { "It " (view::hold(hold)) "." } }
        section #preview aria-labelledby="preview-title" { h2 #preview-title { "Waves" } (waves::preview(&plan)) (left_alone(ui, &plan)) }
        section #start aria-labelledby="start-title" { h2 #start-title { "Start" } (start_form(ui, &to, &label, &environment.name, busy)) }
        p { a href=(Query::of(format!("/environments/{}/preflight", environment.name)).with("release", label.reference())) { "Run all checks of the preflight first" } }
        section #how aria-labelledby="how-title" { h2 #how-title { "How it goes" } (environment::strategy(&plan.strategy)) }
    };
    Ok(ui.page(&format!("Roll out {label} to {}", environment.name), &content))
}

/// The plan of what is asked for. Where that is refused, the plan for all hosts: the form says what was wrong.
async fn plan(ui: &Ui, environment: &EnvironmentName, release: ReleaseId) -> Answer<RolloutPlan> {
    let fields = ui.typed.as_ref().map(|typed| &typed.fields);
    let asked = async {
        let wish = wish(fields, environment.clone(), release)?;
        ui.api.post(route::ROLLOUT_PLANS, &wish, None).await
    };
    match asked.await {
        Err(_) if ui.problem().is_some() => {
            let all = wish(None, environment.clone(), release)?;
            ui.api.post(route::ROLLOUT_PLANS, &all, None).await
        }
        plan => plan,
    }
}

fn left_alone(ui: &Ui, plan: &RolloutPlan) -> Markup {
    let typed = ui.typed.as_ref();
    let chosen = typed.is_some_and(|typed| typed.fields.filled("hosts").is_some());
    let names: Vec<&str> = plan.left_alone.iter().map(HostName::as_str).collect();
    html! { @if !names.is_empty() {
        p.faint { (if chosen { "Left alone: " } else { "Left alone, since the release has nothing for them: " }) (listed(&names, MOST_NAMED)) }
    } }
}

fn start_form(ui: &Ui, to: &str, label: &ReleaseLabel, environment: &EnvironmentName, busy: bool) -> Markup {
    let draft = Draft::of(ui, to, WHAT);
    html! {
        form.start method="post" action=(to) {
            (form::hidden(ui))
            input type="hidden" name="do" value=(WHAT);
            details open[draft.is_typed()] { summary { "Later, on some hosts, or with reboots" }
                (draft.instant("not_before", "Not before (UTC)").hint(" (empty: now)"))
                (draft.text("hosts", "Only these hosts").or_all().example("web-1 web-2"))
                (draft.check("reboot", "Every host reboots into it", false))
                (draft.text("override_freeze", "Override a freeze, because").limit(2000))
                button name="preview" value="on" { "Preview again" }
            }
            button.primary disabled[busy] { "Roll out " (view::words(&short_label(label))) " to " (environment) }
        }
    }
}

/// `#12 v1.4.0`, for a button.
fn short_label(label: &ReleaseLabel) -> String {
    ReleaseLabel {
        rev: None,
        ..label.clone()
    }
    .to_string()
}

/// Starts it, or shows again what it would do.
pub(super) async fn begin(Path(id): Path<String>, query: Fields, Sent { ui, fields }: Sent) -> Reply {
    let done: Answer<Option<Rollout>> = async {
        let release: Release = ui.api.get(&route::fill(route::RELEASE, escape(&id))).await?;
        let environment = query.parse("environment", "The environment")?;
        let wish = wish(Some(&fields), environment, release.id)?;
        if fields.is_on("preview") {
            // What is refused is told now, at its field.
            let _: RolloutPlan = ui.api.post(route::ROLLOUT_PLANS, &wish, None).await?;
            return Ok(None);
        }
        let made = ui.api.post(route::ROLLOUTS, &wish, fields.once()).await?;
        Ok(Some(made))
    }
    .await;
    let ui = match done {
        Ok(Some(made)) => {
            let to = view::rollout_path(made.summary.id, made.summary.number);
            return Ok(Redirect::to(&to).into_response());
        }
        Ok(None) => ui.showing(fields),
        Err(refused) => ui.refusing(refused, fields),
    };
    page(&ui, &id, query.filled("environment")).await
}
