//! Where values come from: priority, settings files, secret files and credentials.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use slipway_settings::{
    AdminSettings, ApiSection, ApiSettings, AppEnv, AppSettings, DatabaseSettings, ExposeSecret, LogSettings,
    Origin, Process, SettingsSource, describe,
};
use tempfile::TempDir;

const NONE: [(&str, &str); 0] = [];

fn dir(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(&dir.path().join(name), text, 0o400);
    }
    dir
}

fn write(path: &Path, text: impl AsRef<[u8]>, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn port(environment: &[(&str, &str)], dir: &TempDir) -> (u16, Origin) {
    let source = SettingsSource::load_with(environment.iter().copied(), dir.path()).unwrap();
    (
        ApiSection::from_source(&source).unwrap().port,
        source.origin("API_PORT").unwrap(),
    )
}

#[test]
fn environment_then_env_file_of_the_environment_then_env_file_then_default() {
    let both = [(".env", "API_PORT=1001\n"), (".env.test", "API_PORT=1002\n")];
    let test = ("APP_ENV", "test");
    assert_eq!(
        port(&[test, ("API_PORT", "1003")], &dir(&both)),
        (1003, Origin::Environment)
    );
    assert_eq!(
        port(&[test], &dir(&both)),
        (1002, Origin::DotEnv(".env.test".into()))
    );
    assert_eq!(port(&[], &dir(&both)), (1001, Origin::DotEnv(".env".into())));
    assert_eq!(port(&[], &dir(&[])), (8000, Origin::Default));
}

#[test]
fn app_env_may_come_from_the_env_file() {
    let dir = dir(&[
        (".env", "APP_ENV=test\nAPI_PORT=1001\n"),
        (".env.test", "API_PORT=1002\n"),
    ]);
    let source = SettingsSource::load_with(NONE, dir.path()).unwrap();
    assert_eq!(source.app_env(), AppEnv::Test);
    assert_eq!(ApiSection::from_source(&source).unwrap().port, 1002);
}

#[test]
fn an_empty_value_means_the_default_even_above_a_file() {
    assert_eq!(
        port(&[("API_PORT", "")], &dir(&[(".env", "API_PORT=1001")])),
        (8000, Origin::Default)
    );
}

#[test]
fn an_unknown_app_env_chooses_no_file() {
    let dir = dir(&[(".env", "API_PORT=1\n")]);
    for word in ["prod", "Production", "../../etc/passwd"] {
        let errors = SettingsSource::load_with([("APP_ENV", word)], dir.path())
            .unwrap_err()
            .to_string();
        let expected = format!("APP_ENV={word} (from environment): is not one of the words that it takes;");
        assert!(errors.starts_with(&expected), "{errors}");
        let source = SettingsSource::from_map([("APP_ENV", word), ("SECRET_KEY", &"0a".repeat(32))]);
        let errors = AppSettings::from_source(&source).unwrap_err().to_string();
        assert!(errors.contains("development, test, production"), "{errors}");
    }
}

#[test]
fn an_env_file_cannot_contradict_its_own_name() {
    let dir = dir(&[(".env.test", "APP_ENV=production\n")]);
    let source = SettingsSource::load_with([("APP_ENV", "test")], dir.path()).unwrap();
    let errors = AppSettings::from_source(&source).unwrap_err().to_string();
    assert!(
        errors.contains("APP_ENV (from .env.test): contradicts APP_ENV=test"),
        "{errors}"
    );
}

#[test]
fn a_bad_line_is_named_by_number_and_never_shown() {
    let dir = dir(&[(
        ".env",
        "API_PORT=1001\n# a comment\nSECRET_KEY='canary\nLOG_LEVEL=info\n",
    )]);
    let errors = SettingsSource::load_with(NONE, dir.path())
        .unwrap_err()
        .to_string();
    assert!(
        errors.starts_with(".env: line 3 is not NAME=value; put values with"),
        "{errors}"
    );
    assert!(!errors.contains("canary"), "{errors}");
}

#[test]
fn a_settings_file_that_cannot_be_read_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(".env")).unwrap();
    let errors = SettingsSource::load_with(NONE, dir.path())
        .unwrap_err()
        .to_string();
    assert!(
        errors.starts_with(".env: ") && errors.contains("cannot be read"),
        "{errors}"
    );

    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join(".env"), b"API_HOST=\xff\xfe\n", 0o600);
    let errors = SettingsSource::load_with(NONE, dir.path())
        .unwrap_err()
        .to_string();
    assert!(errors.contains("cannot be read"), "{errors}");
}

