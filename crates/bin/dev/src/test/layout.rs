//! The layout that pages show: the graph of the crates, drawn from their manifests, and a table with a row for each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::test::arrows::Metadata;
use crate::test::sources;

/// The page with the graph.
pub const PAGE: &str = "docs/architecture.md";

const BEGIN: &str =
    "<!-- Drawn from the manifests; to renew it: UPDATE_GENERATED=1 cargo test generated -->\n";
const END: &str = "<!-- The end of the graph. -->\n";

/// What is wrong with the pages of the checkout at `root`, as sentences.
pub fn violations(root: &Path, metadata: &Metadata) -> Result<Vec<String>> {
    // cargo names manifests by their whole path.
    let root = &root
        .canonicalize()
        .with_context(|| format!("cannot find {}", root.display()))?;
    let page = sources::text(&root.join(PAGE))?;
    let mut found = without_a_row(&page, root, metadata);
    if page != renewed(&page, metadata)? {
        found.push(format!(
            "{PAGE}: the graph differs from the manifests; run UPDATE_GENERATED=1 cargo test generated"
        ));
    }
    Ok(found)
}

/// Crates that the page's table does not name.
fn without_a_row(page: &str, root: &Path, metadata: &Metadata) -> Vec<String> {
    let folders = metadata.packages.iter().filter_map(|package| {
        let folder = Path::new(&package.manifest_path).parent()?;
        Some(folder.strip_prefix(root).unwrap_or(folder).display().to_string())
    });
    folders
        .filter(|folder| !page.contains(&format!("\n| `{folder}` | ")))
        .map(|folder| format!("{PAGE}: give `{folder}` a row in the table of crates"))
        .collect()
}

/// `page` with the graph of `metadata` in place of the one between the marks.
pub fn renewed(page: &str, metadata: &Metadata) -> Result<String> {
    let parts = page
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.with_context(|| {
        format!("{PAGE} has no place for the graph; write these two lines there:\n{BEGIN}{END}")
    })?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", mermaid(metadata)))
}

/// Every crate, with arrows to the crates of ours that it depends on outside of tests.
///
/// A crate that another arrow leads to has no arrow of its own, which keeps the graph readable.
fn mermaid(metadata: &Metadata) -> String {
    let uses: BTreeMap<&str, BTreeSet<&str>> = metadata
        .packages
        .iter()
        .map(|package| {
            let ours = package
                .dependencies
                .iter()
                .filter(|other| other.path.is_some() && other.kind.is_none());
            (
                short(&package.name),
                ours.map(|other| short(&other.name)).collect(),
            )
        })
        .collect();
    let mut graph = "```mermaid\nflowchart TD\n".to_owned();
    for (name, direct) in &uses {
        let mut further = BTreeSet::new();
        for other in direct {
            reach(other, &uses, &mut further);
        }
        let shown: Vec<&str> = direct.difference(&further).copied().collect();
        let arrow = if shown.is_empty() { "" } else { " --> " };
        let _ = writeln!(graph, "  {name}{arrow}{}", shown.join(" & "));
    }
    graph + "```\n"
}

fn short(name: &str) -> &str {
    name.strip_prefix("slipway-").unwrap_or("cli")
}

fn reach<'a>(from: &str, uses: &BTreeMap<&'a str, BTreeSet<&'a str>>, found: &mut BTreeSet<&'a str>) {
    for next in uses.get(from).into_iter().flatten() {
        if found.insert(next) {
            reach(next, uses, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::arrows;

    fn metadata(crates: &[(&str, &[(&str, &str)])]) -> Metadata {
        let packages: Vec<String> = crates
            .iter()
            .map(|(name, uses)| {
                let uses: Vec<String> = uses
                    .iter()
                    .map(|(name, rest)| format!(r#"{{ "name": "{name}", {rest} }}"#))
                    .collect();
                format!(
                    r#"{{ "name": "{name}", "manifest_path": "/x/crates/{name}/Cargo.toml", "dependencies": [{}] }}"#,
                    uses.join(",")
                )
            })
            .collect();
        arrows::parse(&format!(r#"{{ "packages": [{}] }}"#, packages.join(","))).unwrap()
    }

    const NORMAL: &str = r#""kind": null, "path": "/x""#;

    #[test]
    fn arrows_are_normal_dependencies_of_ours_that_no_other_arrow_leads_to() {
        let metadata = metadata(&[
            (
                "slipway",
                &[("slipway-client", NORMAL), ("slipway-domain", NORMAL)],
            ),
            (
                "slipway-client",
                &[
                    ("slipway-domain", NORMAL),
                    ("slipway-testkit", r#""kind": "dev", "path": "/x""#),
                    ("reqwest", r#""kind": null, "path": null"#),
                ],
            ),
            ("slipway-domain", &[]),
        ]);
        assert_eq!(
            mermaid(&metadata),
            "```mermaid\nflowchart TD\n  cli --> client\n  client --> domain\n  domain\n```\n"
        );
        let page = renewed(&format!("# A\n{BEGIN}old\n{END}b\n"), &metadata).unwrap();
        assert_eq!(page, format!("# A\n{BEGIN}{}{END}b\n", mermaid(&metadata)));
        assert_eq!(renewed(&page, &metadata).unwrap(), page);
    }

    #[test]
    fn a_crate_without_a_row_is_told() {
        let metadata = metadata(&[("slipway-a", &[]), ("slipway-b", &[])]);
        let page = "# Architecture\n\nOur `crates/slipway-a`.\n\n| `crates/slipway-b` | what |\n";
        assert_eq!(
            without_a_row(page, Path::new("/x"), &metadata),
            ["docs/architecture.md: give `crates/slipway-a` a row in the table of crates"]
        );
    }

    #[test]
    fn a_page_without_a_place_for_the_graph_is_told() {
        let error = renewed("# A\n", &metadata(&[])).unwrap_err().to_string();
        assert!(
            error.contains("docs/architecture.md has no place for the graph"),
            "{error}"
        );
    }
}
