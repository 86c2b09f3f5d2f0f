//! Nix store paths, the only thing a host is ever told to run.

use std::path::{Component, Path};

use crate::checked::checked_text;

/// The store directory of an ordinary Nix installation.
pub const DEFAULT_STORE_DIR: &str = "/nix/store";

/// Nix's own limit on the part after the hash (`checkName` in libstore), in bytes.
const MAX_NAME_BYTES: usize = 211;
/// Base-32 characters of a store path's hash: 160 bits.
const HASH_CHARS: usize = 32;
/// Nix's base 32 leaves out e, o, t and u.
const BASE32: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Text that is no store path, or one of another store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorePathError {
    /// Not of the form `<store dir>/<hash>-<name>`.
    #[error(
        "`{value}` is not a store path ({problem}): give the path that `nix build --print-out-paths` prints, such as /nix/store/<32 characters>-nixos-system-web-1"
    )]
    Malformed {
        /// What was given, cut at 200 characters.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A store path, but of a store that hosts do not have.
    #[error(
        "`{value}` is not in the store {expected}: build it for that store, or set STORE_DIR on both sides"
    )]
    OtherStore {
        /// What was given.
        value: String,
        /// The store directory in force.
        expected: StoreDir,
    },
}

checked_text! {
    /// A store directory: absolute and without `.` or `..`, such as `/nix/store`. It has no slash at its end.
    StoreDir, StorePathError, |text| clean_dir(text).map_err(|problem| malformed(text, problem))
}

impl StoreDir {
    /// Reads a store path of this store.
    ///
    /// The path must be the top of a store object: no file inside one, no `..`, no slash at the end.
    pub fn parse(&self, text: &str) -> Result<StorePath, StorePathError> {
        let path: StorePath = text.parse()?;
        self.check(path)
    }

    /// Hands the path back when it is in this store.
    pub fn check(&self, path: StorePath) -> Result<StorePath, StorePathError> {
        if path.store_dir() == self.0 {
            Ok(path)
        } else {
            Err(StorePathError::OtherStore {
                value: path.0,
                expected: self.clone(),
            })
        }
    }
}

impl Default for StoreDir {
    fn default() -> Self {
        Self(DEFAULT_STORE_DIR.to_owned())
    }
}

checked_text! {
    /// The path of one store object, such as `/nix/store/<hash>-nixos-system-web-1-26.05`.
    ///
    /// Its form is checked; whether the object exists is for the host to find out.
    #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, example = "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-nixos-system-web-1"))]
    StorePath, StorePathError, |text| check(text).map_err(|problem| malformed(text, problem))
}

impl StorePath {
    /// The whole path, for the file system.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The store directory part.
    #[must_use]
    pub fn store_dir(&self) -> &str {
        self.split().0
    }

    /// `<hash>-<name>`.
    #[must_use]
    pub fn base_name(&self) -> &str {
        self.split().1
    }

    /// The first eight characters of the hash and the name, for people.
    #[must_use]
    pub fn short(&self) -> String {
        let base = self.base_name();
        format!("{}…{}", &base[..8], &base[HASH_CHARS..])
    }

    /// The version in the name of a NixOS system for this host: `26.05.20261130` of `nixos-system-web-1-26.05.20261130`.
    #[must_use]
    pub fn system_version(&self, host: &str) -> Option<&str> {
        let name = &self.base_name()[HASH_CHARS..];
        let version = name
            .strip_prefix("-nixos-system-")?
            .strip_prefix(host)?
            .strip_prefix('-')?;
        (!version.is_empty()).then_some(version)
    }

    fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').expect("a parsed store path has a slash")
    }
}

fn malformed(text: &str, problem: &'static str) -> StorePathError {
    StorePathError::Malformed {
        value: text.chars().take(200).collect(),
        problem,
    }
}

