//! Several settings at once, from files and credentials, as all four programs tell it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use slipway_settings::{
    AgentSettings, ApiSettings, MigrateSettings, Process, SettingsErrors, SettingsSource, WorkerSettings,
    describe,
};

use super::{KEY, good};

/// Several variables at once; `-NAME` takes a good one away.
const TOGETHER: &[Variables<'_>] = &[
    &[
        ("-SECRET_KEY", ""),
        ("-ADMIN_PASSWORD", ""),
        ("-DATABASE_URL", ""),
    ],
    &[("-AGENT_TOKEN", ""), ("-AGENT_HOST", ""), ("-AGENT_API_URL", "")],
    &[
        ("SECRET_KEY", ""),
        ("ADMIN_PASSWORD", ""),
        ("DATABASE_URL", ""),
        ("AGENT_TOKEN", ""),
        ("REDIS_URL", ""),
        ("SENTRY_DSN", ""),
    ],
    &[("-DATABASE_URL", ""), ("DATABASE_HOST", "db")],
    &[("-DATABASE_URL", ""), ("DATABASE_HOST", "/run/postgresql")],
    &[
        ("-DATABASE_URL", ""),
        ("DATABASE_PASSWORD", "x"),
        ("DATABASE_PORT", "0"),
    ],
    &[
        ("DATABASE_HOST", "db"),
        ("DATABASE_PORT", "0"),
        ("DATABASE_NAME", ""),
        ("DATABASE_USER", "u"),
        ("DATABASE_PASSWORD", "3c9d5f"),
    ],
    &[("DATABASE_SSL_MODE", "require")],
    &[("DATABASE_SSL_ROOT_CERT", "/ca")],
    &[
        ("DATABASE_URL", "postgres://u:3c9d5f@h/d"),
        ("DATABASE_SSL_ROOT_CERT", "/ca"),
    ],
    &[
        ("DATABASE_URL", "postgres://u:3c9d5f@h/d"),
        ("DATABASE_SSL_ROOT_CERT", "/ca"),
        ("DATABASE_SSL_MODE", "verify-ca"),
    ],
    &[
        ("DATABASE_URL", "postgres://u:3c9d5f@h/d?sslrootcert=/ca"),
        ("DATABASE_SSL_MODE", "verify-ca"),
    ],
    &[
        ("DATABASE_URL", "postgres://u:3c9d5f@h/d?sslrootcert=/ca"),
        ("DATABASE_SSL_MODE", "x"),
        ("DATABASE_SSL_ROOT_CERT", "/x"),
    ],
    &[
        ("DATABASE_URL", "postgres://u:3c9d5f@h/d?sslmode=x"),
        ("DATABASE_SSL_MODE", "x"),
        ("DATABASE_SSL_ROOT_CERT", "x"),
    ],
    &[
        ("-DATABASE_URL", ""),
        ("DATABASE_HOST", "h"),
        ("DATABASE_PASSWORD", "3c9d5f"),
        ("DATABASE_SSL_ROOT_CERT", "/ca"),
        ("DATABASE_SSL_MODE", "prefer"),
    ],
    &[
        ("REDIS_HOST", "h"),
        ("REDIS_PORT", "1"),
        ("REDIS_PASSWORD", "p"),
        ("REDIS_SENTINELS", "a"),
        ("REDIS_SENTINEL_MASTER", "m"),
    ],
    &[
        ("-REDIS_URL", ""),
        ("REDIS_PORT", "1"),
        ("REDIS_PASSWORD", "3c9d5f"),
        ("REDIS_POOL_SIZE", "7"),
        ("REDIS_SENTINEL_MASTER", "m"),
    ],
    &[
        ("-REDIS_URL", ""),
        ("REDIS_HOST", "h"),
        ("REDIS_SENTINEL_MASTER", "m"),
    ],
    &[
        ("-REDIS_URL", ""),
        ("REDIS_SENTINELS", "a"),
        ("REDIS_HOST", "h"),
        ("REDIS_PORT", "1"),
    ],
    &[
        ("-REDIS_URL", ""),
        ("REDIS_SENTINELS", "a:x"),
        ("REDIS_SENTINEL_MASTER", "m"),
        ("REDIS_PASSWORD", "3c9d5f"),
    ],
    &[("REDIS_URL", "redis://h"), ("REDIS_PORT", "0")],
    &[("METRICS_PORT", "8000")],
    &[("METRICS_PORT", "8000"), ("METRICS_HOST", "127.0.0.2")],
    &[
        ("METRICS_PORT", "8000"),
        ("METRICS_HOST", "127.0.0.2"),
        ("API_HOST", "127.0.0.2"),
    ],
    &[
        ("API_PORT", "0"),
        ("API_THREADS", "0"),
        ("LOG_LEVEL", "x\ny"),
        ("LOG_FORMAT", "xml"),
        ("SENTRY_DSN", "s"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:1"),
        ("AGENT_KEEP_RELEASES", "0"),
        ("SECRET_KEY_EARLIER", "ab,cd"),
        ("STORE_DIR", "x"),
        ("AGENT_API_URL", "http://h"),
    ],
    &[("APP_ENV", "prod"), ("SECRET_KEY", "ab"), ("API_PORT", "0")],
    &[
        ("CREDENTIALS_DIRECTORY", "{dir}/credentials"),
        ("-SECRET_KEY", ""),
        ("-ADMIN_PASSWORD", ""),
        ("-AGENT_TOKEN", ""),
    ],
    &[("CREDENTIALS_DIRECTORY", "{dir}/credentials")],
    &[("CREDENTIALS_DIRECTORY", ""), ("SECRET_KEY_FILE", "")],
    &[
        ("-SECRET_KEY", ""),
        ("SECRET_KEY_FILE", "{dir}/missing"),
        ("-ADMIN_PASSWORD", ""),
        ("ADMIN_PASSWORD_FILE", "{dir}/empty"),
        ("-AGENT_TOKEN", ""),
        ("AGENT_TOKEN_FILE", "{dir}/large"),
        ("-DATABASE_URL", ""),
        ("DATABASE_URL_FILE", "{dir}/binary"),
        ("-REDIS_URL", ""),
        ("REDIS_URL_FILE", "{dir}"),
        ("SENTRY_DSN_FILE", "relative"),
    ],
    &[
        ("-SECRET_KEY", ""),
        ("SECRET_KEY_FILE", "{dir}/link"),
        ("-ADMIN_PASSWORD", ""),
        ("ADMIN_PASSWORD_FILE", "{dir}/readable"),
        ("-REDIS_URL", ""),
        ("REDIS_HOST", "h"),
        ("REDIS_PASSWORD_FILE", "{dir}/missing"),
    ],
    &[
        ("SECRET_KEY_FILE", "{dir}/key"),
        ("DATABASE_PASSWORD_FILE", "{dir}/missing"),
        ("DATABASE_URL_FILE", "{dir}/key"),
    ],
    &[
        ("-SECRET_KEY", ""),
        ("SECRET_KEY_FILE", "{dir}/dangling"),
        ("-ADMIN_PASSWORD", ""),
        ("ADMIN_PASSWORD_FILE", "{dir}/newlines"),
        ("SENTRY_DSN_FILE", "{dir}/nul"),
    ],
    &[("-SECRET_KEY", ""), ("SECRET_KEY_FILE", "{dir}/a\nb")],
    &[
        ("API_PROT", "1"),
        ("REDIS_SOMETHING_ELSE", "1"),
        ("REDIS_PASSWORD_FIEL", "x"),
        ("API_PORT_FILE", "x"),
        ("DATABSE_URL", "x"),
        ("agent_host", "x"),
    ],
];

fn write(path: &Path, text: impl AsRef<[u8]>, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn secret_files(dir: &Path) {
    write(&dir.join("key"), format!("{KEY}\n"), 0o400);
    write(&dir.join("readable"), "correct horse battery\n", 0o444);
    write(&dir.join("empty"), "\n\r\n", 0o400);
    write(&dir.join("newlines"), "a\nb\n", 0o400);
    write(&dir.join("nul"), "a\u{0}b", 0o400);
    write(&dir.join("large"), "x".repeat(70_000), 0o400);
    write(&dir.join("binary"), [0xff, 0xfe], 0o400);
    std::os::unix::fs::symlink(dir.join("key"), dir.join("link")).unwrap();
    std::os::unix::fs::symlink(dir.join("nowhere"), dir.join("dangling")).unwrap();
    let credentials = dir.join("credentials");
    fs::create_dir(&credentials).unwrap();
    write(&credentials.join("SECRET_KEY"), format!("{KEY}\r\n"), 0o400);
    write(&credentials.join("ADMIN_PASSWORD"), "elevenchars", 0o400);
    write(&credentials.join("AGENT_TOKEN"), "", 0o400);
    write(&credentials.join("API_PORT"), "1", 0o400);
}

/// What all four programs say, each text once.
fn all(source: &SettingsSource) -> String {
    let mut messages: Vec<(String, Vec<&str>)> = Vec::new();
    let mut say = |who, result: Result<String, SettingsErrors>| {
        let text = match result {
            Ok(_) => "fine".to_owned(),
            Err(errors) => errors.to_string(),
        };
        match messages.iter_mut().find(|(other, _)| *other == text) {
            Some((_, by)) => by.push(who),
            None => messages.push((text, vec![who])),
        }
    };
    say(
        "api",
        ApiSettings::from_source(source).map(|settings| format!("{settings:?}")),
    );
    say(
        "worker",
        WorkerSettings::from_source(source).map(|settings| format!("{settings:?}")),
    );
    say(
        "migrate",
        MigrateSettings::from_source(source).map(|settings| format!("{settings:?}")),
    );
    say(
        "agent",
        AgentSettings::from_source(source).map(|settings| format!("{settings:?}")),
    );
    let mut text = String::new();
    for (message, by) in messages {
        writeln!(text, "{}:\n  {}", by.join(", "), message.replace('\n', "\n  ")).unwrap();
    }
    for warning in source.warnings() {
        writeln!(text, "warning: {warning}").unwrap();
    }
    text
}

pub(crate) fn several(text: &mut String) {
    let dir = tempfile::tempdir().unwrap();
    secret_files(dir.path());
    let place = dir.path().to_str().unwrap();
    for together in TOGETHER {
        for env in ["development", "production"] {
            let mut variables = good("");
            variables.insert("APP_ENV".to_owned(), env.to_owned());
            for (name, value) in *together {
                match name.strip_prefix('-') {
                    Some(name) => drop(variables.remove(name)),
                    None => drop(variables.insert((*name).to_owned(), value.replace("{dir}", place))),
                }
            }
            let source = SettingsSource::from_map(variables);
            writeln!(text, "\n## {together:?} in {env}\n").unwrap();
            text.push_str(&all(&source).replace(place, "DIR"));
        }
    }
}

type Variables<'a> = &'a [(&'a str, &'a str)];

/// `.env`, `.env.test` and the environment.
const FILES: &[(&str, &str, Variables<'_>)] = &[
    (
        "API_PROT=1\nREDIS_SOMETHING_QUITE_DIFFERENT=1\nPOSTGRES_PASSWORD=x\nAPI_PORT_FILE=x\n",
        "",
        &[],
    ),
    ("API_PORT=1\nAPI_PORT=2\n", "", &[]),
    ("API_PORT=1\nwhat\n", "", &[]),
    ("# c\n\nexport API_PORT=7\nLOG_LEVEL='a\n", "", &[]),
    ("API_PORT=\"1\" x\n", "", &[]),
    ("APP_ENV=staging\n", "", &[]),
    (
        "APP_ENV=test\nAPI_PORT=0\n",
        "API_PORT=65536\nLOG_FORMAT=xml\n",
        &[],
    ),
    ("APP_ENV=test\n", "APP_ENV=production\n", &[]),
    (
        "APP_ENV=production\n",
        "APP_ENV=production\nAPI_PORT=0",
        &[("APP_ENV", "test")],
    ),
    ("API_PORT=0\n", "", &[("API_PORT", "")]),
    (
        "API_PORT=0\nADMIN_PASSWORD=a\nADMIN_PASSWORD_FILE=/nowhere\n",
        "",
        &[("LOG_LEVEL", "x")],
    ),
    (
        "ADMIN_PASSWORD=a\n",
        "",
        &[("ADMIN_PASSWORD_FILE", "/nowhere"), ("APP_ENV", "test")],
    ),
    ("\u{feff}API_PORT=0\r\nLOG_LEVEL='info,x y'\r\n", "", &[]),
    (
        "LOG_LEVEL=$API_HOST\nAPI_HOST=${HOME}x\n",
        "",
        &[("HOME", "/root")],
    ),
];

pub(crate) fn files(text: &mut String) {
    for (base, test, environment) in FILES {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".env"), base).unwrap();
        fs::write(dir.path().join(".env.test"), test).unwrap();
        writeln!(text, "\n## .env {base:?}, .env.test {test:?}, {environment:?}\n").unwrap();
        match SettingsSource::load_with(environment.iter().copied(), dir.path()) {
            Ok(source) => text.push_str(&all(&source)),
            Err(errors) => writeln!(text, "load: {errors}").unwrap(),
        }
    }
    let dir = tempfile::tempdir().unwrap();
    for (what, bytes) in [
        ("binary", b"API_HOST=\xff\xfe\n".to_vec()),
        ("large", vec![b'#'; 1 << 21]),
    ] {
        fs::write(dir.path().join(".env"), bytes).unwrap();
        let errors = SettingsSource::load_with([("HOME", "/")], dir.path()).unwrap_err();
        let errors = errors.to_string().replace(dir.path().to_str().unwrap(), "DIR");
        writeln!(text, "\n## a {what} .env\n\n{errors}").unwrap();
    }
    for process in [Process::Api, Process::Worker, Process::Agent] {
        let mut variables = good("");
        variables.extend(
            [
                ("API_PORT", "0"),
                ("LOG_LEVEL", "a b'\n"),
                ("REDIS_URL", "unix:///s?pass=x&db=1"),
                ("SENTRY_DSN", "x"),
                ("AGENT_API_URL", "https://u:p@h"),
                ("DATABASE_NAME", "é\u{202e}"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let shown = describe(process, &SettingsSource::from_map(variables));
        writeln!(text, "\n## config of {}\n\n{shown}", process.as_str()).unwrap();
    }
}
