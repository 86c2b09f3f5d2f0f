//! The first page: environments, what asks for attention, and hosts.

use axum::extract::RawQuery;
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use slipway_domain::{EnvironmentName, Role, StepState};
use slipway_text::number::count;
use slipway_wire::fleet::{Environment, Host};
use slipway_wire::problem::Problem;
use slipway_wire::rollout::RolloutSummary;
use slipway_wire::route;

use crate::api::{Answer, escape};
use crate::form::Fields;
use crate::layout;
use crate::ui::{Reply, Ui};
use crate::view::{self, Tone};

/// Hosts on one page of the table.
const HOSTS_A_PAGE: usize = 100;

/// How a host stands, the worst first.
pub(super) fn tone(host: &Host) -> (Tone, &'static str) {
    let state = host.step.as_ref().map(|step| step.state);
    if host.retired_at.is_some() {
        (Tone::Idle, "retired")
    } else if state == Some(StepState::Stuck) {
        (Tone::Bad, "stuck")
    } else if host.trouble.is_some() || host.journal_trouble.is_some() {
        (Tone::Bad, "trouble")
    } else if !host.online {
        (
            Tone::Bad,
            if host.last_seen_at.is_none() {
                "never seen"
            } else {
                "offline"
            },
        )
    } else if state.is_some_and(StepState::is_under_way) || host.unsettled.is_some() {
        (Tone::Busy, "changing")
    } else if host.drift.is_some() {
        (Tone::Warn, "drift")
    } else if !host.pending_reboot.is_empty() {
        (Tone::Waits, "reboot pending")
    } else {
        (Tone::Good, "healthy")
    }
}

/// The hosts that whoever looks may see.
pub(super) async fn all_hosts(ui: &Ui, environments: &[Environment]) -> Answer<Vec<Host>> {
    match ui.api.list(&format!("{}?", route::HOSTS)).await {
        Err(refused) if refused.status == StatusCode::FORBIDDEN => {}
        found => return found,
    }
    // A token for some environments sees the lists of these.
    let mut all = Vec::new();
    for environment in environments {
        match ui.api.list(&hosts_of(&environment.name)).await {
            Ok(hosts) => all.extend::<Vec<Host>>(hosts),
            Err(refused) if refused.status == StatusCode::FORBIDDEN => {}
            Err(refused) => return Err(refused),
        }
    }
    Ok(all)
}

pub(super) fn hosts_of(environment: &EnvironmentName) -> String {
    format!("{}?environment={environment}&", route::HOSTS)
}

/// The newest rollouts, or none for whom the list is closed.
pub(super) async fn newest_rollouts(ui: &Ui, limit: u32) -> Answer<Vec<RolloutSummary>> {
    let path = format!("{}?limit={limit}", route::ROLLOUTS);
    match ui
        .api
        .get::<slipway_wire::page::Page<RolloutSummary>>(&path)
        .await
    {
        Ok(page) => Ok(page.items),
        Err(refused) if refused.status == StatusCode::FORBIDDEN => Ok(Vec::new()),
        Err(refused) => Err(refused),
    }
}

pub(super) async fn show(ui: Ui, RawQuery(query): RawQuery) -> Reply {
    let filter = Filter::of(&Fields::of_query(query.as_deref()));
    fleet(&ui, &filter, None).await
}

/// The first page, with what was refused on it.
pub(super) async fn fleet(ui: &Ui, filter: &Filter, refused: Option<&Problem>) -> Reply {
    let environments: Vec<Environment> = ui.api.list(&format!("{}?", route::ENVIRONMENTS)).await?;
    let (hosts, rollouts) = tokio::join!(all_hosts(ui, &environments), newest_rollouts(ui, 100));
    let (hosts, rollouts) = (hosts?, rollouts?);
    let content = html! {
        (layout::alert(refused))
        h1 { "Fleet" }
        (attention(ui, &hosts, &rollouts))
        section aria-label="Environments" #environments {
            div.cards {
                @for environment in &environments { (card(ui, environment, &hosts, &rollouts)) }
                @if environments.is_empty() {
                    p.empty { "There is no environment yet. An environment is a group of hosts that a release is rolled out to." }
                }
            }
            @if ui.role() == Role::Admin { (super::environment::new_form(ui)) }
        }
        section aria-labelledby="hosts-title" #hosts {
            h2 #hosts-title { "Hosts" }
            (filter.form("/", &environments))
            (table(ui, "/", filter, &hosts))
        }
    };
    Ok(layout::with_status(
        ui.live_page("Fleet", "/live", &content),
        refused,
    ))
}