#[test]
fn windows_lines_a_byte_order_mark_and_a_missing_last_newline_are_fine() {
    let dir = dir(&[(".env", "\u{feff}API_PORT=1001\r\nLOG_LEVEL='info,sqlx=warn' ")]);
    assert_eq!(port(&[], &dir), (1001, Origin::DotEnv(".env".into())));
    let source = SettingsSource::load_with(NONE, dir.path()).unwrap();
    assert_eq!(LogSettings::from_source(&source).unwrap().level, "info,sqlx=warn");
}

#[test]
fn a_name_twice_in_one_file_is_an_error() {
    let errors =
        SettingsSource::load_with(NONE, dir(&[(".env", "API_PORT=1\nAPI_PORT=2\n")]).path()).unwrap_err();
    assert_eq!(
        errors.to_string(),
        ".env: sets API_PORT twice; keep one of the lines"
    );
}

#[test]
fn unknown_names_are_errors_in_files_and_warnings_in_the_environment() {
    let dir = dir(&[(
        ".env",
        "API_PROT=1001\nREDIS_SOMETHING_QUITE_DIFFERENT=1\nPOSTGRES_PASSWORD=other\n",
    )]);
    let environment = [
        ("API_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
        ("LOG_LEVLE", "debug"),
        ("HOME", "/root"),
    ];
    let source = SettingsSource::load_with(environment, dir.path()).unwrap();
    let errors = LogSettings::from_source(&source).unwrap_err().to_string();
    assert_eq!(
        errors,
        "API_PROT (from .env): is no setting; did you mean API_PORT?\n\
         REDIS_SOMETHING_QUITE_DIFFERENT (from .env): is no setting; remove it; docs/settings.md lists every setting"
    );
    assert_eq!(
        source.warnings(),
        [
            "API_PORT_8000_TCP in the environment is no setting and is ignored",
            "LOG_LEVLE in the environment is no setting and is ignored (did you mean LOG_LEVEL?)"
        ]
    );
}

#[test]
fn a_kubernetes_service_link_is_recognised() {
    let source = SettingsSource::from_map([("API_PORT", "tcp://10.0.0.1:8000")]);
    let errors = ApiSection::from_source(&source).unwrap_err().to_string();
    assert!(
        errors.contains("Kubernetes service link") && errors.contains("enableServiceLinks"),
        "{errors}"
    );
}

#[test]
fn names_and_values_that_are_not_text_are_told_apart() {
    let bytes = OsString::from_vec(vec![0xff, 0xfe]);
    let environment = [
        (OsString::from("LS_COLORS"), bytes.clone()),
        (OsString::from("LOG_LEVEL"), bytes.clone()),
        (bytes, OsString::from("x")),
    ];
    let source = SettingsSource::load_with(environment, tempfile::tempdir().unwrap().path()).unwrap();
    let errors = LogSettings::from_source(&source).unwrap_err().to_string();
    assert_eq!(
        errors,
        "LOG_LEVEL (from environment): is not UTF-8; set it to text"
    );
    ApiSection::from_source(&source).unwrap();
}

fn password(source: &SettingsSource) -> String {
    AdminSettings::from_source(source)
        .unwrap()
        .password
        .expose_secret()
        .to_owned()
}

#[test]
fn a_secret_may_come_from_a_file() {
    for text in [
        "from a file",
        "from a file\n",
        "from a file\r\n",
        "from a file\n\n",
    ] {
        let dir = dir(&[("secret", text)]);
        let path = dir.path().join("secret");
        let source = SettingsSource::from_map([("ADMIN_PASSWORD_FILE", path.to_str().unwrap())]);
        assert_eq!(password(&source), "from a file");
        assert_eq!(source.origin("ADMIN_PASSWORD"), Some(Origin::File(path)));
    }
}

#[test]
fn a_secret_may_come_as_a_credential() {
    let dir = dir(&[("ADMIN_PASSWORD", "from systemd\n"), ("API_PORT", "1001")]);
    let credentials = ("CREDENTIALS_DIRECTORY", dir.path().to_str().unwrap());
    let source = SettingsSource::from_map([credentials]);
    assert_eq!(password(&source), "from systemd");
    assert_eq!(source.origin("ADMIN_PASSWORD"), Some(Origin::Credential));
    assert_eq!(
        ApiSection::from_source(&source).unwrap().port,
        8000,
        "only secrets come as credentials"
    );

    // The modules load a credential and say where it is, too.
    let path = dir.path().join("ADMIN_PASSWORD");
    let source = SettingsSource::from_map([credentials, ("ADMIN_PASSWORD_FILE", path.to_str().unwrap())]);
    assert_eq!(password(&source), "from systemd");
}

#[test]
fn a_secret_in_two_places_is_an_error() {
    let dir = dir(&[
        ("ADMIN_PASSWORD", "canary-file\n"),
        (".env", "ADMIN_PASSWORD=canary-env\n"),
    ]);
    let path = dir.path().join("ADMIN_PASSWORD");
    let source =
        SettingsSource::load_with([("ADMIN_PASSWORD_FILE", path.to_str().unwrap())], dir.path()).unwrap();
    let errors = AdminSettings::from_source(&source).unwrap_err().to_string();
    assert_eq!(
        errors,
        "ADMIN_PASSWORD: is set twice: as ADMIN_PASSWORD (.env) and as ADMIN_PASSWORD_FILE (environment); \
         keep one of them"
    );
    let source = SettingsSource::load_with(
        [("CREDENTIALS_DIRECTORY", dir.path().to_str().unwrap())],
        dir.path(),
    )
    .unwrap();
    let errors = AdminSettings::from_source(&source).unwrap_err().to_string();
    assert!(
        errors.contains("and as the credential ADMIN_PASSWORD (systemd credential)"),
        "{errors}"
    );
}

#[test]
fn bad_secret_files_are_named_with_a_cure() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write(&at("empty"), "\n", 0o400);
    write(&at("large"), vec![b'x'; 70_000], 0o400);
    write(&at("binary"), [0xff, 0xfe], 0o400);
    fs::create_dir(at("folder")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(at("pipe"))
        .status()
        .unwrap();
    assert!(made.success());
    for (name, problem) in [
        ("missing", "cannot be read: No such file or directory"),
        ("empty", "is empty; put the secret in it"),
        ("large", "is larger than 64 KiB"),
        ("binary", "is not UTF-8"),
        ("folder", "is not a regular file"),
        ("pipe", "is not a regular file"),
    ] {
        let path = at(name);
        let source = SettingsSource::from_map([("ADMIN_PASSWORD_FILE", path.to_str().unwrap())]);
        let errors = AdminSettings::from_source(&source).unwrap_err().to_string();
        let expected = format!("ADMIN_PASSWORD (from file {0}): {0} {problem}", path.display());
        assert!(errors.starts_with(&expected), "{errors}");
        // Whoever does not read the secret is not troubled by its file.
        ApiSection::from_source(&source).unwrap();
    }
}

#[test]
fn a_secret_file_for_everybody_is_refused_in_production_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    write(&path, "correct horse battery", 0o444);
    let file = ("ADMIN_PASSWORD_FILE", path.to_str().unwrap());
    let source = SettingsSource::from_map([file]);
    assert_eq!(password(&source), "correct horse battery");
    let warning = format!(
        "ADMIN_PASSWORD: {} can be read by every user of the machine",
        path.display()
    );
    assert_eq!(source.warnings(), [warning]);

    let source = SettingsSource::from_map([file, ("APP_ENV", "production")]);
    let errors = AdminSettings::from_source(&source).unwrap_err().to_string();
    assert!(
        errors.contains("can be read by every user") && errors.contains("0400"),
        "{errors}"
    );
    write(&path, "correct horse battery", 0o440);
    assert_eq!(
        password(&SettingsSource::from_map([file, ("APP_ENV", "production")])),
        "correct horse battery"
    );
}

