//! One host: what runs, what happened, and what can be done about it.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use maud::{Markup, html};
use slipway_domain::digest::Digest;
use slipway_domain::{HostName, Role};
use slipway_wire::access::TokenCreated;
use slipway_wire::audit::Event;
use slipway_wire::fleet::{
    AdoptHost, CreateHost, Environment, Host, HostCreated, HostDrift, RestoreHost, UpdateHost,
};
use slipway_wire::page::Page;
use slipway_wire::problem::Problem;
use slipway_wire::route;

use super::access::shown_once;
use super::actions::{Action, action, reason, unknown};
use super::hosts::Filter;
use super::standing::Standing;
use super::{audit, fleet, hosts};
use crate::api::{Answer, Refused, escape, invalid};
use crate::form::Sent;
use crate::layout;
use crate::query::Query;
use crate::ui::{Reply, Ui};
use crate::view::{self, Tone};

pub(super) async fn show(ui: Ui, Path(name): Path<String>) -> Reply {
    page(&ui, &name, None).await
}

fn path_of(name: &str) -> String {
    route::fill(route::HOST, escape(name))
}

async fn page(ui: &Ui, name: &str, refused: Option<&Problem>) -> Reply {
    let host: Host = ui.api.get(&path_of(name)).await?;
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
        (layout::alert(refused))
        p.crumbs { a href="/" { "Fleet" } " / " a href={ "/environments/" (host.environment) } { (host.environment) } }
        h1 { (host.name) " " (Standing::of(&host).badge()) }
        (trouble(&host))
        section #facts aria-label="What it is" { (facts(ui, &host)) }
        @if let Some(drift) = &host.drift { (drifts(ui, &host, drift)) }
        (report(&host))
        section #actions aria-label="What can be done" { (actions(ui, &host)) }
        @if let Some(events) = &events {
            section #history aria-labelledby="history-title" {
                h2 #history-title { "History" }
                (audit::table(ui, events))
                p { a href={ "/audit?host=" (host.name) } { "All events of this host" } }
            }
        }
    };
    Ok(layout::with_status(
        ui.live_page(host.name.as_str(), "/live", &content),
        refused,
    ))
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
                dd { (view::step_state(step.state)) " in " a href={ "/rollouts/" (step.rollout) } { "rollout " (view::short(step.rollout)) }
                    @if let Some(reason) = &step.reason { ": " (view::words(reason)) } }
            }
            dt { "Agent" } dd { (view::words(host.agent_version.as_deref().unwrap_or("unknown"))) }
            @if let Some(skew) = host.clock_skew_seconds.filter(|skew| skew.abs() > 2) {
                dt { "Clock" } dd { (skew.abs()) " s " (if skew > 0 { "ahead" } else { "behind" }) }
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
            div.scroll { table {
                thead { tr { th { "What" } th { "Expected" } th { "Found" } th { "Since" } } }
                tbody { @for item in &drift.items { tr {
                    td { (view::badge(Tone::Warn, item.kind.words())) }
                    td { (view::store_path(&item.expected)) }
                    td { (view::store_path(&item.found)) }
                    td { (view::ago(ui.now, item.since)) }
                } } }
            } }
            @if ui.role_in(&host.environment) >= Role::Deployer {
                (action(ui, &Action {
                    to: &format!("/hosts/{}", host.name), name: "Accept this drift", what: "adopt",
                    meaning: "What was found is expected from now on. Drift that comes later is reported again.", danger: false,
                }, &html! { input type="hidden" name="drift" value=(drift.digest); (reason(true)) }))
            }
        }
    }
}

fn actions(ui: &Ui, host: &Host) -> Markup {
    let to = format!("/hosts/{}", host.name);
    let may = ui.role_in(&host.environment) == Role::Admin;
    html! {
        @if may && host.retired_at.is_some() {
            (action(ui, &Action { to: &to, name: "Take back", what: "restore", meaning: "The host gets a new token, which is shown once.", danger: false }, &html! {}))
        } @else if may {
            (action(ui, &Action { to: &to, name: "Set a label", what: "label", meaning: "Strategies and filters name hosts by their labels. An empty value takes the label away.", danger: false }, &html! {
                label { "Name" input name="label" required; } label { "Value" input name="value"; }
            }))
            (action(ui, &Action { to: &to, name: "Make a new token", what: "token", meaning: "Its agent needs the new one: the old ones stop working at once.", danger: true }, &html! {}))
            (action(ui, &Action { to: &to, name: "Retire", what: "retire", meaning: "The host leaves its environment and its tokens stop working. Its history stays.", danger: true }, &html! {
                label { "Type the host's name" input name="confirm" required autocomplete="off"; }
            }))
        }
    }
}

/// The form for a new host.
pub(super) fn new_form(ui: &Ui, environments: &[Environment]) -> Markup {
    html! {
        section { (action(ui, &Action { to: "/hosts", name: "New host", what: "create", meaning: "Its agent gets a token, which is shown once.", danger: false }, &html! {
            label { "Name" input name="name" required; }
            label { "Environment" select name="environment" { @for environment in environments { option { (environment.name) } } } }
            label { "Labels" input name="labels" placeholder="role=web zone=a"; }
        })) }
    }
}

pub(super) async fn create(Sent { ui, fields }: Sent) -> Reply {
    let made = async {
        let mut labels = BTreeMap::new();
        for pair in fields.text("labels").split_whitespace() {
            let (name, value) = pair.split_once('=').ok_or_else(|| no_label(pair))?;
            labels.insert(name.to_owned(), value.to_owned());
        }
        let new = CreateHost {
            name: fields.parse("name", "The name")?,
            environment: fields.parse("environment", "The environment")?,
            labels,
        };
        ui.api
            .post::<HostCreated>(route::HOSTS, &new, fields.once())
            .await
    };
    match made.await {
        Ok(made) => Ok(token_page(&ui, &made.host.name, &made.token)),
        Err(refused) => fleet::fleet(&ui, &Filter::default(), Some(&refused)).await,
    }
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
            "retire" => Err(invalid(format!("type {name} to retire it"))),
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
        Err(refused) => page(&ui, &name, Some(&refused)).await,
    }
}
