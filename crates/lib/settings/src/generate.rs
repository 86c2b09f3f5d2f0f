//! The files that are made from the registry: example settings and the reference page.
//!
//! The crate's tests compare them with the committed ones and, with `UPDATE_GENERATED=1`, write them.

use std::collections::BTreeSet;

use crate::registry::{self, GROUPS, Variable, VariableGroup};

const TABLE_HEAD: &str = "| Variable | Values | Default | Read by | Meaning |\n|---|---|---|---|---|\n";
/// The reference page's text, with places for the tables and the secrets.
const REFERENCE: &str = include_str!("settings.md");
/// Where comments are broken, in columns.
const WIDTH: usize = 110;
const MADE: &str = "Made from crates/lib/settings/src/sections; to change it, change that and run\n\
                    UPDATE_GENERATED=1 cargo test generated";

/// `.env.example`: enough to start the api and the worker on a person's machine.
#[must_use]
pub fn env_example() -> String {
    let head =
        "Settings for development. Copy to .env, which git ignores; docs/settings.md explains everything.";
    env_file(head, |variable| variable.in_example.then_some(variable.example()))
}

/// `.env.production.example`: what to think about in production. As it stands it is refused, until the secrets are set.
#[must_use]
pub fn env_production_example() -> String {
    let head = "Settings for production. As they stand they are refused: the secrets are empty. Give each as NAME=…, or \
                better as NAME_FILE=/path of a file with mode 0400, or as a systemd credential named NAME.";
    env_file(head, |variable| variable.production)
}

fn env_file(head: &str, set: impl Fn(&Variable) -> Option<&'static str>) -> String {
    let mut text = String::new();
    comment(&mut text, head);
    MADE.lines().for_each(|line| comment(&mut text, line));
    for (title, groups) in titled() {
        text.extend(["\n## ", title, "\n"]);
        for variable in groups.iter().flat_map(|group| group.variables) {
            text.push('\n');
            comment(&mut text, variable.about);
            comment(&mut text, &facts(variable));
            let name = variable.name;
            let line = match set(variable) {
                Some(value) => format!("{name}={}\n", quoted(value)),
                None => format!(
                    "# {name}={}\n",
                    quoted(variable.default.unwrap_or(variable.example()))
                ),
            };
            text.push_str(&line);
        }
    }
    text
}

/// A value as these files take it.
fn quoted(value: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !"'\"\\#$`;<>".contains(c);
    if value.chars().all(is_plain) {
        value.to_owned()
    } else {
        format!("'{value}'")
    }
}

/// The groups under their headings.
fn titled() -> impl Iterator<Item = (&'static str, &'static [VariableGroup])> {
    let headings = GROUPS.chunk_by(|one, next| one.title == next.title);
    headings.map(|groups| (groups[0].title, groups))
}

/// Values, default and readers, in one line.
fn facts(variable: &Variable) -> String {
    let default = match (variable.default, variable.required) {
        (Some(default), _) => format!("default {default}"),
        (None, true) => "required".to_owned(),
        (None, false) => "unset by default".to_owned(),
    };
    let (values, readers) = (variable.kind.describe(), readers(variable));
    format!("[{values}; {default}; read by {readers}]")
}

fn readers(variable: &Variable) -> String {
    let names: Vec<&str> = variable.readers.iter().map(|process| process.as_str()).collect();
    names.join(", ")
}

fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// `docs/settings.md`: every variable, and how values are found.
#[must_use]
pub fn reference() -> String {
    let mut tables = String::new();
    for (title, groups) in titled() {
        tables.extend(["\n## ", title, "\n\n", TABLE_HEAD]);
        tables.extend(groups.iter().flat_map(|group| group.variables).map(table_row));
    }
    let secrets = registry::variables().filter(|variable| variable.secret);
    let secrets: Vec<String> = secrets.map(|variable| format!("`{}`", variable.name)).collect();
    let prefixes: BTreeSet<&str> = GROUPS.iter().filter_map(|group| group.own_prefix).collect();
    let prefixes: Vec<String> = prefixes.iter().map(|prefix| format!("`{prefix}`")).collect();
    REFERENCE
        .replace("{tables}\n", &tables)
        .replace("{secrets}", &secrets.join(", "))
        .replace("{prefixes}", &prefixes.join(", "))
}

fn table_row(variable: &Variable) -> String {
    let default = match (variable.default, variable.required) {
        (Some(default), _) => format!("`{default}`"),
        (None, true) => "required".to_owned(),
        (None, false) => "unset".to_owned(),
    };
    let secret = if variable.secret { " (secret)" } else { "" };
    let values = variable.kind.describe().replace('|', "\\|");
    let about = variable.about.trim().replace('|', "\\|");
    format!(
        "| `{}`{secret} | {values} | {default} | {} | {about} |\n",
        variable.name,
        readers(variable)
    )
}