#[test]
fn every_error_of_every_section_comes_at_once() {
    let source = SettingsSource::from_map([
        ("APP_ENV", "production"),
        ("SECRET_KEY", "abc"),
        ("API_PORT", "80000"),
        ("API_REQUEST_TIMEOUT_SECONDS", "0"),
        ("DATABASE_URL", "mysql://u:p@h/d"),
        ("DATABASE_POOL_SIZE", "many"),
        ("REDIS_PORT", "0"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "inof"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("SENTRY_DSN", "sentry"),
    ]);
    let errors = ApiSettings::from_source(&source).unwrap_err();
    let names: Vec<_> = errors
        .errors()
        .iter()
        .map(|error| error.variable.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "SECRET_KEY",
            "ADMIN_PASSWORD",
            "API_PORT",
            "API_REQUEST_TIMEOUT_SECONDS",
            "DATABASE_URL",
            "DATABASE_POOL_SIZE",
            "REDIS_PORT",
            "REDIS_PORT",
            "LOG_LEVEL",
            "LOG_FORMAT",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "SENTRY_DSN",
        ],
        "{errors}"
    );
    assert_eq!(errors.to_string().lines().count(), names.len());
}

#[test]
fn strange_values_stay_on_one_line() {
    let source = SettingsSource::from_map([
        ("LOG_LEVEL", "info\nFAKE=line: is fine"),
        ("LOG_FORMAT", &"x".repeat(9000)),
    ]);
    let errors = LogSettings::from_source(&source).unwrap_err().to_string();
    assert_eq!(errors.lines().count(), 2, "{errors}");
    assert!(errors.len() < 1500, "{}", errors.len());
    let shown = describe(Process::Worker, &source);
    assert!(shown.lines().all(|line| line.contains("  # ")), "{shown}");
}

#[test]
fn describe_names_the_source_of_every_value() {
    let dir = dir(&[
        (
            ".env",
            "API_PORT=1001\nDATABASE_URL=postgres://app:canary@db/slipway\n",
        ),
        ("secret", "canary-canary\n"),
    ]);
    let path = dir.path().join("secret");
    let environment = [
        ("ADMIN_PASSWORD_FILE", path.to_str().unwrap()),
        ("LOG_LEVEL", "debug"),
    ];
    let source = SettingsSource::load_with(environment, dir.path()).unwrap();
    let shown = describe(Process::Api, &source);
    for line in [
        "API_PORT=1001  # .env",
        "API_HOST=127.0.0.1  # default",
        "LOG_LEVEL=debug  # environment",
        "DATABASE_URL=postgres://app:***@db/slipway  # .env",
        "SENTRY_DSN=  # not set",
        &format!("ADMIN_PASSWORD=<redacted>  # file {}", path.display()),
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line} is not in\n{shown}"
        );
    }
    assert!(!shown.contains("canary") && !shown.contains("AGENT_"), "{shown}");
    assert!(DatabaseSettings::from_source(&source).is_ok());
}
