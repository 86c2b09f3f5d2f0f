//! One host: what runs, what happened, and what can be done about it.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use maud::{Markup, html};
use slipway_domain::digest::Digest;
use slipway_domain::{EnvironmentName, HostName, Role};
use slipway_wire::access::TokenCreated;
use slipway_wire::audit::Event;
use slipway_wire::fleet::{
    AdoptHost, CreateHost, Environment, Host, HostCreated, HostDrift, RestoreHost, UpdateHost,
};
use slipway_wire::page::Page;
use slipway_wire::route;

use super::access::shown_once;
use super::actions::{Action, action, fold, nothing, unknown};
use super::standing;
use super::{audit, hosts};
use crate::api::{Answer, Refused, escape, invalid};
use crate::draft::Draft;
use crate::form::{Fields, Sent};
use crate::query::Query;
use crate::table;
use crate::ui::{Reply, Ui};
use crate::view::{self, Tone};

/// What may stand in the field for labels.
const LABELS_EXAMPLE: &str = "role=web zone=a";

pub(super) async fn show(ui: Ui, Path(name): Path<String>) -> Reply {
    page(&ui, &name).await
}

fn path_of(name: &str) -> String {
    route::fill(route::HOST, escape(name))
}

async fn page(ui: &Ui, name: &str) -> Reply {
    let host: Host = ui.api.get(&path_of(name)).await?;
    let environments: Vec<Environment> = ui.api.list(&Query::of(route::ENVIRONMENTS)).await?;
    let events = Query::of(route::EVENTS)
        .with("newest_first", true)
        .with("host", &host.name)
        .with("limit", 30);
    let events = match ui.api.get::<Page<Event>>(&events).await {
        Ok(page) => Some(page.items),
        // The whole log is not for everybody who may see the host.
        Err(refused) if refused.status == StatusCode::FORBIDDEN => None,
        Err(refused) => return Err(refused.into()),
    };
    let content = html! {
        p.crumbs { a href="/" { "Fleet" } " / " a href={ "/environments/" (host.environment) } { (host.environment) } }
        h1 { (host.name) " " (standing::of(&host)) }
        (trouble(&host))
        section #facts aria-label="What it is" { (facts(ui, &host)) }
        @if let Some(drift) = &host.drift { (drifts(ui, &host, drift)) }
        (report(&host))
        section #actions aria-label="What can be done" { (actions(ui, &host, &environments)) }
        @if let Some(events) = &events {
            section #history aria-labelledby="history-title" {
                h2 #history-title { "History" }
                (audit::table(ui, events))
                p { a href={ "/audit?host=" (host.name) } { "All events of this host" } }
            }
        }
    };
    Ok(ui.live_page(host.name.as_str(), "/live", &content))
}

fn trouble(host: &Host) -> Markup {
    html! {
        @for text in [&host.trouble, &host.journal_trouble].into_iter().flatten() {
            div.alert.bad { p { (view::words(text)) } }
        }
        @if let Some(unknown) = &host.unknown { div.alert { p { (view::words(unknown)) } } }
        @if !host.pending_reboot.is_empty() {
            div.alert.waits { p { "It runs all of its system only after a reboot: " (view::words(&host.pending_reboot.join(", "))) "." } }
        }
    }
}

fn facts(ui: &Ui, host: &Host) -> Markup {
    html! {
        dl.facts {
            dt { "Runs" } dd { @if let Some(release) = &host.release { "release " (view::release(release.id, Some(release))) " " }
                @match &host.live { Some(live) => (view::closure(live)), None => { span.faint { "unknown" } } } }
            @if host.boot_default.is_some() && host.boot_default != host.live {
                dt { "Next boot" } dd { @if let Some(path) = &host.boot_default { (view::closure(path)) } }
            }
            dt { "Last seen" } dd { (view::ago_opt(ui.now, host.last_seen_at)) }
            @if let Some(step) = &host.step {
                dt { "Newest rollout" }
                dd { (view::step_state(step.state)) " in rollout " (view::rollout(step.rollout, step.rollout_number))
                    @if let Some(reason) = &step.reason { ": " (view::words(reason)) } }
            }
            dt { "Agent" } dd { (view::words(host.agent_version.as_deref().unwrap_or("unknown"))) }
            @if let Some(skew) = host.clock_skew_seconds.filter(|skew| skew.abs() > 2) {
                dt { "Clock" } dd { (skew.abs()) " s " (if skew > 0 { "ahead" } else { "behind" }) }
            }
            @if let Some(accepted) = &host.accepted {
                dt { "Accepted" }
                dd { "by " (view::words(accepted.by_words())) " " (view::ago(ui.now, accepted.at)) ": " (view::words(&accepted.reason)) }
            }
            dt { "Labels" } dd { @if host.labels.is_empty() { span.faint { "none" } } @else { (hosts::labels(host)) } }
            dt { "Made" } dd { (view::at(host.created_at)) }
            @if let Some(at) = host.retired_at { dt { "Retired" } dd { (view::at(at)) } }
        }
    }
}

