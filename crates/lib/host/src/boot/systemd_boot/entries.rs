//! The entries of systemd-boot, in its order, and which of them it boots.
//!
//! It takes the first of these that names an entry: `LoaderEntryOneShot`, `LoaderEntryPreferred`, `preferred`,
//! `LoaderEntryDefault`, `default`; else the first of all entries. A preferred entry is skipped once its boot tries are used
//! up. An entry whose program is not there is no entry.

use std::cmp::Ordering;
use std::path::Path;

use super::super::next::{Pick, Picks, closure_of};
use super::super::{BootConfig, BootError, file, read};
use super::{PROFILE, variable_text};

/// What an entry starts: one of these must be there.
const PROGRAMS: [&str; 3] = ["linux", "efi", "uki"];
/// The most entries that are looked at.
const MAX_ENTRIES: usize = 1000;

/// A boot entry.
pub(super) struct Entry {
    /// The name of its file, without the counter of boot counting.
    pub(super) id: String,
    /// The kernel parameters.
    pub(super) options: String,
    sort_key: Option<String>,
    machine_id: String,
    version: String,
    /// Whether it was tried as often as it may be.
    is_bad: bool,
}

impl Entry {
    pub(super) fn is_ours(&self) -> bool {
        self.id.contains(PROFILE)
    }

    fn pick(&self) -> Pick {
        Pick {
            entry: self.id.clone(),
            closure: closure_of(&self.options),
        }
    }

    /// The order of the menu, as the Boot Loader Specification has it.
    fn compare(&self, other: &Self) -> Ordering {
        let bad = self.is_bad.cmp(&other.is_bad);
        let keyed = self.sort_key.is_none().cmp(&other.sort_key.is_none());
        let order = bad.then(keyed);
        let order = match (&self.sort_key, &other.sort_key) {
            (Some(key), Some(others)) => order
                .then_with(|| key.cmp(others))
                .then_with(|| self.machine_id.cmp(&other.machine_id))
                .then_with(|| compare_versions(&other.version, &self.version)),
            _ => order,
        };
        order.then_with(|| compare_versions(&other.id, &self.id))
    }
}

/// Those below a folder that is mounted as the firmware's partition, or beside it. What systemd-boot passes over is left out.
pub(super) fn entries(dir: &Path) -> Result<Vec<Entry>, BootError> {
    let folder = dir.join("loader/entries");
    let found = std::fs::read_dir(&folder).map_err(|source| file(&folder, source))?;
    let mut entries = Vec::new();
    for path in found.flatten().take(MAX_ENTRIES).map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(stem) = name.and_then(|name| name.strip_suffix(".conf")) else {
            continue;
        };
        // It may have gone meanwhile.
        let Ok(text) = read(&path) else { continue };
        let last = |key: &str| values(&text, key).last().map(str::to_owned);
        let program = PROGRAMS.iter().find_map(|key| last(key));
        let starts = |program: String| dir.join(program.trim_start_matches('/')).is_file();
        if !program.is_some_and(starts) {
            continue;
        }
        let (stem, is_bad) = without_tries(stem);
        entries.push(Entry {
            id: format!("{stem}.conf"),
            options: values(&text, "options").collect::<Vec<_>>().join(" "),
            sort_key: last("sort-key"),
            machine_id: last("machine-id").unwrap_or_default(),
            version: last("version").unwrap_or_default(),
            is_bad,
        });
    }
    Ok(entries)
}

/// What it boots.
pub(in super::super) fn picks(boot: &BootConfig) -> Result<Picks, BootError> {
    let mut all = entries(&boot.dir)?;
    if boot.esp != boot.dir {
        all.extend(entries(&boot.esp).unwrap_or_default());
    }
    all.sort_by(Entry::compare);
    let conf = boot.esp.join("loader/loader.conf");
    let conf = if conf.exists() {
        read(&conf)?
    } else {
        String::new()
    };
    let images = images(boot);
    let saved = variable_text(boot, "LoaderEntryLastBooted")?;
    let find = |pattern: Option<String>, even_bad: bool| {
        let pattern = pattern.filter(|pattern| !pattern.is_empty())?;
        let pattern = if pattern == "@saved" {
            saved.clone()?
        } else {
            pattern
        };
        let mut tried = all.iter().filter(|entry| even_bad || !entry.is_bad);
        let found = tried.find(|entry| matches(&pattern, &entry.id));
        let image = || images.iter().find(|id| matches(&pattern, id)).cloned();
        // What the boot loader finds by itself, such as `auto-windows`, has no file here.
        let auto = || pattern.starts_with("auto-").then(|| pattern.clone());
        let other = || image().or_else(auto).map(|entry| Pick { entry, closure: None });
        found.map(Entry::pick).or_else(other)
    };
    let set = |key: &str| values(&conf, key).last().map(str::to_owned);
    let default = find(variable_text(boot, "LoaderEntryPreferred")?, false)
        .or_else(|| find(set("preferred"), false))
        .or(find(variable_text(boot, "LoaderEntryDefault")?, true))
        .or_else(|| find(set("default"), true))
        .or_else(|| all.first().map(Entry::pick));
    Ok(Picks {
        default,
        once: find(variable_text(boot, "LoaderEntryOneShot")?, true),
        known: all
            .iter()
            .filter_map(|entry| closure_of(&entry.options))
            .collect(),
    })
}

