//! Hosts as a table, with its filter.

use maud::{Markup, html};
use slipway_domain::Role;
use slipway_text::number::count;
use slipway_wire::fleet::{Environment, Host};
use slipway_wire::route;

use super::standing::Standing;
use super::{fleet, host};
use crate::form::Fields;
use crate::query::Query;
use crate::table;
use crate::ui::{Reply, Ui};
use crate::view;

/// Hosts on one page of the table.
const A_PAGE: usize = 100;

/// The table of hosts alone.
pub(super) async fn show(ui: Ui, query: Fields) -> Reply {
    page(&ui, &query).await
}

pub(super) async fn page(ui: &Ui, query: &Fields) -> Reply {
    let filter = Filter::of(query);
    let environments: Vec<Environment> = ui.api.list(&Query::of(route::ENVIRONMENTS)).await?;
    let hosts = fleet::all_hosts(ui, &environments).await?;
    let content = html! {
        p.crumbs { a href="/" { "Fleet" } }
        h1 { "Hosts" }
        @if ui.role() == Role::Admin { section #new-host { (host::new_form(ui, &environments, query)) } }
        section #hosts { (filter.form("/hosts", &environments)) (table(ui, "/hosts", &filter, &hosts)) }
    };
    Ok(ui.live_page("Hosts", "/live", &content))
}

/// Which hosts are shown.
#[derive(Debug, Default)]
pub(super) struct Filter {
    text: String,
    environment: String,
    /// The name of a [`Standing`], or `attention` for several; all when it is empty.
    show: String,
    page: usize,
}

impl Filter {
    pub(super) fn of(query: &Fields) -> Self {
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
        let standing = Standing::of(host);
        let is_shown = match self.show.as_str() {
            "" => true,
            "attention" => standing.asks_for_attention(),
            show => show == standing.name(),
        };
        in_environment && is_shown && self.text.split_whitespace().all(|word| has_word(host, word))
    }

    /// A link to a page of the table at this path.
    fn link(&self, path: &str, page: usize) -> String {
        let filled = |text: &'_ str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let query = Query::of(path)
            .with_some("q", filled(&self.text))
            .with_some("environment", filled(&self.environment))
            .with_some("show", filled(&self.show))
            .with("page", page);
        format!("{query}#hosts")
    }

    pub(super) fn form(&self, path: &str, environments: &[Environment]) -> Markup {
        let several = [("", "all"), ("attention", "asking for attention")];
        let single = Standing::IN_SERVICE.map(|standing| (standing.name(), standing.name()));
        let shown = several.into_iter().chain(single);
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
    kept.sort_by_key(|host| Standing::of(host));
    let pages = kept.len().div_ceil(A_PAGE).max(1);
    let page = filter.page.clamp(1, pages);
    let shown = kept.iter().skip((page - 1) * A_PAGE).take(A_PAGE);
    html! {
        p.faint { (count(kept.len(), "host")) @if pages > 1 { ", page " (page) " of " (pages) } }
        @if kept.is_empty() {
            p.empty { "No host fits. " a href=(path) { "Show all" } }
        } @else {
            (table::of(["Host", "State", "Environment", "Runs", "Labels", "Last seen"], shown.map(|host| row(ui, host))))
        }
        @if pages > 1 {
            nav.pages aria-label="Pages of hosts" {
                @if page > 1 { a href=(filter.link(path, page - 1)) rel="prev" { "← Previous" } }
                @if page < pages { a href=(filter.link(path, page + 1)) rel="next" { "Next →" } }
            }
        }
    }
}

fn row(ui: &Ui, host: &Host) -> [Markup; 6] {
    [
        html! { a href={ "/hosts/" (host.name) } { (host.name) } },
        Standing::of(host).badge(),
        html! { (host.environment) },
        html! {
            @if let Some(release) = &host.release { (view::release(release.id, Some(release))) " " }
            @if let Some(live) = &host.live { (view::closure(live)) } @else { span.faint { "unknown" } }
        },
        labels(host),
        view::ago_opt(ui.now, host.last_seen_at),
    ]
}

pub(super) fn labels(host: &Host) -> Markup {
    html! { @for (name, value) in &host.labels { span.label { (view::words(name)) "=" (view::words(value)) } " " } }
}
