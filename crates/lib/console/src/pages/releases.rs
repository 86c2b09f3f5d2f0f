//! All releases, the newest first.

use maud::{Markup, html};
use slipway_wire::page::Page;
use slipway_wire::release::{ReleaseSummary, Source};
use slipway_wire::route;

use crate::form::Fields;
use crate::query::Query;
use crate::table;
use crate::ui::{Reply, Ui};
use crate::view;

pub(super) async fn show(ui: Ui, query: Fields) -> Reply {
    let list = Query::of(route::RELEASES)
        .with("limit", 50)
        .with_some("after", query.filled("after"));
    let page: Page<ReleaseSummary> = ui.api.get(&list).await?;
    let content = html! {
        h1 { "Releases" }
        section #releases {
            @if page.items.is_empty() {
                p.empty { "No release yet. CI registers one: " code { "slipway release create" } }
            } @else {
                (table::of(["Release", "Commit", "What", "Hosts", "By", "Registered"], page.items.iter().map(|release| row(&ui, release))))
            }
            @if let Some(next) = &page.next { nav.pages { a rel="next" href=(Query::of("/releases").with("after", next)) { "Older →" } } }
        }
    };
    Ok(ui.live_page("Releases", "/live", &content))
}

fn row(ui: &Ui, release: &ReleaseSummary) -> [Markup; 6] {
    [
        view::release(release.id, Some(&release.label())),
        commit(&release.source),
        html! { @if let Some(message) = &release.message { (view::words(message)) } },
        html! { (release.host_count()) },
        html! { (release.author) },
        view::ago(ui.now, release.created_at),
    ]
}

/// The commit, with a link where the source is on a known forge.
pub(super) fn commit(source: &Source) -> Markup {
    let Some(rev) = &source.rev else {
        return html! { span.faint { "unknown" } };
    };
    match source.flake_ref.as_deref().and_then(|of| commit_url(of, rev)) {
        Some(url) => html! { a href=(url) rel="noreferrer" { (view::commit(rev)) } },
        None => view::commit(rev),
    }
}

/// The page of a commit on its forge. Only a whole commit of a plainly written repository makes a link.
fn commit_url(flake_ref: &str, rev: &str) -> Option<String> {
    let (kind, rest) = flake_ref.split_once(':')?;
    let (host, before) = match kind {
        "github" => ("github.com", "commit"),
        "gitlab" => ("gitlab.com", "-/commit"),
        "sourcehut" => ("git.sr.ht", "commit"),
        _ => return None,
    };
    let rest = rest.split(['?', '#']).next()?;
    let mut parts = rest.split('/');
    let (owner, name) = (parts.next()?, parts.next()?);
    let is_plain = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))
    };
    let is_commit = rev.len() >= 7 && rev.bytes().all(|b| b.is_ascii_hexdigit());
    (is_plain(owner) && is_plain(name) && is_commit)
        .then(|| format!("https://{host}/{owner}/{name}/{before}/{rev}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_of_a_known_forge_has_a_link() {
        let rev = "0123456789abcdef0123456789abcdef01234567";
        for (flake, url) in [
            (
                "github:acme/shop",
                Some(format!("https://github.com/acme/shop/commit/{rev}")),
            ),
            (
                "gitlab:acme/shop?dir=x",
                Some(format!("https://gitlab.com/acme/shop/-/commit/{rev}")),
            ),
            ("git+https://example.com/x", None),
            ("github:acme/\"><script>", None),
            ("github:acme", None),
        ] {
            assert_eq!(commit_url(flake, rev), url, "{flake}");
        }
        assert_eq!(commit_url("github:acme/shop", "main/../../x"), None);
    }
}