/// The names of unified kernel images, which are entries of their own.
fn images(boot: &BootConfig) -> Vec<String> {
    let folders = [&boot.dir, &boot.esp].map(|dir| dir.join("EFI/Linux"));
    let files = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok());
    let names = files.flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| name.to_lowercase().ends_with(".efi"))
        .collect();
    names.sort_by(|one, other| compare_versions(other, one));
    names.dedup();
    names
}

/// The values of a key, in a file of lines that begin with a key.
fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let rest = line.trim_start().strip_prefix(key)?;
        rest.starts_with([' ', '\t']).then(|| rest.trim())
    })
}

/// Without the counter of boot counting, such as `+3` or `+2-1`, which is not part of an entry's id; and whether no try is
/// left.
fn without_tries(stem: &str) -> (&str, bool) {
    let is_count = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match stem.rsplit_once('+') {
        Some((id, tries)) if tries.split('-').count() <= 2 && tries.split('-').all(is_count) => {
            let left = tries.split('-').next().unwrap_or_default();
            (id, left.bytes().all(|byte| byte == b'0'))
        }
        _ => (stem, false),
    }
}

/// Whether a name fits a pattern with `*`, `?` and `[…]`. The file system of entries knows no capital letters.
fn matches(pattern: &str, name: &str) -> bool {
    let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<char>>();
    fits(&lower(pattern), &lower(name))
}

/// With one place to go back to, the last `*`, so that no pattern takes long.
fn fits(mut pattern: &[char], mut name: &[char]) -> bool {
    let mut back: Option<(&[char], &[char])> = None;
    loop {
        if let ['*', rest @ ..] = pattern {
            pattern = rest;
            back = Some((rest, name));
        } else if let Some((rest, left)) = name
            .split_first()
            .and_then(|(c, left)| Some((taken(pattern, *c)?, left)))
        {
            (pattern, name) = (rest, left);
        } else if pattern.is_empty() && name.is_empty() {
            return true;
        } else if let Some((rest, [_, left @ ..])) = back {
            back = Some((rest, left));
            (pattern, name) = (rest, left);
        } else {
            return false;
        }
    }
}

/// The rest of a pattern whose beginning fits this character.
fn taken(pattern: &[char], c: char) -> Option<&[char]> {
    match pattern {
        ['?', rest @ ..] => Some(rest),
        ['[', rest @ ..] if rest.iter().skip(1).any(|end| *end == ']') => {
            let end = rest.iter().skip(1).position(|end| *end == ']')? + 1;
            is_in(&rest[..end], c).then_some(&rest[end + 1..])
        }
        [own, rest @ ..] if *own == c => Some(rest),
        _ => None,
    }
}

/// Whether a set such as `a-z_` has this character.
fn is_in(set: &[char], c: char) -> bool {
    match set {
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&c) || is_in(rest, c),
        [one, rest @ ..] => *one == c || is_in(rest, c),
        [] => false,
    }
}