/// The table of hosts alone.
pub(super) async fn hosts(ui: Ui, RawQuery(query): RawQuery) -> Reply {
    let filter = Filter::of(&Fields::of_query(query.as_deref()));
    let environments: Vec<Environment> = ui.api.list(&format!("{}?", route::ENVIRONMENTS)).await?;
    let hosts = all_hosts(&ui, &environments).await?;
    let content = html! {
        h1 { "Hosts" }
        section #hosts { (filter.form("/hosts", &environments)) (table(&ui, "/hosts", &filter, &hosts)) }
        @if ui.role() == Role::Admin { (super::host::new_form(&ui, &environments)) }
    };
    Ok::<Response, _>(ui.live_page("Hosts", "/live", &content))
}

/// What asks for a person.
fn attention(ui: &Ui, hosts: &[Host], rollouts: &[RolloutSummary]) -> Markup {
    use slipway_domain::RolloutState as R;
    let waiting = rollouts
        .iter()
        .filter(|rollout| matches!(rollout.state, R::PendingApproval | R::Paused));
    let of = |name: &str| hosts.iter().filter(|host| tone(host).1 == name).count();
    let kinds = ["stuck", "trouble", "offline", "drift", "reboot pending"];
    let counts: Vec<(&str, usize)> = kinds
        .into_iter()
        .map(|name| (name, of(name)))
        .filter(|(_, n)| *n > 0)
        .collect();
    let waiting: Vec<_> = waiting.collect();
    html! {
        section.attention #attention aria-label="What asks for you" {
            @if waiting.is_empty() && counts.is_empty() {
                p.calm { (view::badge(Tone::Good, "Nothing asks for you.")) }
            } @else {
                ul {
                    @for rollout in &waiting {
                        li { a href={ "/rollouts/" (rollout.id) } {
                            (view::rollout_state(rollout.state)) " " (rollout.environment) ": "
                            @if rollout.state == R::PendingApproval { "a rollout of " (rollout.author) " waits for an approval" }
                            @else { "a rollout is paused" }
                        } " " (view::ago(ui.now, rollout.since)) }
                    }
                    @for (name, n) in &counts {
                        li { a href={ "/?show=" (escape(name)) "#hosts" } {
                            (view::badge(if matches!(*name, "stuck" | "trouble" | "offline") { Tone::Bad } else { Tone::Warn }, name))
                            " " (count(*n, "host"))
                        } }
                    }
                }
            }
        }
    }
}

fn card(ui: &Ui, environment: &Environment, hosts: &[Host], rollouts: &[RolloutSummary]) -> Markup {
    let hosts: Vec<&Host> = hosts
        .iter()
        .filter(|host| host.environment == environment.name)
        .collect();
    let newest = rollouts
        .iter()
        .find(|rollout| rollout.environment == environment.name);
    html! {
        article.card {
            h3 { a href={ "/environments/" (environment.name) } { (environment.name) } }
            @if let Some(release) = &environment.release {
                p { "Runs release " (view::release(release.id, Some(release))) }
            }
            (health(&hosts))
            @if let Some(hold) = &environment.hold {
                p { (view::badge(Tone::Waits, "holds")) " " (view::words(&hold.why)) }
            }
            @if let Some(rollout) = newest {
                p.last { (view::rollout_state(rollout.state)) " " "rollout " (view::rollout(rollout.id, rollout.number))
                    " of release " (view::release(rollout.release, rollout.release_label.as_ref())) " "
                    (view::ago(ui.now, rollout.since)) }
            } @else { p.faint { "No rollout yet." } }
        }
    }
}

/// How hosts stand, as a bar.
pub(super) fn health(hosts: &[&Host]) -> Markup {
    let mut parts: Vec<(Tone, &str, usize)> = Vec::new();
    let order = [
        "stuck",
        "trouble",
        "offline",
        "never seen",
        "changing",
        "drift",
        "reboot pending",
        "healthy",
    ];
    for name in order {
        let mut found = hosts.iter().map(|host| tone(host)).filter(|(_, of)| *of == name);
        if let Some((tone, _)) = found.next() {
            parts.push((tone, name, 1 + found.count()));
        }
    }
    html! {
        @if hosts.is_empty() { p.faint { "No hosts." } } @else { (view::shares(&parts)) }
    }
}

/// Which hosts are shown.
#[derive(Debug, Default)]
pub(super) struct Filter {
    text: String,
    environment: String,
    show: String,
    page: usize,
}

impl Filter {
    fn of(query: &Fields) -> Self {
        Self {
            text: query.text("q").chars().take(200).collect(),
            environment: query.text("environment").to_owned(),
            show: query.text("show").to_owned(),
            page: query.text("page").parse().unwrap_or(1).max(1),
        }
    }

