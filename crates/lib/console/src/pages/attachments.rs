//! What is attached to a release: its components, its known vulnerabilities, and the documents themselves.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use maud::{Markup, html};
use serde::de::DeserializeOwned;
use slipway_domain::{AttachmentKind, Severity};
use slipway_text::number::{bytes, count};
use slipway_wire::attachment::{AttachedDocument, Attachment, ReleaseComponents, ReleaseVulnerabilities};
use slipway_wire::limits::MESSAGE_CHARS;
use slipway_wire::page::Page;
use slipway_wire::release::Release;
use slipway_wire::route;

use super::release::path_of;
use crate::api::{Answer, UntilSent, escape};
use crate::form::Fields;
use crate::query::Query;
use crate::table;
use crate::ui::{Reply, Ui};
use crate::view::{self, Tone};

/// Entries on a page.
const A_PAGE: u32 = 100;
/// The last page that an address may ask for.
const MOST_PAGES: u32 = 10_000;

/// What is attached to a release, as its page shows it.
pub(super) struct Attached(Vec<Attachment>);

impl Attached {
    pub(super) async fn read(ui: &Ui, release: &Release) -> Answer<Self> {
        let of = route::fill(route::RELEASE_ATTACHMENTS, release.id);
        Ok(Self(ui.api.get::<Page<Attachment>>(&of).await?.items))
    }

    pub(super) fn show(&self, ui: &Ui, release: &Release) -> Markup {
        let of = |kind: AttachmentKind| self.0.iter().rev().find(|one| one.kind == kind);
        let path = path_of(release);
        html! {
            dl.facts {
                dt { "Components" } dd { @match of(AttachmentKind::Sbom) {
                    Some(one) => { a href={ (path) "/components" } { (count(one.entries as usize, "component")) } " " (about(ui, one)) }
                    None => { span.faint { "No bill of materials is attached." } }
                } }
                dt { "Vulnerabilities" } dd { @match of(AttachmentKind::Vulnerabilities) {
                    Some(one) => { a href={ (path) "/vulnerabilities" } { (known(one.entries.saturating_sub(one.dismissed))) } " " (badges(one)) (about(ui, one)) }
                    None => { span.faint { "No report is attached." } }
                } }
            }
            @if !self.0.is_empty() {
                details { summary { "All documents" }
                    (table::of(["Document", "Format", "Size", "Attached", "Digest"], self.0.iter().rev().map(|one| row(ui, &path, one))))
                }
            }
        }
    }
}

fn known(entries: u32) -> String {
    match entries {
        0 => "none known".to_owned(),
        1 => "1 known vulnerability".to_owned(),
        some => format!("{some} known vulnerabilities"),
    }
}

fn about(ui: &Ui, one: &Attachment) -> Markup {
    html! { span.faint { (view::words(&one.format)) ", attached " (view::ago(ui.now, one.at)) " by " (one.by) } }
}

fn row(ui: &Ui, path: &str, one: &Attachment) -> [Markup; 5] {
    let to = Query::of(format!("{path}/documents/{}", one.kind)).with("version", one.version);
    [
        html! { a href=(to) download { (one.kind.words()) " " (one.version) } },
        html! { (view::words(&one.format)) },
        html! { (bytes(u64::from(one.bytes))) },
        html! { (view::ago(ui.now, one.at)) " by " (one.by) },
        html! { code title=(one.digest) { (one.digest.short()) } },
    ]
}

const fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Critical | Severity::High => Tone::Bad,
        Severity::Medium => Tone::Warn,
        Severity::Low | Severity::Unknown => Tone::Idle,
    }
}

/// How many vulnerabilities are how bad.
fn badges(report: &Attachment) -> Markup {
    html! {
        @for one in report.severities.iter().filter(|one| one.vulnerabilities > 0) {
            (view::badge(tone(one.severity), &format!("{} {}", one.vulnerabilities, one.severity))) " "
        }
        @if report.dismissed > 0 { (view::badge(Tone::Idle, &format!("{} dismissed", report.dismissed))) " " }
    }
}

/// What a page of entries was asked for.
struct Asked {
    text: String,
    page: u32,
}

impl Asked {
    fn of(query: &Fields) -> Self {
        Self {
            text: view::words(query.text("q")).chars().take(MESSAGE_CHARS).collect(),
            page: query.text("page").parse().unwrap_or(1).clamp(1, MOST_PAGES),
        }
    }

    fn query(&self, route: &str, id: impl std::fmt::Display) -> Query {
        let text = Some(&self.text).filter(|text| !text.trim().is_empty());
        Query::of(route::fill(route, id))
            .with_some("text", text)
            .with("skip", (self.page - 1) * A_PAGE)
            .with("limit", A_PAGE)
    }

