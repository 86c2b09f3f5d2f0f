//! Nix reads a workspace as cargo does: the reader of nix/lib/cargo, and `cargo metadata`, on every project of
//! tests/workspaces.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../..")
        .canonicalize()
        .unwrap()
}

/// What either of the two says of a crate.
#[derive(Debug, PartialEq, Eq)]
struct Crate {
    name: String,
    version: String,
    edition: String,
    targets: BTreeSet<(String, String, String, Vec<String>)>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Workspace {
    members: BTreeSet<String>,
    defaults: BTreeSet<String>,
    /// By folder.
    crates: BTreeMap<String, Crate>,
}

/// nix/lib/tests/metadata.nix.
mod nix {
    use serde::de::DeserializeOwned;

    use super::{BTreeMap, Command, Deserialize, Path, checkout};

    #[derive(Deserialize)]
    pub(crate) struct EvaluatedWorkspace {
        pub(crate) problems: Vec<String>,
        #[serde(default)]
        pub(crate) members: Vec<String>,
        #[serde(default)]
        pub(crate) defaults: Vec<String>,
        #[serde(default)]
        pub(crate) packages: Vec<Package>,
        /// The folder of the workspace.
        #[serde(default)]
        pub(crate) at: String,
        /// Roots that only give what others inherit.
        #[serde(default, rename = "otherRoots")]
        pub(crate) other_roots: Vec<String>,
        /// What cargo's configuration is made of and names.
        #[serde(default)]
        pub(crate) named: Vec<String>,
        /// Path -> text of what stands for the crates.
        #[serde(default)]
        pub(crate) skeleton: BTreeMap<String, String>,
    }

    #[derive(Deserialize)]
    pub(crate) struct Package {
        pub(crate) folder: String,
        pub(crate) name: String,
        pub(crate) version: String,
        pub(crate) edition: String,
        pub(crate) targets: Vec<Target>,
    }

    #[derive(Deserialize)]
    pub(crate) struct Target {
        pub(crate) kind: String,
        pub(crate) name: String,
        pub(crate) path: String,
        pub(crate) required: Vec<String>,
    }

    /// What an expression gives, or what Nix says of it.
    pub(crate) fn evaluate<T: DeserializeOwned>(expression: &str) -> Result<T, String> {
        let output = Command::new("nix-instantiate")
            .args(["--eval", "--strict", "--json", "--show-trace", "--expr"])
            .arg(expression)
            .output()
            .unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    }

    fn metadata() -> String {
        format!("(import {}/nix/lib/tests/metadata.nix)", checkout().display())
    }

    pub(crate) fn read() -> BTreeMap<String, EvaluatedWorkspace> {
        evaluate(&format!("{}.all", metadata())).unwrap_or_else(|why| panic!("{why}"))
    }

    pub(crate) fn show(folder: &Path) -> Result<EvaluatedWorkspace, String> {
        evaluate(&format!("{}.show {}", metadata(), folder.display()))
    }
}

/// `cargo metadata`, format 1.
mod cargo {
    use super::{Command, Deserialize, Path};

    #[derive(Deserialize)]
    pub(crate) struct Metadata {
        pub(crate) packages: Vec<Package>,
        pub(crate) workspace_members: Vec<String>,
        pub(crate) workspace_default_members: Vec<String>,
    }

    #[derive(Deserialize)]
    pub(crate) struct Package {
        pub(crate) id: String,
        pub(crate) name: String,
        pub(crate) version: String,
        pub(crate) edition: String,
        /// `None` for what lies in the checkout.
        pub(crate) source: Option<String>,
        pub(crate) manifest_path: String,
        pub(crate) targets: Vec<Target>,
    }

    #[derive(Deserialize)]
    pub(crate) struct Target {
        pub(crate) kind: Vec<String>,
        pub(crate) name: String,
        pub(crate) src_path: String,
        #[serde(default, rename = "required-features")]
        pub(crate) required_features: Vec<String>,
    }

