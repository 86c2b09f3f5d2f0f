//! GRUB's menu and its file `grubenv`: which entry is the default, and which is booted once.

use std::collections::{BTreeMap, BTreeSet};

use slipway_domain::StorePath;

use crate::boot::PROFILE;
use crate::boot::next::{Pick, Picks, closure_of};

/// Menus within menus that are looked at. NixOS has one; more could only be there to exhaust whoever reads them.
const MAX_DEPTH: usize = 16;
/// The commands that say what is started, and with which parameters.
const STARTS: [&str; 7] = [
    "linux",
    "linux16",
    "linuxefi",
    "multiboot",
    "multiboot2",
    "module",
    "module2",
];

/// An entry of the menu, or a menu in it.
#[derive(Debug, Default)]
struct Item {
    title: String,
    id: Option<String>,
    /// What the kernel parameters start.
    closure: Option<StorePath>,
    /// What is in it, where it is a menu.
    items: Vec<Item>,
}

impl Item {
    /// How GRUB names it. A `>` of its own would part a menu from an entry.
    fn name(&self, within: &str) -> String {
        format!("{within}{}", self.title.replace('>', ">>"))
    }

    fn path_to(&self, closure: &StorePath, within: &str) -> Option<String> {
        let name = self.name(within);
        if self.closure.as_ref() == Some(closure) {
            return Some(name);
        }
        let within = format!("{name}>");
        self.items.iter().find_map(|item| item.path_to(closure, &within))
    }
}

/// What the menu boots by this `grubenv`.
pub(super) fn picks(menu: &str, env: &str) -> Picks {
    let env = variables(env);
    let (items, default) = parse(menu);
    let value = |name: &str| {
        env.get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    };
    let default = match default.as_deref() {
        Some("${saved_entry}" | "$saved_entry") => value("saved_entry"),
        other => other,
    };
    let mut known = BTreeSet::new();
    collect(&items, &mut known);
    Picks {
        default: find(&items, default.unwrap_or("0"), ""),
        once: value("next_entry").and_then(|entry| find(&items, entry, "")),
        known,
    }
}

/// The entry of a system in our own profile, as GRUB names it: with the menus it is in.
pub(super) fn entry_of(menu: &str, closure: &StorePath) -> Option<String> {
    let (items, _) = parse(menu);
    let mut ours = items.iter().filter(|item| item.title.contains(PROFILE));
    ours.find_map(|item| item.path_to(closure, ""))
}

/// `NAME=VALUE` lines; a backslash stands before what would end a line.
fn variables(env: &str) -> BTreeMap<String, String> {
    let lines = env.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), unescape(value)))
        .collect()
}

fn unescape(value: &str) -> String {
    let mut chars = value.chars();
    let mut text = String::new();
    while let Some(c) = chars.next() {
        text.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    text
}

/// The entries, and what the menu sets as its default when nothing is booted once.
fn parse(menu: &str) -> (Vec<Item>, Option<String>) {
    let mut open: Vec<Option<Item>> = Vec::new();
    let mut items = Vec::new();
    let mut default = None;
    for line in menu.lines().map(str::trim) {
        if let Some(value) = line.strip_prefix("set default=") {
            let value = words(value).into_iter().next().unwrap_or_default();
            if !value.contains("next_entry") && open.is_empty() {
                default = Some(value);
            }
        } else if line.ends_with('{') {
            open.push(if open.len() < MAX_DEPTH { item(line) } else { None });
        } else if line == "}" {
            let Some(closed) = open.pop().flatten() else {
                continue;
            };
            let parent = open.iter_mut().rev().find_map(Option::as_mut);
            parent.map_or(&mut items, |parent| &mut parent.items).push(closed);
        } else if let (Some(closure), Some(Some(entry))) = (started_by(line), open.last_mut()) {
            entry.closure = Some(closure);
        }
    }
    (items, default)
}

/// The system that a line of an entry starts. A line that was commented out starts none.
fn started_by(line: &str) -> Option<StorePath> {
    let command = line.split_whitespace().next()?;
    STARTS.contains(&command).then(|| closure_of(line)).flatten()
}

/// What a line opens; a function, such as NixOS' `savedefault`, is no entry.
fn item(line: &str) -> Option<Item> {
    let words = words(line);
    if !matches!(words.first().map(String::as_str), Some("menuentry" | "submenu")) {
        return None;
    }
    let id = words
        .iter()
        .position(|word| word == "--id" || word == "$menuentry_id_option");
    Some(Item {
        title: words.get(1).cloned().unwrap_or_default(),
        id: id.and_then(|at| words.get(at + 1)).cloned(),
        ..Item::default()
    })
}

/// The words of a line, without the quotes around them.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, '"' | '\'') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The entry of this number, title or id, with those of its menus before it. GRUB takes the first where there is none.
fn find(items: &[Item], spec: &str, within: &str) -> Option<Pick> {
    let (head, rest) = split(spec);
    let named = || {
        items
            .iter()
            .position(|item| item.title == head || item.id.as_ref() == Some(&head))
    };
    let at = head.parse().ok().or_else(named);
    let item = items.get(at.unwrap_or(0)).or_else(|| items.first())?;
    let entry = item.name(within);
    if item.items.is_empty() {
        let closure = item.closure.clone();
        return Some(Pick { entry, closure });
    }
    find(&item.items, rest, &format!("{entry}>"))
}

/// What comes before the first `>`, and what after it. Two of them are one character of a title.
fn split(spec: &str) -> (String, &str) {
    let mut head = String::new();
    let mut rest = spec;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c == '>' {
            let Some(after) = rest.strip_prefix('>') else {
                break;
            };
            rest = after;
        }
        head.push(c);
    }
    (head, rest)
}

fn collect(items: &[Item], known: &mut BTreeSet<StorePath>) {
    for item in items {
        known.extend(item.closure.clone());
        collect(&item.items, known);
    }
}
