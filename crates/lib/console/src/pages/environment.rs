//! One environment: its hosts at a glance, its rollouts, when they may go, and how.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use chrono::{DateTime, NaiveDateTime, Utc};
use maud::{Markup, html};
use slipway_domain::strategy::strict;
use slipway_domain::{EnvironmentName, Freeze, Role, Strategy, Window};
use slipway_text::number;
use slipway_wire::fleet::{CreateEnvironment, CreateFreeze, Environment, UpdateEnvironment};
use slipway_wire::page::Page;
use slipway_wire::release::ReleaseLabel;
use slipway_wire::rollout::RolloutSummary;
use slipway_wire::route;
use slipway_wire::standing::{Fleet, HostStanding};

use super::actions::{Action, action, nothing, unknown};
use super::hosts::Filter;
use super::{fleet, host, rollouts, standing};
use crate::api::{Answer, escape, invalid};
use crate::draft::Draft;
use crate::form::{Fields, Sent, parse_each};
use crate::query::Query;
use crate::table;
use crate::ui::{Reply, Ui};
use crate::view::{self, Tone};

/// What may stand in the field for windows.
const WINDOW_EXAMPLE: &str = "mon-fri 09:00-17:00 Europe/Berlin";
/// What else an environment may allow.
const RELATED: &str =
    "A principal may approve a rollout of one that it made, or that made it or one of its tokens";

pub(super) async fn show(ui: Ui, Path(name): Path<String>) -> Reply {
    page(&ui, &name).await
}

fn path_of(name: &str) -> String {
    route::fill(route::ENVIRONMENT, escape(name))
}

async fn page(ui: &Ui, name: &str) -> Reply {
    let environment: Environment = ui.api.get(&path_of(name)).await?;
    let rollouts = rollouts::newest_of(&environment.name);
    let hosts = Query::of(route::FLEET_STANDINGS).with("environment", &environment.name);
    let (hosts, fleet, rollouts) = tokio::join!(
        ui.api.list::<HostStanding>(&hosts),
        ui.api.get::<Fleet>(route::FLEET),
        ui.api.get::<Page<RolloutSummary>>(&rollouts)
    );
    let (hosts, fleet, rollouts) = (hosts?, fleet?, rollouts?);
    let content = html! {
        p.crumbs { a href="/" { "Fleet" } }
        h1 { (environment.name) }
        @if let Some(release) = &environment.release { p.lead { "Runs release " (view::release(release.id, Some(release))) } }
        section #health aria-label="Hosts at a glance" {
            (standing::health(&fleet, &environment.name))
            (what_runs(&fleet, &environment.name))
            (standing::tiles(&hosts))
            p { a href=(Query::of("/hosts").with("environment", &environment.name)) { "All hosts of " (environment.name) " as a table" } }
            @if ui.role() == Role::Admin { p { (host::new_link(Some(&environment.name))) } }
        }
        section #rollouts aria-labelledby="rollouts-title" {
            h2 #rollouts-title { "Rollouts" }
            (rollouts::table(ui, &rollouts.items))
            p { a href={ "/rollouts?environment=" (environment.name) } { "All rollouts of " (environment.name) } }
            @if !hosts.is_empty() && ui.role_in(&environment.name) >= Role::Deployer {
                @let newest = format!("/releases/latest@{}/start", environment.name);
                p { "Preview a rollout of the " a href=(Query::of(newest).with("environment", &environment.name)) { "newest release" }
                    ", or choose " a href="/releases" { "another one" } "." }
            }
        }
        section #times aria-labelledby="times-title" {
            h2 #times-title { "When rollouts may go" }
            (times(ui, &environment))
        }
        section #strategy aria-labelledby="strategy-title" {
            h2 #strategy-title { "How rollouts go" }
            (rules(&environment))
            (strategy(&environment.strategy))
            @if ui.role() == Role::Admin { (edit(ui, &environment)) }
        }
    };
    Ok(ui.live_page(environment.name.as_str(), "/live", &content))
}

/// The releases that its hosts run, where there are several.
fn what_runs(fleet: &Fleet, name: &EnvironmentName) -> Markup {
    let mut runs: BTreeMap<Option<u64>, (Option<&ReleaseLabel>, u32)> = BTreeMap::new();
    for count in fleet.counts.iter().filter(|count| count.environment == *name) {
        let release = count.release.as_ref();
        let known = runs
            .entry(release.and_then(|release| release.number))
            .or_default();
        *known = (release, known.1 + count.hosts);
    }
    html! {
        @if runs.len() > 1 {
            ul.plain { @for (release, hosts) in runs.values().rev() {
                li { (number::count(*hosts as usize, "host")) " "
                    @if let Some(release) = release { "on release " (view::release(release.id, Some(release))) }
                    @else { span.faint { "on what no release brought" } } }
            } }
        }
    }
}

