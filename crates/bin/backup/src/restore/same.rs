//! Whether a restored database is what its dump says, where several roles own parts of it.
//!
//! While a dump is restored, one role runs the code of all its owners. So the code of one owner could change what belongs to
//! another, such as a function that runs with that one's rights. Before anybody gets anything, the dump is compared with a
//! new one of what was restored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use crate::config::Config;
use crate::database::DatabaseLogin;
use crate::entries::Entries;
use crate::failure::{BackupFailure, Result};
use crate::program::Program;
use crate::toc::{self, Entry};

/// Kinds without code: rows, which are counted and summed, notes, and what belongs to the database as a whole.
const NO_CODE: [&str; 13] = [
    "BLOB",
    "BLOB COMMENTS",
    "BLOB METADATA",
    "BLOBS",
    "COMMENT",
    "DATABASE",
    "DATABASE PROPERTIES",
    "ENCODING",
    "MATERIALIZED VIEW DATA",
    "SECURITY LABEL",
    "SEQUENCE SET",
    "STDSTRINGS",
    "TABLE DATA",
];
/// As many differences are shown.
const SHOWN: usize = 8;

/// Fails if the dump's code has changed what does not belong to `owner`. With a single owner there is nothing to tell apart.
pub(crate) async fn check(
    config: &Config,
    superuser: &DatabaseLogin,
    folder: &Path,
    entries: &Entries,
    owner: &str,
    limit: Duration,
) -> Result<()> {
    let owners: BTreeSet<&str> = entries.owned().map(|entry| entry.owner.as_str()).collect();
    if owners.len() < 2 {
        return Ok(());
    }
    let file = folder.join("restored.dump");
    Program::new(config.database.bin_dir.join("pg_dump"), limit)
        .args(["--format=custom", "--schema-only", "--no-password"])
        .path_arg("--file=", &file)
        .envs(&superuser.environment)
        .run()
        .await
        .map_err(|failure| failure.during("cannot compare what was restored"))?;
    let recorded = entries.schemas.iter().chain(&entries.before).chain(&entries.rest);
    let differences = differences(recorded, &toc::read(&file)?, owner);
    if differences.is_empty() {
        return Ok(());
    }
    Err(
        BackupFailure::new("what was restored is not what the dump says, and it has several owners")
            .printed(differences)
            .cure(
                "look whether the dump's code has changed it while it was restored. If you trust all who own parts of \
                 the database, restore the dump by hand with pg_restore as the server's superuser, which gives the dump's code \
                 every right",
            ),
    )
}

/// Definitions by kind, schema and name. Operators with one name are several.
type Definitions<'a> = BTreeMap<(&'a str, &'a str, &'a str), Vec<&'a Entry>>;

fn sorted<'a>(entries: impl Iterator<Item = &'a Entry>) -> Definitions<'a> {
    let mut all = Definitions::new();
    for entry in entries.filter(|entry| !NO_CODE.contains(&entry.kind.as_str()) && !is_default(entry)) {
        let key = (entry.kind.as_str(), entry.schema.as_str(), entry.name.as_str());
        all.entry(key).or_default().push(entry);
    }
    for entries in all.values_mut() {
        entries.sort_by(|one, other| one.definition.cmp(&other.definition));
    }
    all
}

/// What every database has, and the rights to the database as a whole.
fn is_default(entry: &Entry) -> bool {
    match entry.kind.as_str() {
        "SCHEMA" => entry.name == "public",
        "ACL" => entry.schema.is_empty() && entry.name.starts_with("DATABASE "),
        _ => false,
    }
}

/// What is there too much or too little, and what does not belong to `owner` and has another text. Of `owner`'s own objects
/// the text may differ: the server writes some expressions another way once it has read them.
fn differences<'a>(recorded: impl Iterator<Item = &'a Entry>, found: &[Entry], owner: &str) -> Vec<String> {
    let (recorded, mut found) = (sorted(recorded), sorted(found.iter()));
    let mut sentences = Vec::new();
    for ((kind, schema, name), entries) in &recorded {
        let others = found.remove(&(*kind, *schema, *name)).unwrap_or_default();
        let is_other = entries.len() != others.len()
            || entries
                .iter()
                .zip(&others)
                .any(|(one, other)| one.owner != owner && one.definition != other.definition);
        if is_other {
            sentences.push(format!("{kind} {schema} {name} is not as it was"));
        }
    }
    sentences.extend(
        found
            .keys()
            .map(|(kind, schema, name)| format!("{kind} {schema} {name} was not there")),
    );
    let more = sentences.len().saturating_sub(SHOWN);
    sentences.truncate(SHOWN);
    if more > 0 {
        sentences.push(format!("and {more} more"));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, owner: &str, definition: &str) -> Entry {
        Entry {
            kind: "FUNCTION".to_owned(),
            schema: "public".to_owned(),
            name: name.to_owned(),
            owner: owner.to_owned(),
            definition: definition.to_owned(),
            ..Entry::default()
        }
    }

    #[test]
    fn only_the_owners_own_text_may_differ() {
        let recorded = [
            function("own()", "app", "1"),
            function("other()", "postgres", "1"),
            function("gone()", "app", "1"),
        ];
        let role = "slipway-restore";
        let found = [
            function("own()", role, "2"),
            function("other()", role, "2"),
            function("new()", role, "1"),
        ];
        assert_eq!(
            differences(recorded.iter(), &found, "app"),
            [
                "FUNCTION public gone() is not as it was",
                "FUNCTION public other() is not as it was",
                "FUNCTION public new() was not there"
            ]
        );
        assert!(differences(recorded.iter(), &recorded, "app").is_empty());
    }
}
