//! Whether a restored database is what its dump says, where several roles own parts of it.
//!
//! While a dump is restored, one role runs the code of all its owners. So the code of one owner could change what belongs to
//! another, such as a function that runs with that one's rights. Before anybody gets anything, the dump is compared with a
//! new one of what was restored.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use sqlx::postgres::PgConnection;

use super::draft::ROLE;
use crate::config::Config;
use crate::database::{DatabaseLogin, query_failed};
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

/// Fails if the dump's code has changed what belongs to another owner, or may have made something for `owner`, who gets what
/// is new. With `owner` alone there is nothing to tell apart.
pub(crate) async fn check(
    config: &Config,
    superuser: &DatabaseLogin,
    session: &mut PgConnection,
    folder: &Path,
    entries: &Entries,
    owner: &str,
    limit: Duration,
) -> Result<()> {
    let owners: BTreeSet<&str> = entries.owned().map(|entry| entry.owner.as_str()).collect();
    if owners.iter().all(|one| *one == owner) {
        return Ok(());
    }
    let superusers: Vec<String> = sqlx::query_scalar("SELECT rolname FROM pg_roles WHERE rolsuper")
        .fetch_all(&mut *session)
        .await
        .map_err(query_failed("list the superusers"))?;
    // Superusers have no use for the rights of others.
    let is_suspect = |one: &&str| *one != owner && !superusers.iter().any(|name| name == one);
    let own = (!owners.iter().any(is_suspect)).then_some(owner);
    // What an extension brings along is in no dump, and all of them are the superuser's.
    let made: Vec<String> = sqlx::query_scalar(
        "SELECT format('EXTENSION %s was made by the dump''s code', extname)
         FROM pg_extension JOIN pg_roles r ON r.oid = extowner WHERE rolname = $1",
    )
    .bind(ROLE)
    .fetch_all(session)
    .await
    .map_err(query_failed("list the extensions"))?;
    let file = folder.join("restored.dump");
    Program::new(config.database.bin_dir.join("pg_dump"), limit)
        .args(["--format=custom", "--schema-only", "--no-password"])
        .path_arg("--file=", &file)
        .envs(&superuser.environment)
        .run()
        .await
        .map_err(|failure| failure.during("cannot compare what was restored"))?;
    let recorded = entries.schemas.iter().chain(&entries.before).chain(&entries.rest);
    let mut differences = differences(recorded, &toc::read(&file)?, own);
    differences.extend(made);
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

/// What is there too much or too little, and what has another text. The text may differ of what belongs to `own`, whose code
/// alone has run beside that of superusers. The server writes some expressions another way once it has read them.
fn differences<'a>(
    recorded: impl Iterator<Item = &'a Entry>,
    found: &[Entry],
    own: Option<&str>,
) -> Vec<String> {
    let (recorded, mut found) = (sorted(recorded), sorted(found.iter()));
    let mut sentences = Vec::new();
    for ((kind, schema, name), entries) in &recorded {
        let others = found.remove(&(*kind, *schema, *name)).unwrap_or_default();
        let is_other = entries.len() != others.len()
            || entries.iter().zip(&others).any(|(one, other)| {
                own != Some(one.owner.as_str()) && settled(&one.definition) != settled(&other.definition)
            });
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

/// A definition as the server writes it once it has read it: `IN` of a list of `varchar` is written in two ways.
fn settled(definition: &str) -> String {
    const BEGIN: &str = "(ARRAY[";
    const END: &str = "])::text[]";
    const CAST: &str = "'::character varying";
    let mut text = String::with_capacity(definition.len());
    let mut rest = definition;
    while let Some((before, list)) = rest.split_once(BEGIN) {
        text.push_str(before);
        let values: Option<(Vec<&str>, &str)> = list.split_once(END).and_then(|(list, after)| {
            let values: Vec<&str> = list.split(", ").collect();
            let is_value = |value: &&str| {
                value
                    .strip_prefix('\'')
                    .and_then(|value| value.strip_suffix(CAST))
                    .is_some_and(|value| !value.contains('\''))
            };
            values.iter().all(is_value).then_some((values, after))
        });
        rest = if let Some((values, after)) = values {
            let values: Vec<String> = values.iter().map(|value| format!("({value})::text")).collect();
            let _ = write!(text, "ARRAY[{}]", values.join(", "));
            after
        } else {
            text.push_str(BEGIN);
            list
        };
    }
    text + rest
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
            differences(recorded.iter(), &found, Some("app")),
            [
                "FUNCTION public gone() is not as it was",
                "FUNCTION public other() is not as it was",
                "FUNCTION public new() was not there"
            ]
        );
        assert!(differences(recorded.iter(), &recorded, None).is_empty());
        assert_eq!(differences(recorded.iter(), &found, None).len(), 4);
    }

    #[test]
    fn a_list_that_the_server_writes_in_two_ways_is_the_same() {
        let first =
            "CHECK (((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))";
        let read = "CHECK (((s)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])))";
        assert_eq!(settled(first), read);
        assert_eq!(settled(read), read);
        for other in [
            "(ARRAY[evil()])::text[]",
            "(ARRAY['a'::character varying, evil(''::character varying)])::text[]",
            "(ARRAY[",
            "",
        ] {
            assert_eq!(settled(other), other);
        }
    }
}
