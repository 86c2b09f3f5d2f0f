//! What Nix's words mean, and what to do about them.

use std::io;

use slipway_domain::{StorePath, StorePathError};

use crate::checks::ManifestError;
use crate::door::UnfitClosure;
use crate::manifests::ReleaseRefusal;
use crate::text::{last_lines, one_line};

/// Why a closure is not on the host, or is but cannot be used. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// It belongs to another store.
    #[error(transparent)]
    OtherStore(#[from] StorePathError),
    /// The signature in the cache. A second copy would change nothing there: the cache has the path already.
    #[error(
        "{path} lacks a signature by a trusted key: sign it in the cache with a key whose public half is in the host's trusted-public-keys (`nix store sign --store CACHE --key-file KEY --recursive {closure}`), then release it again; nix said: {tail}"
    )]
    Untrusted {
        /// The closure.
        closure: StorePath,
        /// The path that was refused: the closure or a part of it.
        path: String,
        /// Nix's words.
        tail: String,
    },
    /// The signature of what is in the host's store already.
    #[error(
        "{path} lacks a signature by a trusted key, as do {unsigned} of the {all} paths of {closure} in this host's store: sign it in the cache with a key whose public half is in the host's trusted-public-keys (`nix store sign --store CACHE --key-file KEY --recursive {closure}`); where the host built it itself, with other content than the cache has, fetch it anew there (`nix store repair {path}`); then release it again"
    )]
    Unsigned {
        /// The closure.
        closure: StorePath,
        /// The closure or a part of it.
        path: String,
        /// How many parts lack one.
        unsigned: usize,
        /// How many parts there are.
        all: usize,
    },
    /// The cache's copy is damaged. A second copy would change nothing there, nor would the lack of the archive alone.
    #[error(
        "the cache's copy of {path}, or of another part of {closure}, is corrupted: delete {narinfo} in the cache and the archive that its URL line names, then copy the path there again and sign it (`nix copy --to CACHE {path}`, `nix store sign --store CACHE --key-file KEY {path}`), and release it again; nix said: {tail}"
    )]
    Corrupted {
        /// The closure.
        closure: StorePath,
        /// The part that was being fetched.
        path: String,
        /// The file in the cache that describes it.
        narinfo: String,
        /// Nix's words.
        tail: String,
    },
    /// It was there, and was not any more.
    #[error(
        "{closure}, or a part of it, vanished while it was fetched: a garbage collection took it; release it again, it is fetched anew; nix said: {tail}"
    )]
    Vanished {
        /// The closure.
        closure: StorePath,
        /// Nix's words.
        tail: String,
    },
    /// No cache answered.
    #[error(
        "no binary cache could be reached for {closure}: look at the cache and at the host's substituters and network; nix said: {tail}"
    )]
    Unreachable {
        /// The closure.
        closure: StorePath,
        /// Nix's words.
        tail: String,
    },
    /// No cache has it.
    #[error(
        "{closure}, or a part of it, is in none of the host's binary caches: copy it there (`nix copy --to CACHE {closure}`) and release it again; nix said: {tail}"
    )]
    NotFound {
        /// The closure.
        closure: StorePath,
        /// Nix's words.
        tail: String,
    },
    /// It took too long.
    #[error(
        "{closure} was not fetched within {seconds} s (limits.stage_seconds): raise the bound or look at the cache; nix said: {tail}"
    )]
    TimedOut {
        /// The closure.
        closure: StorePath,
        /// The bound.
        seconds: u64,
        /// Nix's words.
        tail: String,
    },
    /// No room.
    #[error(
        "the disk is full: {closure} cannot be fetched; free some space (`nix-collect-garbage`) and release it again; nix said: {tail}"
    )]
    Full {
        /// The closure.
        closure: StorePath,
        /// Nix's words.
        tail: String,
    },
    /// There is no Nix.
    #[error("cannot run nix-store: is it in the agent's PATH?")]
    NoNix {
        /// Why.
        source: io::Error,
    },
    /// Something else.
    #[error("{closure} could not be fetched; nix said: {tail}")]
    Other {
        /// The closure.
        closure: StorePath,
        /// Nix's words.
        tail: String,
    },
    /// It could not be protected from the garbage collector.
    #[error("cannot protect {closure} from the garbage collector: is AGENT_GCROOTS_DIR writable?")]
    Root {
        /// The closure.
        closure: StorePath,
        /// Why.
        source: io::Error,
    },
    /// It cannot be switched to.
    #[error(transparent)]
    Unfit(#[from] UnfitClosure),
    /// It cannot be checked.
    #[error(transparent)]
    Checks(#[from] ManifestError),
    /// No signed manifest names it for this host.
    #[error(transparent)]
    NotNamed(#[from] ReleaseRefusal),
}

const FULL: &[&str] = &[
    "no space left on device",
    "disk quota exceeded",
    "database or disk is full",
];
const UNTRUSTED: &[&str] = &[
    "lacks a signature by a trusted key",
    "lacks a valid signature",
    "not signed by any of the keys",
    "because it lacks signatures",
];
const CORRUPTED: &[&str] = &[
    "hash mismatch",
    "failed to open archive",
    "lzma library error",
    "failed to read compressed data",
    "bad archive",
    "unexpected end-of-file",
    "is incomplete",
    "corrupt",
    "size mismatch",
    "not look like a nix archive",
];
const UNREACHABLE: &[&str] = &[
    "couldn't connect",
    "could not connect",
    "couldn't resolve host",
    "could not resolve host",
    "connection refused",
    "timeout was reached",
    "timed out",
    "ssl connect error",
    "ssl peer certificate",
    "ssl certificate problem",
    "problem with the ssl",
    "http error 5",
    "server returned nothing",
    "does not appear to be a binary cache",
    "failed to connect",
];
const NOT_FOUND: &[&str] = &[
    "don't know how to build these paths",
    "no substituter that can build it",
    "does not exist in binary cache",
    "does not exist and cannot be",
    "is not valid",
    "cannot be built",
];

/// Nix's words, sorted. Matched on phrases that Nix 2.3 to 2.34 share.
pub(super) fn explain(closure: &StorePath, output: &str) -> StageError {
    let closure = closure.clone();
    let lower = output.to_lowercase();
    let any = |phrases: &[&str]| phrases.iter().any(|phrase| lower.contains(phrase));
    let line_with = |phrases: &[&str]| {
        let line = output.lines().find(|line| {
            let line = line.to_lowercase();
            phrases.iter().any(|phrase| line.contains(phrase))
        });
        one_line(line.unwrap_or_else(|| output.trim()), 400)
    };

    if any(FULL) {
        return StageError::Full {
            closure,
            tail: line_with(FULL),
        };
    }
    if any(UNTRUSTED) {
        let tail = line_with(UNTRUSTED);
        let path = tail.split('\'').nth(1).unwrap_or(closure.as_str()).to_owned();
        return StageError::Untrusted { closure, path, tail };
    }
    if any(CORRUPTED) {
        let tail = line_with(CORRUPTED);
        let path = damaged(&closure, output, &tail);
        let base = path.rsplit('/').next().unwrap_or_default();
        return StageError::Corrupted {
            closure,
            narinfo: format!("{}.narinfo", base.split('-').next().unwrap_or_default()),
            path,
            tail,
        };
    }
    if any(UNREACHABLE) {
        return StageError::Unreachable {
            closure,
            tail: line_with(UNREACHABLE),
        };
    }
    if any(NOT_FOUND) {
        return StageError::NotFound {
            closure,
            tail: complaints(output),
        };
    }
    StageError::Other {
        closure,
        tail: complaints(output),
    }
}

/// The path of the failed fetch: the path in the error, or the last one that Nix began.
fn damaged(closure: &StorePath, output: &str, tail: &str) -> String {
    let mut begun = output.lines().filter(|line| line.contains("copying path"));
    let quoted = |line: &str| {
        let words = line.split('\'').skip(1).step_by(2);
        let mut paths = words.filter(|word| word.starts_with(closure.store_dir()));
        paths.next().map(ToOwned::to_owned)
    };
    let named = quoted(tail).or_else(|| begun.next_back().and_then(quoted));
    named.unwrap_or_else(|| closure.to_string())
}

/// The lines that say what is wrong, or the last ones where none does.
fn complaints(output: &str) -> String {
    let wrong = |line: &&str| line.contains("error") || line.contains("warning");
    let lines: Vec<&str> = output.lines().filter(wrong).collect();
    if lines.is_empty() {
        last_lines(output, 5)
    } else {
        last_lines(&lines.join("\n"), 5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_nix_versions_are_known_too() {
        let closure: StorePath = "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-a".parse().unwrap();
        for (said, meaning) in [
            (
                "error: cannot add path '/nix/store/xyz-dep' because it lacks a signature by a trusted key",
                "/nix/store/xyz-dep lacks a signature by a trusted key",
            ),
            (
                "warning: ignoring substitute for '/nix/store/xyz-dep' from 'https://c', as it's not signed by any of the keys in 'trusted-public-keys'",
                "/nix/store/xyz-dep lacks a signature by a trusted key",
            ),
            (
                "error: writing to file: No space left on device",
                "the disk is full",
            ),
            (
                "error: path '/nix/store/x' is required, but there is no substituter that can build it",
                "is in none of the host's binary caches",
            ),
            (
                "warning: unable to download 'https://c/nix-cache-info': Could not resolve host: c (6)",
                "no binary cache could be reached",
            ),
            ("error: something new", "nix said: error: something new"),
        ] {
            let error = explain(&closure, said).to_string();
            assert!(error.contains(meaning), "{error}");
        }
    }
}
