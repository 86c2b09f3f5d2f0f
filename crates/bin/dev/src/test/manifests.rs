//! Every crate takes its lints and all its dependencies from the workspace, so that each version stands once.

/// What is wrong with one crate's manifest, as sentences that name `path`.
#[must_use]
pub fn violations(path: &str, manifest: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut section = "";
    let mut lints = false;
    for (number, line) in (1..).zip(manifest.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            if dependency_section(section).is_some_and(|rest| !rest.is_empty()) {
                found.push(format!(
                    "{path}:{number}: write [{section}] as `name = {{ workspace = true, … }}`"
                ));
            }
            continue;
        }
        let plain: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        if section == "lints" && plain == "workspace=true" {
            lints = true;
        }
        if dependency_section(section) == Some("") && !inherits(&plain) {
            let name = plain.split(['.', '=']).next().unwrap_or_default();
            found.push(format!(
                "{path}:{number}: {name} must come from the workspace: `{name}.workspace = true` here, its version \
                 in the root Cargo.toml"
            ));
        }
    }
    if !lints {
        found.push(format!(
            "{path}: the section [lints] with `workspace = true` is missing"
        ));
    }
    found
}

/// What follows the name of a section of dependencies: empty for the plain form, `.name` for a table of one.
fn dependency_section(section: &str) -> Option<&str> {
    let start = ["dependencies", "dev-dependencies", "build-dependencies"];
    let section = section.rsplit_once("'.").map_or(section, |(_, rest)| rest);
    start.iter().find_map(|name| section.strip_prefix(name))
}

fn inherits(line: &str) -> bool {
    line.ends_with(".workspace=true") || (line.contains("={") && line.contains("workspace=true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"x\"\n[lints]\nworkspace = true\n[dependencies]\n\
                        # why\nserde.workspace = true\ntokio = { workspace = true, features = [\"fs\"] }\n";

    #[test]
    fn a_manifest_that_inherits_everything_is_accepted() {
        assert_eq!(violations("x/Cargo.toml", GOOD), [""; 0]);
    }

    #[test]
    fn a_version_of_its_own_is_found_with_its_line() {
        let bad = format!("{GOOD}hex = \"0.4\"\n");
        let found = violations("x/Cargo.toml", &bad);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("x/Cargo.toml:9: hex must come from the workspace"),
            "{found:?}"
        );
    }

    #[test]
    fn tables_targets_and_missing_lints_are_found() {
        assert_eq!(
            violations("x", &format!("{GOOD}[dependencies.hex]\nversion = \"1\"\n")).len(),
            1
        );
        assert_eq!(
            violations(
                "x",
                &format!("{GOOD}[target.'cfg(unix)'.dependencies]\nhex = \"1\"\n")
            )
            .len(),
            1
        );
        assert_eq!(
            violations(
                "x",
                &format!("{GOOD}[dev-dependencies]\nhex = {{ path = \"y\" }}\n")
            )
            .len(),
            1
        );
        assert_eq!(violations("x", "[package]\nname = \"x\"\n").len(), 1);
    }
}