    /// The search, the table, and the ways to other pages.
    fn frame(&self, path: &str, total: u32, table: &Markup) -> Markup {
        let pages = total.div_ceil(A_PAGE).max(1);
        let link = |page: u32| Query::of(path).with("q", &self.text).with("page", page);
        html! {
            form.filter method="get" action=(path) role="search" {
                label { "Words" input type="search" name="q" value=(self.text) placeholder="openssl 3.0"; }
                button { "Search" }
            }
            p.faint { (total) " found" @if pages > 1 { ", page " (self.page) " of " (pages) } }
            @if total == 0 { p.empty { "Nothing fits." } } @else { (table) }
            @if pages > 1 { nav.pages aria-label="Pages of the list" {
                @if self.page > 1 { a href=(link(self.page - 1)) rel="prev" { "← Previous" } }
                @if self.page < pages { a href=(link(self.page + 1)) rel="next" { "Next →" } }
            } }
        }
    }
}

/// What a document names, as a page lists it.
pub(super) trait Entries: DeserializeOwned {
    /// The route of the API.
    const ROUTE: &str;
    /// The last part of the page's path.
    const PATH: &str;
    /// Its name in the browser.
    const TITLE: &str;
    /// What stands above it.
    const HEADING: &str;

    /// The document, and how many of its entries were found.
    fn found(&self) -> (&Attachment, u32);
    /// Those of the page.
    fn table(&self) -> Markup;
}

impl Entries for ReleaseComponents {
    const ROUTE: &str = route::RELEASE_COMPONENTS;
    const PATH: &str = "components";
    const TITLE: &str = "Components";
    const HEADING: &str = "Components";

    fn found(&self) -> (&Attachment, u32) {
        (&self.attachment, self.total)
    }

    fn table(&self) -> Markup {
        let rows = self.items.iter().map(|one| {
            [
                html! { (view::words(&one.name)) },
                text(one.version.as_ref()),
                text(one.purl.as_ref()),
            ]
        });
        table::of(["Component", "Version", "Package URL"], rows)
    }
}

impl Entries for ReleaseVulnerabilities {
    const ROUTE: &str = route::RELEASE_VULNERABILITIES;
    const PATH: &str = "vulnerabilities";
    const TITLE: &str = "Vulnerabilities";
    const HEADING: &str = "Known vulnerabilities";

    fn found(&self) -> (&Attachment, u32) {
        (&self.attachment, self.total)
    }

    fn table(&self) -> Markup {
        let rows = self.items.iter().map(|one| {
            let tone = if one.dismissed {
                Tone::Idle
            } else {
                tone(one.severity)
            };
            [
                html! { code { (view::words(&one.id)) } },
                view::badge(tone, one.severity.as_str()),
                text(one.component.as_ref()),
                text(one.fixed_in.as_ref()),
                text(one.state.as_ref()),
            ]
        });
        table::of(["Id", "Severity", "In", "Fixed in", "Status"], rows)
    }
}

fn text(value: Option<&String>) -> Markup {
    html! { @if let Some(value) = value { (view::words(value)) } }
}

/// The components or the known vulnerabilities of a release, with a search.
pub(super) async fn page_of<T: Entries>(ui: Ui, Path(id): Path<String>, query: Fields) -> Reply {
    let release: Release = ui.api.get(&route::fill(route::RELEASE, escape(&id))).await?;
    let asked = Asked::of(&query);
    let found: T = ui.api.get(&asked.query(T::ROUTE, release.id)).await?;
    let (document, total) = found.found();
    let path = format!("{}/{}", path_of(&release), T::PATH);
    let content = html! {
        (crumbs(&release))
        h1 { (T::HEADING) " of " (view::words(&release.label().to_string())) }
        p { (badges(document)) (about(&ui, document)) }
        section #entries { (asked.frame(&path, total, &found.table())) }
    };
    Ok(ui.page(T::TITLE, &content))
}

fn crumbs(release: &Release) -> Markup {
    html! { p.crumbs { a href="/releases" { "Releases" } " / " a href=(path_of(release)) { (view::words(&release.label().to_string())) } } }
}

/// A document as it was attached, to be saved and not shown.
pub(super) async fn document(
    ui: Ui,
    Path((id, kind)): Path<(String, String)>,
    query: Fields,
) -> Result<Response, crate::ui::Instead> {
    let of = Query::of(route::fill(route::RELEASE_DOCUMENT, escape(&id)))
        .with("kind", &kind)
        .with_some("version", query.filled("version"));
    let (found, kept): (AttachedDocument, Option<UntilSent>) = ui.api.get_long(&of).await?;
    let name = format!(
        "attachment; filename=\"{}-{}.json\"",
        found.attachment.kind, found.attachment.version
    );
    let document = match kept {
        Some(kept) => kept.keep(found.document),
        None => found.document.into(),
    };
    let mut response = document.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