fn times(ui: &Ui, environment: &Environment) -> Markup {
    let to = format!("/environments/{}/freezes", environment.name);
    html! {
        @match &environment.hold {
            Some(hold) => (view::closed(hold)),
            None => p { (view::badge(Tone::Good, "open")) " Rollouts may begin now." },
        }
        @if !environment.windows.is_empty() {
            h3 { "Windows" }
            ul { @for window in &environment.windows { li { code { (window) } } } }
        }
        @if !environment.freezes.is_empty() {
            h3 { "Freezes" }
            (table::of(["From", "Until", "By", "Why", "Do"], environment.freezes.iter().map(|freeze| freeze_row(ui, environment, freeze))))
        }
        @if ui.role_in(&environment.name) >= Role::Approver {
            (action(ui, &Action { to: &to, name: "Freeze", what: "freeze", meaning: "Rollouts of this environment begin nothing until then. Hosts under way finish.", danger: false }, |draft| html! {
                (draft.instant("from", "From (UTC)").hint(" (empty: now)"))
                (draft.instant("until", "Until (UTC)").required())
                (draft.reason(true))
            }))
        }
    }
}

fn freeze_row(ui: &Ui, environment: &Environment, freeze: &Freeze) -> [Markup; 5] {
    let to = format!("/environments/{}/freezes/{}", environment.name, freeze.id);
    [
        view::at(freeze.from),
        view::at(freeze.until),
        html! { (freeze.by) },
        html! { (view::words(&freeze.reason)) },
        html! { @if ui.role_in(&environment.name) >= Role::Approver {
            (action(ui, &Action { to: &to, name: "End", what: "thaw", meaning: "Rollouts may go on at once.", danger: false }, nothing))
        } },
    ]
}

fn rules(environment: &Environment) -> Markup {
    html! { ul {
        li { @if environment.approval_required { "Somebody other than its author approves each rollout, with its plan." } @else { "No approval is asked for." } }
        @if environment.own_strategy_allowed { li { "A rollout may bring a strategy of its own." } }
        @if environment.related_approval_allowed { li { (RELATED) "." } }
    } }
}

/// A strategy with its fields explained.
pub(super) fn strategy(strategy: &Strategy) -> Markup {
    let fields = serde_json::to_value(strategy).unwrap_or_default();
    let text = |name: &str| {
        let value = fields.pointer(name);
        value.map_or_else(String::new, |value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned)
        })
    };
    html! {
        dl.facts {
            dt { "Canary" } dd { (text("/canary")) span.faint { " first, alone, in each group" } }
            dt { "Batch" } dd { (text("/batch")) span.faint { " of a group in each wave" } }
            dt { "At once" } dd { (text("/max_unavailable")) span.faint { " of the environment's hosts may be out at once" } }
            dt { "Bake" } dd { (strategy.bake_seconds) " s" span.faint { " in which the checks must go on passing" } }
            dt { "Checks" } dd { (strategy.verify.passes) " passes in a row, every " (strategy.verify.interval_seconds) " s, within " (strategy.verify.timeout_seconds) " s" }
            dt { "On failure" } dd { (view::spaced(&text("/on_failure"))) }
            dt { "Offline hosts" } dd { (view::spaced(&text("/offline"))) }
            dt { "Retries" } dd { (strategy.retries) }
            dt { "Reboot" } dd { (if strategy.reboot.is_never() { "never".to_owned() } else { view::spaced(&text("/reboot")) }) }
            @if !strategy.order.is_empty() { dt { "Order" } dd { (text("/order")) } }
            @if !strategy.skip_checks.is_empty() { dt { "Skipped checks" } dd { (strategy.skip_checks.join(", ")) } }
        }
        details { summary { "As JSON, with all bounds" } pre { (serde_json::to_string_pretty(strategy).unwrap_or_default()) } }
    }
}

fn edit(ui: &Ui, environment: &Environment) -> Markup {
    let to = format!("/environments/{}", environment.name);
    html! {
        (action(ui, &Action { to: &to, name: "Change", what: "update", meaning: "It holds for rollouts that are started from then on.", danger: false }, |draft| {
            settings(draft, Some(environment))
        }))
        (action(ui, &Action { to: &to, name: "Delete", what: "delete", meaning: "Only an environment without hosts can be deleted. Its history stays.", danger: true }, |draft| html! {
            (draft.text("confirm", "Type its name").required().complete("off"))
        }))
    }
}

/// The fields of an environment.
fn settings(draft: Draft<'_>, of: Option<&Environment>) -> Markup {
    let strategy = of
        .map(|environment| environment.strategy.clone())
        .unwrap_or_default();
    let windows: Vec<String> = of
        .map(|of| of.windows.iter().map(ToString::to_string).collect())
        .unwrap_or_default();
    let is_on = |rule: fn(&Environment) -> bool| of.is_some_and(rule);
    let (windows, strategy) = (
        windows.join("\n"),
        serde_json::to_string_pretty(&strategy).unwrap_or_default(),
    );
    html! {
        (draft.check("approval", "Somebody else approves each rollout", is_on(|of| of.approval_required)))
        (draft.check("own_strategy", "A rollout may bring its own strategy", is_on(|of| of.own_strategy_allowed)))
        (draft.check("related", RELATED, is_on(|of| of.related_approval_allowed)))
        (draft.lines("windows", "Windows, one a line", 3).example(WINDOW_EXAMPLE).first(&windows))
        (draft.lines("strategy", "Strategy, as JSON", 12).first(&strategy))
    }
}

