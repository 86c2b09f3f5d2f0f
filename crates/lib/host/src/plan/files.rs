//! Reading files of closures. One that is not there, or no text, is empty.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A file larger than this is not compared.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// Base-32 characters of a store path's hash.
const HASH_CHARS: usize = 32;

/// The text of a file.
pub(super) fn text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
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