fn clean_dir(text: &str) -> Result<(), &'static str> {
    let mut components = Path::new(text).components();
    if components.next() != Some(Component::RootDir) {
        return Err("it is not an absolute path");
    }
    if text
        .split('/')
        .skip(1)
        .any(|part| part.is_empty() || part == "." || part == "..")
    {
        return Err("it has an empty, `.` or `..` part");
    }
    if !text.bytes().all(|c| c.is_ascii_graphic()) {
        return Err("it has a character that no store path has");
    }
    Ok(())
}

fn check(text: &str) -> Result<(), &'static str> {
    clean_dir(text)?;
    let (dir, base) = text.rsplit_once('/').ok_or("it is not an absolute path")?;
    if dir.is_empty() {
        return Err("it has no store directory");
    }
    let bytes = base.as_bytes();
    if bytes.len() < HASH_CHARS + 2 || bytes[HASH_CHARS] != b'-' {
        return Err("it does not end in <32 characters>-<name>");
    }
    let (hash, name) = (&bytes[..HASH_CHARS], &bytes[HASH_CHARS + 1..]);
    if !hash.iter().all(|c| BASE32.contains(c)) {
        return Err("its hash is not Nix base 32");
    }
    if name.len() > MAX_NAME_BYTES {
        return Err("its name is longer than 211 bytes");
    }
    if !name
        .iter()
        .all(|c| c.is_ascii_alphanumeric() || b"+-._?=".contains(c))
    {
        return Err("its name has a character that Nix does not allow");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d";

    #[test]
    fn a_store_path_is_taken_apart() {
        let path: StorePath = format!("/nix/store/{HASH}-nixos-system-web-1").parse().unwrap();
        assert_eq!(path.store_dir(), "/nix/store");
        assert_eq!(path.base_name(), format!("{HASH}-nixos-system-web-1"));
        assert_eq!(path.short(), "0c5r1m2n…-nixos-system-web-1");
    }

    #[test]
    fn the_version_of_a_system_stands_after_its_hosts_name() {
        for (name, host, version) in [
            (
                "nixos-system-web-1-26.05.20261130.4f2c1d9",
                "web-1",
                Some("26.05.20261130.4f2c1d9"),
            ),
            ("nixos-system-web-1-26.05", "web", Some("1-26.05")),
            ("nixos-system-web-1", "web-1", None),
            ("nixos-system-web-1-", "web-1", None),
            ("web-1-26.05", "web-1", None),
        ] {
            let path: StorePath = format!("/nix/store/{HASH}-{name}").parse().unwrap();
            assert_eq!(path.system_version(host), version, "{name}");
        }
    }

    #[test]
    fn what_is_no_store_path_is_refused_with_the_reason() {
        let long = "x".repeat(212);
        for (bad, problem) in [
            ("nix/store/x", "not an absolute path"),
            ("", "not an absolute path"),
            ("/nix/store", "does not end in"),
            (&format!("/nix/store/../store/{HASH}-a"), "`..` part"),
            (&format!("/nix//store/{HASH}-a"), "an empty"),
            (&format!("/nix/store/{HASH}-a/"), "an empty"),
            (&format!("/nix/store/{HASH}-a/bin"), "does not end in"),
            (&format!("/nix/store/{HASH}"), "does not end in"),
            (&format!("/nix/store/e{}-a", &HASH[1..]), "not Nix base 32"),
            (
                &format!("/nix/store/{HASH}-a b"),
                "character that no store path has",
            ),
            (
                &format!("/nix/store/{HASH}-a;b"),
                "character that Nix does not allow",
            ),
            (&format!("/nix/store/{HASH}-{long}"), "longer than 211"),
            (&format!("/{HASH}-a"), "no store directory"),
        ] {
            let error = bad.parse::<StorePath>().unwrap_err().to_string();
            assert!(error.contains(problem), "{bad}: {error}");
        }
    }

    #[test]
    fn another_store_is_refused_by_name() {
        let error = StoreDir::default()
            .parse(&format!("/tmp/store/{HASH}-a"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("is not in the store /nix/store"), "{error}");
        assert!(StoreDir::default().parse(&format!("/nix/store/{HASH}-a")).is_ok());
    }
}
