//! The entries of systemd-boot, in its order, and which of them it boots.
//!
//! It takes the first of these that names an entry: `LoaderEntryOneShot`, `LoaderEntryPreferred`, `preferred`,
//! `LoaderEntryDefault`, `default`; else the first of all entries. A preferred entry is skipped once its boot tries are used
//! up. An entry whose program is not there is no entry.

use std::cmp::Ordering;
use std::path::Path;

use slipway_domain::StorePath;

use super::pattern::matches;
use super::{PROFILE, variable_text, version};
use crate::boot::next::{Pick, Picks, closure_of};
use crate::boot::{BootConfig, BootError, file, read_at_most, read_if_there};

/// What an entry starts: one of these must be there.
const PROGRAMS: [&str; 3] = ["linux", "efi", "uki"];
/// The most entries that are looked at.
const MAX_ENTRIES: usize = 1000;
/// The longest file of an entry. A kernel takes parameters of at most 4 KiB, and all files are read with each report.
const MAX_ENTRY_BYTES: u64 = 16 * 1024;

/// A boot entry.
pub(super) struct Entry {
    /// The name of its file, without the counter of boot counting.
    pub(super) id: String,
    /// The system that the kernel parameters start.
    pub(super) closure: Option<StorePath>,
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
            closure: self.closure.clone(),
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
                .then_with(|| version::compare(&other.version, &self.version)),
            _ => order,
        };
        order.then_with(|| version::compare(&other.id, &self.id))
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
        let Ok(text) = read_at_most(&path, MAX_ENTRY_BYTES) else {
            continue;
        };
        let last = |key: &str| values(&text, key).last().map(str::to_owned);
        let program = PROGRAMS.iter().find_map(|key| last(key));
        let starts = |program: String| dir.join(program.trim_start_matches('/')).is_file();
        if !program.is_some_and(starts) {
            continue;
        }
        let (stem, is_bad) = without_tries(stem);
        entries.push(Entry {
            id: format!("{stem}.conf"),
            closure: closure_of(&values(&text, "options").collect::<Vec<_>>().join(" ")),
            sort_key: last("sort-key"),
            machine_id: last("machine-id").unwrap_or_default(),
            version: last("version").unwrap_or_default(),
            is_bad,
        });
    }
    Ok(entries)
}

/// What it boots.
pub(in crate::boot) fn picks(boot: &BootConfig) -> Result<Picks, BootError> {
    let mut all = entries(&boot.dir)?;
    if boot.esp != boot.dir {
        all.extend(entries(&boot.esp).unwrap_or_default());
    }
    all.sort_by(Entry::compare);
    let conf = read_if_there(&boot.esp.join("loader/loader.conf"))?;
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
        known: all.iter().filter_map(|entry| entry.closure.clone()).collect(),
    })
}

/// The names of unified kernel images, which are entries of their own.
fn images(boot: &BootConfig) -> Vec<String> {
    let folders = [&boot.dir, &boot.esp].map(|dir| dir.join("EFI/Linux"));
    let files = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok());
    let names = files.flatten().flatten().take(MAX_ENTRIES);
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| name.to_lowercase().ends_with(".efi"))
        .collect();
    names.sort_by(|one, other| version::compare(other, one));
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
        let closure = entry.closure.unwrap();
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
        let long = format!("linux /k.efi\n{}", "#".repeat(16 * 1024));
        std::fs::write(folder.join("g.conf"), long).unwrap();
        assert_eq!(ids(dir.path()), ["a.conf"]);
    }
}