/// The form for a new environment.
pub(super) fn new_form(ui: &Ui) -> Markup {
    action(
        ui,
        &Action {
            to: "/environments",
            name: "New environment",
            what: "create",
            meaning: "A group of hosts that a release is rolled out to.",
            danger: false,
        },
        |draft| html! { (draft.text("name", "Name").required()) (settings(draft, None)) },
    )
}

pub(super) async fn create(Sent { ui, fields }: Sent) -> Reply {
    let made = async {
        let new = CreateEnvironment {
            name: fields.parse("name", "The name")?,
            strategy: read_strategy(fields.text("strategy"))?,
            approval_required: fields.is_on("approval"),
            own_strategy_allowed: fields.is_on("own_strategy"),
            related_approval_allowed: fields.is_on("related"),
            windows: read_windows(fields.text("windows"))?,
        };
        ui.api
            .post::<Environment>(route::ENVIRONMENTS, &new, fields.once())
            .await
    };
    match made.await {
        Ok(made) => Ok(Redirect::to(&format!("/environments/{}", made.name)).into_response()),
        Err(refused) => fleet::fleet(&ui.refusing(refused, fields), &Filter::default()).await,
    }
}

pub(super) async fn update(Path(name): Path<String>, Sent { ui, fields }: Sent) -> Reply {
    let done = async {
        match fields.text("do") {
            "update" => {
                let update = UpdateEnvironment {
                    strategy: Some(read_strategy(fields.text("strategy"))?),
                    approval_required: Some(fields.is_on("approval")),
                    own_strategy_allowed: Some(fields.is_on("own_strategy")),
                    related_approval_allowed: Some(fields.is_on("related")),
                    windows: Some(read_windows(fields.text("windows"))?),
                };
                ui.api.patch::<Environment>(&path_of(&name), &update).await?;
                Ok(format!("/environments/{}", escape(&name)))
            }
            "delete" if fields.text("confirm") == name => {
                ui.api.delete(&path_of(&name)).await?;
                Ok("/".to_owned())
            }
            "delete" => Err(invalid(format!("type {name} to delete it")).at("confirm")),
            other => Err(unknown(other)),
        }
    };
    match done.await {
        Ok(to) => Ok(Redirect::to(&to).into_response()),
        Err(refused) => page(&ui.refusing(refused, fields), &name).await,
    }
}

pub(super) async fn freeze(Path(name): Path<String>, Sent { ui, fields }: Sent) -> Reply {
    let done = async {
        let new = CreateFreeze {
            from: read_instant(&fields, "from")?,
            until: read_instant(&fields, "until")?
                .ok_or_else(|| invalid("say until when, in UTC").at("until"))?,
            reason: fields.text("reason").to_owned(),
        };
        let to = route::fill(route::ENVIRONMENT_FREEZES, escape(&name));
        ui.api.post::<Freeze>(&to, &new, fields.once()).await
    };
    let done = done.await.map(drop);
    answer(ui, fields, &name, done).await
}

pub(super) async fn thaw(Path((name, freeze)): Path<(String, String)>, Sent { ui, fields }: Sent) -> Reply {
    let done = ui.api.delete(&route::fill(route::FREEZE, escape(&freeze))).await;
    answer(ui, fields, &name, done).await
}

async fn answer(ui: Ui, fields: Fields, name: &str, done: Answer<()>) -> Reply {
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/environments/{}#times", escape(name))).into_response()),
        Err(refused) => page(&ui.refusing(refused, fields), name).await,
    }
}

/// An instant of a field for date and time, which has no zone: the page says that it is UTC.
pub(super) fn read_instant(fields: &Fields, name: &str) -> Answer<Option<DateTime<Utc>>> {
    let Some(text) = fields.filled(name) else {
        return Ok(None);
    };
    let mut forms = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"].iter();
    let read = forms.find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let at = read.ok_or_else(|| {
        invalid(format!(
            "`{text}` is no instant; write it as 2026-12-24T18:00, in UTC"
        ))
        .at(name)
    })?;
    Ok(Some(at.and_utc()))
}

fn read_strategy(text: &str) -> Answer<Strategy> {
    if text.is_empty() {
        return Ok(Strategy::default());
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    strict::deserialize(&mut reader)
        .map_err(|error| invalid(format!("the strategy cannot be read: {error}")).at("strategy"))
}

fn read_windows(text: &str) -> Answer<Vec<Window>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    parse_each(lines, "the window").map_err(|refused| refused.at("windows"))
}

/// A link to an environment.
pub(super) fn link(name: &EnvironmentName) -> Markup {
    html! { a href={ "/environments/" (name) } { (name) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_a_window_is_one() {
        let read = read_windows(WINDOW_EXAMPLE).unwrap();
        assert_eq!(read.first().unwrap().to_string(), WINDOW_EXAMPLE);
    }
}
