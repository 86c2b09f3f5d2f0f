//! The files made from the registry are committed as made, and do what they say.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use slipway_settings::{ApiSettings, Process, SettingsSource, WorkerSettings, describe, generate, registry};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

#[track_caller]
fn same(path: &str, made: &str) {
    let path = repository().join(path);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, made).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "{} differs from the registry; run UPDATE_GENERATED=1 cargo test generated",
        path.display()
    );
}

#[test]
fn env_example_is_as_generated() {
    same(".env.example", &generate::env_example());
}

#[test]
fn env_production_example_is_as_generated() {
    same(".env.production.example", &generate::env_production_example());
}

#[test]
fn reference_is_as_generated() {
    same("docs/settings.md", &generate::reference());
}

fn load(file: &str, environment: &[(&str, &str)]) -> SettingsSource {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".env"), file).unwrap();
    SettingsSource::load_with(environment.iter().copied(), dir.path()).unwrap()
}

#[test]
fn the_example_starts_api_and_worker() {
    let source = load(&generate::env_example(), &[]);
    ApiSettings::from_source(&source).unwrap();
    WorkerSettings::from_source(&source).unwrap();
    assert_eq!(source.warnings(), &[] as &[String]);
}

#[test]
fn each_line_of_the_example_is_read_as_it_stands() {
    let file = generate::env_example();
    let lines = file.lines().filter_map(|line| line.strip_prefix("# "));
    let is_setting = |line: &&str| {
        let name = line.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| registry::find(name).is_some())
    };
    let mut seen = 0;
    for line in lines.filter(is_setting) {
        seen += 1;
        let (name, _) = line.split_once('=').unwrap();
        let source = load(line, &[]);
        let variable = registry::find(name).unwrap();
        let expected = variable.default.unwrap_or(variable.example());
        let shown = describe(Process::Api, &source)
            + &describe(Process::Worker, &source)
            + &describe(Process::Agent, &source);
        assert!(
            variable.secret || expected.is_empty() || shown.contains(expected),
            "{line}"
        );
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn the_example_is_refused_in_production() {
    let source = load(&generate::env_example(), &[("APP_ENV", "production")]);
    let errors = ApiSettings::from_source(&source).unwrap_err();
    let names: Vec<_> = errors
        .errors()
        .iter()
        .map(|error| error.variable.as_str())
        .collect();
    assert_eq!(
        names,
        ["SECRET_KEY", "ADMIN_PASSWORD", "DATABASE_URL"],
        "{errors}"
    );
    assert!(
        errors
            .errors()
            .iter()
            .all(|error| error.problem.contains("example value")),
        "{errors}"
    );
}

#[test]
fn the_production_example_lacks_only_the_secrets() {
    let errors = ApiSettings::from_source(&load(&generate::env_production_example(), &[])).unwrap_err();
    let lines = errors.to_string();
    assert_eq!(
        lines,
        "SECRET_KEY: is empty; make one with: openssl rand -hex 32\n\
         ADMIN_PASSWORD: is empty; make one with: openssl rand -base64 18"
    );

    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let key = file(
        "key",
        "8c1f0b7a93d24e65f1aa02c7be5d9438670e1c9fd2b4a8537f6e10d9c3b5a274\n",
    );
    let password = file("password", "correct horse battery\n");
    let environment = [
        ("SECRET_KEY_FILE", key.as_str()),
        ("ADMIN_PASSWORD_FILE", password.as_str()),
    ];
    ApiSettings::from_source(&load(&generate::env_production_example(), &environment)).unwrap();
}