fn report(host: &Host) -> Markup {
    let Some(report) = &host.report else {
        return Markup::default();
    };
    let Some(message) = &report.message else {
        return Markup::default();
    };
    html! {
        section #report aria-labelledby="report-title" {
            h2 #report-title { "What its agent says" }
            pre.said { (view::words(message)) }
        }
    }
}

fn drifts(ui: &Ui, host: &Host, drift: &HostDrift) -> Markup {
    html! {
        section #drift aria-labelledby="drift-title" {
            h2 #drift-title { "Drift" }
            (table::of(["What", "Expected", "Found", "Since"], drift.items.iter().map(|item| [
                view::badge(Tone::Warn, item.kind.words()),
                brought(drift, &item.expected),
                brought(drift, &item.found),
                view::ago(ui.now, item.since),
            ])))
            @if ui.role_in(&host.environment) >= Role::Deployer {
                (action(ui, &Action {
                    to: &format!("/hosts/{}", host.name), name: "Accept this drift", what: "adopt",
                    meaning: "What was found is expected from now on. Drift that comes later is reported again.", danger: false,
                }, |draft| html! { input type="hidden" name="drift" value=(drift.digest); (draft.reason(true)) }))
            }
        }
    }
}

/// A closure by the release that brought it, or by its path.
fn brought(drift: &HostDrift, path: &str) -> Markup {
    match drift.release_of(path) {
        Some(release) => {
            html! { span title=(view::words(path)) { (view::release(release.id, Some(release))) } }
        }
        None => view::store_path(path),
    }
}

fn actions(ui: &Ui, host: &Host, environments: &[Environment]) -> Markup {
    let to = format!("/hosts/{}", host.name);
    let may = ui.role_in(&host.environment) == Role::Admin;
    let others: Vec<&str> = environments
        .iter()
        .map(|environment| environment.name.as_str())
        .filter(|name| *name != host.environment.as_str())
        .collect();
    html! {
        @if host.retired_at.is_none() && ui.role_in(&host.environment) >= Role::Deployer {
            (reboot(host))
        }
        @if may && host.retired_at.is_some() {
            (action(ui, &Action { to: &to, name: "Take back", what: "restore", meaning: "The host gets a new token, which is shown once.", danger: false }, nothing))
        } @else if may {
            (action(ui, &Action { to: &to, name: "Set a label", what: "label", meaning: "Strategies and filters name hosts by their labels. An empty value takes the label away.", danger: false }, |draft| html! {
                (draft.text("label", "Name").required())
                (draft.text("value", "Value"))
            }))
            @if let Some(first) = others.first() {
                (action(ui, &Action { to: &to, name: "Move", what: "move", meaning: "It belongs to another environment from then on, and runs what it runs until a rollout of that one.", danger: false }, |draft| {
                    draft.choice("environment", "To", first, others.iter().map(|name| (name, name)))
                }))
            }
            (action(ui, &Action { to: &to, name: "Make a new token", what: "token", meaning: "Its agent needs the new one: the old ones stop working at once.", danger: true }, nothing))
            (action(ui, &Action { to: &to, name: "Retire", what: "retire", meaning: "The host leaves its environment and its tokens stop working. Its history stays.", danger: true }, |draft| html! {
                (draft.text("confirm", "Type the host's name").required().complete("off"))
            }))
        }
    }
}

/// A reboot is a rollout of what runs, on this host alone: it has the same checks and waits for the same windows.
fn reboot(host: &Host) -> Markup {
    let Some(release) = &host.release else {
        return html! {};
    };
    let to = Query::of(format!("{}/start", view::release_path(release.id, Some(release))))
        .with("environment", &host.environment)
        .with("hosts", &host.name)
        .with("reboot", "on");
    html! { a.button href=(to) { "Reboot…" } " " }
}

/// Leads to the form for a new host.
pub(super) fn new_link(environment: Option<&EnvironmentName>) -> Markup {
    let to = Query::of("/hosts")
        .with_some("environment", environment)
        .with("new", "host");
    html! { a.button href={ (to) "#new-host" } { "New host…" } }
}

