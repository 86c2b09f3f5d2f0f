//! Hosts as a table, with its filter.

use http::StatusCode;
use maud::{Markup, html};
use slipway_domain::{Role, Standing};
use slipway_text::number::count;
use slipway_wire::fleet::{Environment, Host};
use slipway_wire::route;
use slipway_wire::standing::FleetHosts;

use super::{host, standing};
use crate::api::Answer;
use crate::form::Fields;
use crate::query::Query;
use crate::table;
use crate::ui::{Reply, Ui};
use crate::view;

/// Hosts on one page of the table.
const A_PAGE: u32 = 100;
/// The last page that an address may ask for.
const MOST_PAGES: u32 = 10_000;

/// The table of hosts alone.
pub(super) async fn show(ui: Ui, query: Fields) -> Reply {
    page(&ui, &query).await
}

pub(super) async fn page(ui: &Ui, query: &Fields) -> Reply {
    let filter = Filter::of(query);
    let environments: Vec<Environment> = ui.api.list(&Query::of(route::ENVIRONMENTS)).await?;
    let hosts = filter.hosts(ui, &environments).await?;
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
    page: u32,
}

impl Filter {
    pub(super) fn of(query: &Fields) -> Self {
        Self {
            text: view::words(query.text("q")).chars().take(200).collect(),
            environment: query.text("environment").to_owned(),
            show: query.text("show").to_owned(),
            page: query.text("page").parse().unwrap_or(1).clamp(1, MOST_PAGES),
        }
    }

    /// The hosts of the page, the worst first.
    pub(super) async fn hosts(&self, ui: &Ui, environments: &[Environment]) -> Answer<Shown> {
        let page = self.read(ui, environments, self.page.max(1)).await?;
        // The page is beyond the last one: hosts changed, or somebody wrote the address.
        if page.hosts.items.is_empty() && self.page > 1 {
            return self.read(ui, environments, 1).await;
        }
        Ok(page)
    }

    async fn read(&self, ui: &Ui, environments: &[Environment], page: u32) -> Answer<Shown> {
        let nobody = FleetHosts {
            total: 0,
            items: Vec::new(),
        };
        let is_attention = self.show == "attention";
        let standing = Some(self.show.replace(' ', "_")).filter(|show| !show.is_empty() && !is_attention);
        let standing: Option<Standing> = match standing.map(|show| show.parse()).transpose() {
            Ok(standing) => standing,
            Err(_) => return Ok(Shown { page, hosts: nobody }),
        };
        let is_known = |name: &str| {
            environments
                .iter()
                .any(|environment| environment.name.as_str() == name)
        };
        let environment = filled(&self.environment);
        if environment.as_deref().is_some_and(|name| !is_known(name)) {
            return Ok(Shown { page, hosts: nobody });
        }
        let query = Query::of(route::FLEET_HOSTS)
            .with_some("text", filled(&self.text))
            .with_some("environment", environment)
            .with_some("standing", standing)
            .with_some("attention", is_attention.then_some(true))
            .with("skip", (page - 1) * A_PAGE)
            .with("limit", A_PAGE);
        match ui.api.get(&query).await {
            // The token may see some hosts of the environment alone.
            Err(refused) if refused.status == StatusCode::FORBIDDEN => Ok(Shown { page, hosts: nobody }),
            hosts => Ok(Shown { page, hosts: hosts? }),
        }
    }

    /// A link to a page of the table at this path.
    fn link(&self, path: &str, page: u32) -> String {
        let query = Query::of(path)
            .with_some("q", filled(&self.text))
            .with_some("environment", filled(&self.environment))
            .with_some("show", filled(&self.show))
            .with("page", page);
        format!("{query}#hosts")
    }

    pub(super) fn form(&self, path: &str, environments: &[Environment]) -> Markup {
        let several =
            [("", "all"), ("attention", "asking for attention")].map(|(show, name)| (show, name.to_owned()));
        let single = Standing::ALL
            .iter()
            .map(|standing| (standing.as_str(), standing::name(*standing)));
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
                    @for (value, name) in shown { option value=(value) selected[self.show.replace(' ', "_") == value] { (name) } }
                } }
                button { "Filter" }
            }
        }
    }
}

fn filled(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.trim().is_empty())
}

/// Hosts of one page of the table.
pub(super) struct Shown {
    page: u32,
    hosts: FleetHosts,
}

/// A page of the hosts that the filter keeps; those that ask for attention come first.
pub(super) fn table(ui: &Ui, path: &str, filter: &Filter, shown: &Shown) -> Markup {
    let Shown { page, hosts } = shown;
    let page = *page;
    let pages = hosts.total.div_ceil(A_PAGE).max(1);
    html! {
        p.faint { (count(hosts.total as usize, "host")) @if pages > 1 { ", page " (page) " of " (pages) } }
        @if hosts.items.is_empty() {
            p.empty { "No host fits. " a href=(path) { "Show all" } }
        } @else {
            (table::of(["Host", "State", "Environment", "Runs", "Labels", "Last seen"], hosts.items.iter().map(|host| row(ui, host))))
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
        standing::of(host),
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