    pub(crate) fn metadata(folder: &Path, more: &[&str]) -> Result<Metadata, String> {
        let output = Command::new("cargo")
            .args(["metadata", "--format-version", "1", "--offline"])
            .args(more)
            .current_dir(folder)
            .output()
            .unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    }
}

/// A path without `.` and `..`, as text; `.` for nothing.
fn plain(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.iter().map(|part| part.to_str().unwrap()) {
        match part {
            "." => {}
            ".." => drop(parts.pop().unwrap()),
            _ => parts.push(part),
        }
    }
    if parts.is_empty() {
        ".".to_owned()
    } else {
        parts.join("/")
    }
}

fn of_nix(found: nix::EvaluatedWorkspace) -> Workspace {
    let read = |package: nix::Package| {
        let folder = PathBuf::from(&package.folder);
        let targets = package
            .targets
            .into_iter()
            .map(|it| (it.kind, it.name, plain(&folder.join(it.path)), it.required))
            .collect();
        let value = Crate {
            name: package.name,
            version: package.version,
            edition: package.edition,
            targets,
        };
        (package.folder, value)
    };
    Workspace {
        members: found.members.into_iter().collect(),
        defaults: found.defaults.into_iter().collect(),
        crates: found.packages.into_iter().map(read).collect(),
    }
}

fn of_cargo(root: &Path, metadata: &cargo::Metadata) -> Workspace {
    let relative = |path: &str| plain(Path::new(path).strip_prefix(root).unwrap());
    let folder_of = |package: &cargo::Package| {
        relative(
            Path::new(&package.manifest_path)
                .parent()
                .unwrap()
                .to_str()
                .unwrap(),
        )
    };
    let named = |ids: &[String]| {
        let packages = metadata.packages.iter();
        packages
            .filter(|package| ids.contains(&package.id))
            .map(folder_of)
            .collect()
    };
    let of_kind = |target: &cargo::Target, kind: &String| {
        // cargo has a name of its own for these, which nobody chooses.
        let name = if kind == "custom-build" {
            "build-script"
        } else {
            &target.name
        };
        let path = relative(&target.src_path);
        (
            kind.clone(),
            name.to_owned(),
            path,
            target.required_features.clone(),
        )
    };
    let read = |package: &cargo::Package| {
        let kinds = |target| {
            let target: &cargo::Target = target;
            target.kind.iter().map(|kind| of_kind(target, kind))
        };
        let value = Crate {
            name: package.name.clone(),
            version: package.version.clone(),
            edition: package.edition.clone(),
            targets: package.targets.iter().flat_map(kinds).collect(),
        };
        (folder_of(package), value)
    };
    let local = metadata
        .packages
        .iter()
        .filter(|package| package.source.is_none());
    Workspace {
        members: named(&metadata.workspace_members),
        defaults: named(&metadata.workspace_default_members),
        crates: local.map(read).collect(),
    }
}

/// Where only the members can be compared: these need a registry, or have no lock.
const MEMBERS_ALONE: [&str; 4] = ["alt-registry", "compile-services", "given-lock", "no-lock"];

#[test]
fn nix_reads_every_workspace_as_cargo_does() {
    let all = nix::read();
    assert!(all.len() > 50, "only {} workspaces were found", all.len());
    for (name, found) in all {
        assert_eq!(found.problems, Vec::<String>::new(), "{name}");
        let folder = checkout().join("tests/workspaces").join(&name);
        let more: &[&str] = if MEMBERS_ALONE.contains(&name.as_str()) {
            &["--no-deps"]
        } else {
            &["--locked"]
        };
        let metadata =
            cargo::metadata(&folder.join(&found.at), more).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(of_nix(found), of_cargo(&folder, &metadata), "{name}");
    }
}

/// Dependencies are compiled from stand-ins of the crates. cargo must resolve those as it does the crates.
#[test]
fn cargo_takes_the_stand_ins_of_every_workspace() {
    for (name, found) in nix::read() {
        if MEMBERS_ALONE.contains(&name.as_str()) {
            continue;
        }
        let here = checkout().join("tests/workspaces").join(&name);
        let there = tempfile::tempdir().unwrap();
        let copy = |path: &str| {
            let to = there.path().join(path);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            let copied = Command::new("cp")
                .arg("-rL")
                .arg(here.join(path))
                .arg(to)
                .status()
                .unwrap();
            assert!(copied.success(), "{name}: {path}");
        };
        for (path, text) in &found.skeleton {
            let to = there.path().join(path);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::write(to, text).unwrap();
        }
        for path in &found.named {
            copy(path);
        }
        for root in &found.other_roots {
            copy(&format!("{root}/Cargo.toml"));
        }
        // What crates of a registry are compiled from comes with its code.
        for package in &found.packages {
            let manifest = plain(&Path::new(&package.folder).join("Cargo.toml"));
            if !found.skeleton.contains_key(&manifest) {
                copy(&package.folder);
            }
        }
        cargo::metadata(&there.path().join(&found.at), &["--locked"])
            .unwrap_or_else(|why| panic!("{name}: {why}"));
    }
}

#[test]
fn nix_reads_this_workspace_as_cargo_does() {
    let metadata = cargo::metadata(&checkout(), &["--no-deps"]).unwrap();
    let wanted = of_cargo(&checkout(), &metadata);
    let found = nix::show(&checkout()).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(of_nix(found), wanted);
}

/// Nix cannot catch that a file is no TOML, or no text. What it says then must name the file and the cure.
#[test]
fn a_file_that_cannot_be_read_is_named() {
    let package = "[package]\nname = \"x\"\nversion = \"0.1.0\"\n";
    let cases = [
        ("Cargo.toml", "[package", "Cargo.toml is no TOML: mend it"),
        ("Cargo.lock", "<<<<<<< HEAD\n", "Cargo.lock is no TOML: mend it"),
        (
            ".cargo/config.toml",
            "a = \"",
            ".cargo/config.toml is no TOML: mend it",
        ),
        (
            "Cargo.toml",
            "# \0",
            "Cargo.toml of `src` cannot be read: if it holds a NUL byte, name it in `extraSources`",
        ),
    ];
    for (path, text, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".cargo")).unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), package).unwrap();
        std::fs::write(folder.path().join(path), text).unwrap();
        let Err(why) = nix::show(folder.path()) else {
            panic!("{path} was read");
        };
        assert!(why.contains(expected), "{path}: {why}");
    }
}
