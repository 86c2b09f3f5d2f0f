//! What compilers print when a build lacks something leads to the argument of mkWorkspace that cures it. Each file of
//! tests/cures is what a real compiler printed, and each cure has one.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const NEWER: &str = "the project needs another Rust: set `toolchain`";

/// Name of the sample, and how a line of the cures begins.
const CURES: &[(&str, &str)] = &[
    (
        "build-script",
        "a build script reads a file or starts a program that is not there: set `extraSources",
    ),
    (
        "build-script-file",
        "schema/api.json was not found: if it is a file of the repository, set `extraSources",
    ),
    (
        "cmake",
        "a build script runs a program that is not there, such as cmake: add its package to `nativeBuildInputs`",
    ),
    (
        "compile-error",
        "if features exclude each other, do not unite those of several crates: set `unifyFeatures = false;`",
    ),
    (
        "document",
        "rustdoc refuses what it would warn of: mend the comment, or set `env.RUSTDOCFLAGS = \"\";`",
    ),
    (
        "example-file",
        "can't find `demo` example at `examples/demo.rs`: it is not among the files of this build: set `extraSources`",
    ),
    (
        "include",
        "the code reads backend/templates/page.html, which is not among the files of this build: set `extraSources = [ ./backend/templates/page.html ];`",
    ),
    (
        "libclang",
        "bindgen looks for libclang: set `nativeBuildInputs = [ pkgs.rustPlatform.bindgenHook ];`",
    ),
    (
        "library",
        "the linker finds no library `sodium-that-is-not`: add its package to `buildInputs`",
    ),
    (
        "lint",
        "clippy refuses what `clippyArgs` denies: mend the code, or set `clippyArgs = \"\";`",
    ),
    (
        "linker",
        "the linker no-clang-here is not there: add its package to `nativeBuildInputs`",
    ),
    (
        "linker-of-config",
        "the linker that .cargo/config.toml asks for is not there: set `nativeBuildInputs = [ pkgs.mold ];`",
    ),
    (
        "macro-file",
        "a macro reads a file that is not there: set `extraSources = [ ./path/of/the/file ];`",
    ),
    (
        "module",
        "file not found for module `generated`: its file is not among the files of this build: `git add` it",
    ),
    ("newer-edition", NEWER),
    ("newer-lock", NEWER),
    ("newer-rust", NEWER),
    ("nightly-cargo", NEWER),
    ("nightly-feature", NEWER),
    ("nightly-flag", NEWER),
    (
        "old-lock",
        "Cargo.lock does not fit the manifests: run `cargo update --workspace`",
    ),
    (
        "openssl",
        "a crate looks for a library of the system: set `nativeBuildInputs = [ pkgs.pkg-config ];`",
    ),
    (
        "program-file",
        "can't find bin `tool` at path `/build/source/tools/tool.rs`: it is not among the files of this build: set `extraSources`",
    ),
    (
        "protoc",
        "a build script runs protoc: set `nativeBuildInputs = [ pkgs.protobuf ];`",
    ),
    (
        "query-without-database",
        "sqlx has no description of a query: run `cargo sqlx prepare` and `git add .sqlx`, or set `compileServices",
    ),
    (
        "query-without-table",
        "the database of the build has no table \"article\": let `compileSetup` make the schema",
    ),
    (
        "static-library",
        "the linker finds no library `foo`: add its package to `buildInputs`",
    ),
    (
        "system-library",
        "the library openssl is not there: add its package to `buildInputs`, and `pkgs.pkg-config` to `nativeBuildInputs`",
    ),
    (
        "target",
        "the target thumbv6m-none-eabi is not in this toolchain: set `toolchain`",
    ),
    (
        "test-file",
        "a test reads a file that is not among the files of this build: set `testSources",
    ),
    (
        "variable",
        "`GIT_HASH` is not set while compiling: set `env.GIT_HASH = \"…\";`",
    ),
];

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize().unwrap()
}

fn hook() -> PathBuf {
    here().join("../../../nix/lib/mkWorkspace/cures.sh")
}

/// The lines that the hook prints of what stands in `log`, in the folder `backend` of a source.
fn cures_of(log: &Path) -> Vec<String> {
    cures_in(log, &[])
}

fn cures_in(log: &Path, environment: &[(&str, &str)]) -> Vec<String> {
    let build = tempfile::tempdir().unwrap();
    let folder = build.path().join("source/backend");
    std::fs::create_dir_all(&folder).unwrap();
    let output = Command::new("bash")
        .args(["-euc", "source \"$0\"; slipwayCuresOf \"$1\""])
        .arg(hook())
        .arg(log)
        .env("NIX_BUILD_TOP", build.path())
        .envs(environment.iter().copied())
        .current_dir(folder)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(str::to_owned).collect()
}

/// What the hook can print, each as its longest part that is the same for every build.
fn printed() -> Vec<String> {
    let hook = std::fs::read_to_string(hook()).unwrap();
    let (_, function) = hook.split_once("slipwayCuresOf() {").unwrap();
    let (function, _) = function.split_once("\n}\n").unwrap();
    let echoes = function
        .lines()
        .filter_map(|line| line.trim().strip_prefix("echo \"")?.strip_suffix('"'));
    echoes
        .map(|text| {
            let text = text.replace("\\`", "`").replace("\\\"", "\"");
            let parts = text.split(['$', '`']);
            let parts = parts.map(|part| part.trim_start_matches(char::is_alphanumeric));
            parts.max_by_key(|part| part.len()).unwrap().to_owned()
        })
        .collect()
}

#[test]
fn what_a_compiler_lacks_leads_to_its_cure() {
    let mut all = Vec::new();
    for (name, cure) in CURES {
        let lines = cures_of(&here().join(format!("tests/cures/{name}.txt")));
        assert!(
            lines.iter().any(|line| line.starts_with(cure)),
            "{name}: {lines:#?} do not hold {cure:?}"
        );
        // More than two guesses are no help.
        assert!(lines.len() <= 2, "{name}: {lines:#?}");
        all.extend(lines);
    }
    let printed = printed();
    assert!(printed.len() > 20, "{printed:#?}");
    for cure in printed {
        assert!(
            all.iter().any(|line| line.contains(&cure)),
            "no sample for: {cure}"
        );
    }
}

#[test]
fn every_sample_has_its_cure() {
    let files: BTreeSet<String> = std::fs::read_dir(here().join("tests/cures"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let named = CURES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, named);
}

#[test]
fn files_that_dependencies_lack_have_an_argument_of_their_own() {
    let log = here().join("tests/cures/include.txt");
    let lines = cures_in(&log, &[("slipwaySources", "dependencySources")]);
    assert!(
        lines
            .iter()
            .any(|line| line.contains("set `dependencySources = ")),
        "{lines:#?}"
    );
}

#[test]
fn words_about_a_program_are_no_name_of_a_file() {
    let cure = "a build script runs protoc: set `nativeBuildInputs = [ pkgs.protobuf ];`";
    assert_eq!(cures_of(&here().join("tests/cures/protoc.txt")), [cure]);
}

#[test]
fn a_mistake_in_the_code_has_no_cure_here() {
    let log = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        log.path(),
        "error[E0308]: mismatched types\n --> src/main.rs:1:24\nerror: could not compile `app` (bin \"app\")\n",
    )
    .unwrap();
    assert_eq!(cures_of(log.path()), Vec::<String>::new());
}
