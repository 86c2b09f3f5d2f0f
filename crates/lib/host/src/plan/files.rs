//! Reading files of closures. One that is not there, or no text, is empty.
//!
//! Root reads them before anybody has approved the closure. A link in it could lead to a secret of the host, or to a pipe
//! that never ends. So nothing outside the store is opened or looked at, and what is read has a bound.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// A larger file cannot be compared.
pub(super) const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// The most that is read of both closures, with what each file costs.
pub(super) const MAX_TOTAL: u64 = 64 * 1024 * 1024;
/// What a file or an entry of a folder costs at least.
const MIN_COST: u64 = 1024;
/// As the kernel bounds it.
const MAX_LINKS: usize = 40;
/// Base-32 characters of a store path's hash.
const HASH_CHARS: usize = 32;

/// The files of a store.
pub(super) struct StoreFiles {
    store: PathBuf,
    left: Cell<u64>,
    too_large: RefCell<Option<PathBuf>>,
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To this path of the store, through no more links. Whether it is there is not known.
    Inside(PathBuf),
    /// Out of the store, by a link to this.
    Outside(PathBuf),
    /// Round in circles.
    Nowhere,
}

impl StoreFiles {
    pub(super) const fn new(store: PathBuf) -> Self {
        Self {
            store,
            left: Cell::new(MAX_TOTAL),
            too_large: RefCell::new(None),
        }
    }

    /// What could not be compared, since it is too large.
    pub(super) fn too_large(self) -> Option<PathBuf> {
        self.too_large.into_inner()
    }

    /// The text of a file.
    pub(super) fn text(&self, path: &Path) -> Option<String> {
        let path = self.inside(path)?;
        let length = fs::symlink_metadata(&path)
            .ok()
            .filter(fs::Metadata::is_file)?
            .len();
        if !self.pay(&path, length.max(MIN_COST)) || length > MAX_BYTES {
            self.too_large.borrow_mut().get_or_insert(path);
            return None;
        }
        let mut bytes = Vec::new();
        let file = File::open(&path).ok()?;
        file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What is in a folder: paths without further links in their folder, and names.
    pub(super) fn entries(&self, folder: &Path) -> Vec<(PathBuf, OsString)> {
        let Some(folder) = self.inside(folder) else {
            return Vec::new();
        };
        let found = fs::read_dir(&folder).into_iter().flatten().flatten();
        let paid = found.take_while(|_| self.pay(&folder, MIN_COST));
        paid.map(|entry| (entry.path(), entry.file_name())).collect()
    }

    fn inside(&self, path: &Path) -> Option<PathBuf> {
        match self.place(path) {
            Place::Inside(path) => Some(path),
            Place::Outside(_) | Place::Nowhere => None,
        }
    }

    fn pay(&self, path: &Path, cost: u64) -> bool {
        let left = self.left.get().checked_sub(cost);
        self.left.set(left.unwrap_or(0));
        if left.is_none() {
            self.too_large.borrow_mut().get_or_insert_with(|| path.to_owned());
        }
        left.is_some()
    }

    /// Follows links by hand: the kernel would follow them to other places too.
    pub(super) fn place(&self, path: &Path) -> Place {
        let Ok(rest) = path.strip_prefix(&self.store) else {
            return Place::Outside(path.to_owned());
        };
        let parts = |path: &Path| -> Vec<OsString> {
            let parts = path.components().filter(|part| *part != Component::CurDir);
            parts.map(|part| part.as_os_str().to_owned()).collect()
        };
        let mut todo = VecDeque::from(parts(rest));
        let mut at = self.store.clone();
        let mut links = 0;
        while let Some(part) = todo.pop_front() {
            if part == ".." {
                if at == self.store {
                    return Place::Outside(path.to_owned());
                }
                at.pop();
                continue;
            }
            let next = at.join(part);
            let Ok(target) = fs::read_link(&next) else {
                at = next;
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return Place::Nowhere;
            }
            let mut through = if target.is_absolute() {
                let Ok(rest) = target.strip_prefix(&self.store) else {
                    return Place::Outside(target);
                };
                at.clone_from(&self.store);
                parts(rest)
            } else {
                parts(&target)
            };
            while let Some(part) = through.pop() {
                todo.push_front(part);
            }
        }
        Place::Inside(at)
    }
}

/// The text with the hashes of store paths left out, so that equal hosts have equal texts.
pub(super) fn without_hashes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("/store/") {
        let (before, after) = rest.split_at(at + "/store/".len());
        out.push_str(before);
        let hash = after.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let is_hash = hash == HASH_CHARS && after.as_bytes().get(hash) == Some(&b'-');
        rest = if is_hash { &after[hash + 1..] } else { after };
    }
    out.push_str(rest);
    out
}

/// The store paths that a text names, with what follows them up to a blank or a quote.
pub(super) fn store_files(text: &str) -> impl Iterator<Item = &str> {
    let words = text
        .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ';' | '=' | '$' | '(' | ')'));
    let words = words.map(|word| word.trim_start_matches(['@', '-', '+', '!', ':', '|']));
    words.filter(|word| word.starts_with('/') && word.contains("/store/"))
}

/// The name of the store path that a file belongs to, without its hash.
pub(super) fn store_name(path: &str) -> &str {
    let rest = path.split_once("/store/").map_or(path, |(_, rest)| rest);
    let top = rest.split('/').next().unwrap_or(rest);
    match top.as_bytes().get(HASH_CHARS) {
        Some(b'-') => &top[HASH_CHARS + 1..],
        _ => top,
    }
}