    /// Every word must be part of the name, of a label, or of what runs.
    fn keeps(&self, host: &Host) -> bool {
        let in_environment = self.environment.is_empty() || host.environment.as_str() == self.environment;
        let (_, name) = tone(host);
        let is_shown = match self.show.as_str() {
            "" => host.retired_at.is_none(),
            "all" => true,
            "attention" => !matches!(name, "healthy" | "changing" | "retired"),
            show => show == name,
        };
        in_environment && is_shown && self.text.split_whitespace().all(|word| has_word(host, word))
    }

    fn query(&self, page: usize) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("q", &self.text),
            ("environment", &self.environment),
            ("show", &self.show),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.append_pair("page", &page.to_string()).finish()
    }

    fn form(&self, path: &str, environments: &[Environment]) -> Markup {
        let shown = [
            ("", "in service"),
            ("attention", "asking for attention"),
            ("offline", "offline"),
            ("stuck", "stuck"),
            ("drift", "drifting"),
            ("reboot pending", "with a reboot pending"),
            ("changing", "changing"),
            ("retired", "retired"),
            ("all", "all"),
        ];
        html! {
            form.filter method="get" action=(path) role="search" {
                label { "Text or label" input type="search" name="q" value=(self.text) placeholder="web, role=db, a version"; }
                label { "Environment" select name="environment" {
                    option value="" { "all" }
                    @for environment in environments {
                        option value=(environment.name) selected[self.environment == environment.name.as_str()] { (environment.name) }
                    }
                } }
                label { "Hosts" select name="show" {
                    @for (value, name) in shown { option value=(value) selected[self.show == value] { (name) } }
                } }
                button { "Filter" }
            }
        }
    }
}

/// Whether a word is part of the host's name, of a label, or of what runs.
fn has_word(host: &Host, word: &str) -> bool {
    let live = host.live.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut labels = host.labels.iter();
    host.name.as_str().contains(word)
        || live.contains(word)
        || labels.any(|(name, value)| format!("{name}={value}").contains(word))
}

/// A page of the hosts that the filter keeps; those that ask for attention come first.
pub(super) fn table(ui: &Ui, path: &str, filter: &Filter, hosts: &[Host]) -> Markup {
    let mut kept: Vec<&Host> = hosts.iter().filter(|host| filter.keeps(host)).collect();
    kept.sort_by_key(|host| rank(tone(host).0));
    let pages = kept.len().div_ceil(HOSTS_A_PAGE).max(1);
    let page = filter.page.clamp(1, pages);
    let shown = kept.iter().skip((page - 1) * HOSTS_A_PAGE).take(HOSTS_A_PAGE);
    html! {
        p.faint { (count(kept.len(), "host")) @if pages > 1 { ", page " (page) " of " (pages) } }
        @if kept.is_empty() {
            p.empty { "No host fits. " a href=(path) { "Show all in service" } }
        } @else {
            div.scroll { table.hosts {
                thead { tr { th { "Host" } th { "State" } th { "Environment" } th { "Runs" } th { "Labels" } th { "Last seen" } } }
                tbody { @for host in shown { (row(ui, host)) } }
            } }
        }
        @if pages > 1 {
            nav.pages aria-label="Pages of hosts" {
                @if page > 1 { a href={ (path) "?" (filter.query(page - 1)) "#hosts" } rel="prev" { "← Previous" } }
                @if page < pages { a href={ (path) "?" (filter.query(page + 1)) "#hosts" } rel="next" { "Next →" } }
            }
        }
    }
}

const fn rank(tone: Tone) -> u8 {
    match tone {
        Tone::Bad => 0,
        Tone::Busy => 1,
        Tone::Warn => 2,
        Tone::Waits => 3,
        Tone::Good => 4,
        Tone::Idle => 5,
    }
}

fn row(ui: &Ui, host: &Host) -> Markup {
    let (tone, name) = tone(host);
    html! {
        tr {
            th scope="row" { a href={ "/hosts/" (host.name) } { (host.name) } }
            td { (view::badge(tone, name)) }
            td { (host.environment) }
            td { @if let Some(release) = &host.release { (view::release(release.id, Some(release))) " " }
                @if let Some(live) = &host.live { (view::closure(live)) } @else { span.faint { "unknown" } } }
            td.labels { (labels(host)) }
            td { (view::ago_opt(ui.now, host.last_seen_at)) }
        }
    }
}

pub(super) fn labels(host: &Host) -> Markup {
    html! { @for (name, value) in &host.labels { span.label { (view::words(name)) "=" (view::words(value)) } " " } }
}

/// Hosts as tiles, for a look at many at once.
pub(super) fn tiles(hosts: &[&Host]) -> Markup {
    html! {
        div.tiles {
            @for host in hosts {
                @let (tone, name) = tone(host);
                a class={ "tile " (tone.class()) } href={ "/hosts/" (host.name) } title={ (host.name) ": " (name) } {
                    span.hidden { (host.name) ": " (name) }
                }
            }
        }
    }
}