/// The form for a new host. `new_link` opens it.
pub(super) fn new_form(ui: &Ui, environments: &[Environment], query: &Fields) -> Markup {
    let new = Action {
        to: "/hosts",
        name: "New host",
        what: "create",
        meaning: "Its agent gets a token, which is shown once.",
        danger: false,
    };
    let draft = Draft::of(ui, new.to, new.what);
    let names = environments.iter().map(|environment| environment.name.as_str());
    let fields = html! {
        (draft.text("name", "Name").required())
        (draft.choice("environment", "Environment", query.text("environment"), names.map(|name| (name, name))))
        (draft.text("labels", "Labels").example(LABELS_EXAMPLE))
    };
    fold(ui, &new, draft.is_typed() || query.is_on("new"), &fields)
}

pub(super) async fn create(Sent { ui, fields }: Sent) -> Reply {
    let made = async {
        let new = CreateHost {
            name: fields.parse("name", "The name")?,
            environment: fields.parse("environment", "The environment")?,
            labels: read_labels(fields.text("labels")).map_err(|refused| refused.at("labels"))?,
        };
        ui.api
            .post::<HostCreated>(route::HOSTS, &new, fields.once())
            .await
    };
    match made.await {
        Ok(made) => Ok(token_page(&ui, &made.host.name, &made.token)),
        Err(refused) => hosts::page(&ui.refusing(refused, fields), &Fields::default()).await,
    }
}

fn read_labels(text: &str) -> Answer<BTreeMap<String, String>> {
    let pairs = text.split_whitespace().map(|pair| {
        let (name, value) = pair.split_once('=').ok_or_else(|| no_label(pair))?;
        Ok((name.to_owned(), value.to_owned()))
    });
    pairs.collect()
}

fn no_label(text: &str) -> Refused {
    invalid(format!(
        "`{text}` is no label: write NAME=VALUE, such as role=web"
    ))
}

fn token_page(ui: &Ui, host: &HostName, token: &TokenCreated) -> Response {
    let content = html! {
        h1 { "The token of " (host) }
        (shown_once(token, "Write it into the file that AGENT_TOKEN_FILE names on that host."))
        p { a href={ "/hosts/" (host) } { "Go to the host" } }
    };
    ui.page("New token", &content)
}

pub(super) async fn change(Path(name): Path<String>, Sent { ui, fields }: Sent) -> Reply {
    let path = path_of(&name);
    let done: Answer<Option<TokenCreated>> = async {
        match fields.text("do") {
            "adopt" => {
                let adopt = AdoptHost {
                    drift: fields.parse::<Digest>("drift", "The drift")?,
                    reason: fields.text("reason").to_owned(),
                };
                let to = route::fill(route::HOST_ADOPT, escape(&name));
                ui.api.post::<Host>(&to, &adopt, fields.once()).await?;
                Ok(None)
            }
            "label" => {
                let value = fields.filled("value").map(ToOwned::to_owned);
                let labels = BTreeMap::from([(fields.text("label").to_owned(), value)]);
                let update = UpdateHost {
                    labels,
                    ..UpdateHost::default()
                };
                ui.api.patch::<Host>(&path, &update).await?;
                Ok(None)
            }
            "move" => {
                let update = UpdateHost {
                    environment: Some(fields.parse("environment", "The environment")?),
                    ..UpdateHost::default()
                };
                ui.api.patch::<Host>(&path, &update).await?;
                Ok(None)
            }
            "token" => {
                let to = route::fill(route::HOST_TOKEN, escape(&name));
                let empty = serde_json::json!({});
                Ok(Some(
                    ui.api.post::<TokenCreated>(&to, &empty, fields.once()).await?,
                ))
            }
            "restore" => {
                let to = route::fill(route::HOST_RESTORE, escape(&name));
                let made: HostCreated = ui
                    .api
                    .post(&to, &RestoreHost { environment: None }, fields.once())
                    .await?;
                Ok(Some(made.token))
            }
            "retire" if fields.text("confirm") == name => ui.api.delete(&path).await.map(|()| None),
            "retire" => Err(invalid(format!("type {name} to retire it")).at("confirm")),
            other => Err(unknown(other)),
        }
    }
    .await;
    match done {
        Ok(None) => Ok(Redirect::to(&format!("/hosts/{}", escape(&name))).into_response()),
        Ok(Some(token)) => {
            let host: Host = ui.api.get(&path).await?;
            Ok(token_page(&ui, &host.name, &token))
        }
        Err(refused) => page(&ui.refusing(refused, fields), &name).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_labels_is_one() {
        assert_eq!(read_labels(LABELS_EXAMPLE).unwrap().len(), 2);
    }
}