/// Versions, as the UAPI group's specification compares them: numbers by value, a pre-release (`~`) before its release.
fn compare_versions(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"~-^.".contains(&byte);
    loop {
        a = skip(a, |byte| !is_part(byte));
        b = skip(b, |byte| !is_part(byte));
        // Each separator sorts before everything that comes after it in this list, and before more text.
        for separator in [b'~', b'\0', b'-', b'^', b'.'] {
            let of = |text: &[u8]| match separator {
                b'\0' => text.is_empty(),
                separator => text.first() == Some(&separator),
            };
            match (of(a), of(b)) {
                (true, true) if separator == b'\0' => return Ordering::Equal,
                (true, true) => {
                    (a, b) = (&a[1..], &b[1..]);
                }
                (true, false) => return Ordering::Less,
                (false, true) => return Ordering::Greater,
                (false, false) => {}
            }
        }
        let numbers = |byte: u8| byte.is_ascii_digit();
        let letters = |byte: u8| byte.is_ascii_alphabetic();
        let starts = |text: &[u8]| text.first().is_some_and(|byte| numbers(*byte));
        let order = if starts(a) || starts(b) {
            let (left, right) = (take(&mut a, numbers), take(&mut b, numbers));
            let (left, right) = (skip(left, |byte| byte == b'0'), skip(right, |byte| byte == b'0'));
            left.len().cmp(&right.len()).then_with(|| left.cmp(right))
        } else {
            take(&mut a, letters).cmp(take(&mut b, letters))
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn skip(text: &[u8], what: impl Fn(u8) -> bool) -> &[u8] {
    let end = text.iter().position(|byte| !what(*byte)).unwrap_or(text.len());
    &text[end..]
}

fn take<'a>(text: &mut &'a [u8], what: impl Fn(u8) -> bool) -> &'a [u8] {
    let end = text.iter().position(|byte| !what(*byte)).unwrap_or(text.len());
    let (taken, rest) = text.split_at(end);
    *text = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_of_tries_is_no_part_of_an_entrys_id() {
        for (stem, id, is_bad) in [
            (
                "nixos-slipway-next-generation-1",
                "nixos-slipway-next-generation-1",
                false,
            ),
            (
                "nixos-slipway-next-generation-1+3",
                "nixos-slipway-next-generation-1",
                false,
            ),
            (
                "nixos-slipway-next-generation-1+2-1",
                "nixos-slipway-next-generation-1",
                false,
            ),
            (
                "nixos-slipway-next-generation-1+0-3",
                "nixos-slipway-next-generation-1",
                true,
            ),
            ("a+b", "a+b", false),
            ("a+1-2-3", "a+1-2-3", false),
            ("a+", "a+", false),
        ] {
            assert_eq!(without_tries(stem), (id, is_bad));
        }
    }

    /// A partition with a program `k.efi`, and a file of an entry.
    fn partition(name: &str, text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("loader/entries")).unwrap();
        std::fs::write(dir.path().join("k.efi"), "").unwrap();
        std::fs::write(dir.path().join("loader/entries").join(name), text).unwrap();
        dir
    }

    fn ids(dir: &Path) -> Vec<String> {
        let mut ids: Vec<String> = entries(dir).unwrap().into_iter().map(|entry| entry.id).collect();
        ids.sort();
        ids
    }

    #[test]
    fn the_last_system_of_an_entry_is_started() {
        let init = |name: &str| format!("init=/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-{name}/init");
        let text = format!("linux /k.efi\noptions {}\noptions {}\n", init("old"), init("new"));
        let dir = partition("a.conf", &text);
        let entry = entries(dir.path()).unwrap().pop().unwrap();
        let closure = closure_of(&entry.options).unwrap();
        assert!(closure.base_name().ends_with("-new"), "{closure}");
    }

    #[test]
    fn an_entry_whose_program_is_not_there_is_none() {
        let dir = partition("a.conf", "linux /k.efi\n");
        for (name, text) in [("b.conf", "linux /gone.efi\n"), ("c.conf", "title nothing\n")] {
            std::fs::write(dir.path().join("loader/entries").join(name), text).unwrap();
        }
        assert_eq!(ids(dir.path()), ["a.conf"]);
    }

    /// Another system of the machine writes there too. The agent must neither wait nor fill memory, nor see nothing at all.
    #[test]
    fn what_is_no_file_of_an_entry_keeps_no_other_from_being_read() {
        let dir = partition("a.conf", "linux /k.efi\n");
        let folder = dir.path().join("loader/entries");
        std::fs::create_dir(folder.join("b.conf")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.join("c.conf")).unwrap();
        std::os::unix::fs::symlink("/nowhere", folder.join("d.conf")).unwrap();
        let pipe = folder.join("e.conf");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        std::fs::File::create(folder.join("f.conf"))
            .unwrap()
            .set_len(4 << 30)
            .unwrap();
        assert_eq!(ids(dir.path()), ["a.conf"]);
    }

    #[test]
    fn patterns_fit_as_those_of_shells() {
        for (pattern, name, fit) in [
            ("nixos-generation-1.conf", "nixos-generation-1.conf", true),
            ("NixOS-*.conf", "nixos-generation-12.conf", true),
            ("nixos-generation-?.conf", "nixos-generation-12.conf", false),
            ("nixos-generation-[0-9]?.conf", "nixos-generation-12.conf", true),
            ("nixos-generation-[a1].conf", "nixos-generation-1.conf", true),
            ("nixos-[.conf", "nixos-[.conf", true),
            ("*", "", true),
            ("", "x", false),
            ("*a*b?", "xaxxbx", true),
            ("*a*b?", "xaxxb", false),
            // It would take years if each star were tried at each place.
            (&"*a".repeat(30), &"a".repeat(200), true),
            (&format!("{}!", "*a".repeat(30)), &"a".repeat(200), false),
        ] {
            assert_eq!(matches(pattern, name), fit, "{pattern} and {name}");
        }
    }

    #[test]
    fn versions_go_by_their_numbers() {
        for (less, more) in [
            ("Generation 9 x", "Generation 10 x"),
            ("nixos-generation-2.conf", "nixos-generation-10.conf"),
            ("1~rc1", "1"),
            ("1", "1.1"),
            ("1-1", "1.1"),
            ("1.1a", "1.1b"),
            ("", "1"),
        ] {
            assert_eq!(compare_versions(less, more), Ordering::Less, "{less} {more}");
            assert_eq!(compare_versions(more, less), Ordering::Greater, "{less} {more}");
            assert_eq!(compare_versions(more, more), Ordering::Equal);
        }
        assert_eq!(compare_versions("007", "7"), Ordering::Equal);
    }
}
