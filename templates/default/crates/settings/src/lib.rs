//! Settings of every process, from its environment.
//!
//! The first place that has a variable wins: the environment, `.env.$APP_ENV`, `.env`, the default. A secret `X` may
//! also come as `X_FILE`, the path of a file, or as a systemd credential of that name. Everything that is wrong is
//! reported at once.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// A value that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value itself: only for what must have it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Everything that is wrong, one line each.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the settings cannot be used:\n  {}", .0.join("\n  "))]
pub struct Errors(pub Vec<String>);

/// What both processes read.
#[derive(Debug, Clone)]
pub struct Settings {
    pub database_url: Secret,
    pub database_pool_size: u32,
    /// Where the api listens when systemd hands over no socket.
    pub api: SocketAddr,
    /// How long requests may go on after SIGTERM.
    pub shutdown_grace: Duration,
    /// Where metrics are served; nowhere if unset.
    pub metrics: Option<SocketAddr>,
}

impl Settings {
    /// From the environment of this process and the files of its working directory.
    pub fn load() -> Result<Self, Errors> {
        Self::from_source(&Source::of_process(Path::new(".")))
    }

    pub fn from_source(source: &Source) -> Result<Self, Errors> {
        let mut errors = Vec::new();
        let api_host = parse(source, "API_HOST", IpAddr::from([127, 0, 0, 1]), &mut errors);
        let api_port: u16 = parse(source, "API_PORT", 8000, &mut errors);
        let metrics_host = parse(source, "METRICS_HOST", api_host, &mut errors);
        let metrics_port: u16 = parse(source, "METRICS_PORT", 0, &mut errors);
        let grace: u64 = parse(source, "API_SHUTDOWN_GRACE_SECONDS", 30, &mut errors);
        let database_pool_size = parse(source, "DATABASE_POOL_SIZE", 20, &mut errors);
        let database_url = database_url(source, &mut errors);
        match database_url {
            Some(database_url) if errors.is_empty() => Ok(Self {
                database_url,
                database_pool_size,
                api: SocketAddr::new(api_host, api_port),
                shutdown_grace: Duration::from_secs(grace),
                metrics: (metrics_port != 0).then(|| SocketAddr::new(metrics_host, metrics_port)),
            }),
            _ => Err(Errors(errors)),
        }
    }
}

/// `DATABASE_URL`, or the address put together from its parts.
fn database_url(source: &Source, errors: &mut Vec<String>) -> Option<Secret> {
    if let Some(url) = source.secret("DATABASE_URL", errors) {
        return Some(url);
    }
    let Some(host) = source.value("DATABASE_HOST") else {
        errors.push("DATABASE_URL: is not set; set it, DATABASE_URL_FILE or DATABASE_HOST".to_owned());
        return None;
    };
    let port: u16 = parse(source, "DATABASE_PORT", 5432, errors);
    let name = source.value("DATABASE_NAME").unwrap_or("app");
    let user = source.value("DATABASE_USER").unwrap_or("app");
    let password = source.secret("DATABASE_PASSWORD", errors);
    let password = password.map(|secret| format!("&password={}", encode(secret.expose())));
    Some(Secret(format!(
        "postgres:///{}?host={}&port={port}&user={}{}",
        encode(name),
        encode(host),
        encode(user),
        password.unwrap_or_default()
    )))
}

/// A text as part of a URL's query.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |url, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => url + &char::from(byte).to_string(),
        other => url + &format!("%{other:02X}"),
    })
}

fn parse<T: FromStr>(source: &Source, name: &str, default: T, errors: &mut Vec<String>) -> T {
    match source.value(name).map(str::parse) {
        None => default,
        Some(Ok(value)) => value,
        Some(Err(_)) => {
            let value = source.value(name).unwrap_or_default();
            errors.push(format!(
                "{name}={value}: is not a {}; change or remove it",
                std::any::type_name::<T>()
            ));
            default
        }
    }
}

/// Where values come from. Tests make one from pairs.
#[derive(Default)]
pub struct Source(HashMap<String, String>);

impl Source {
    fn of_process(folder: &Path) -> Self {
        let environment: HashMap<_, _> = std::env::vars().collect();
        let mut values = file(&folder.join(".env"));
        if let Some(name) = environment
            .get("APP_ENV")
            .or_else(|| values.get("APP_ENV"))
            .cloned()
        {
            values.extend(file(&folder.join(format!(".env.{name}"))));
        }
        values.extend(environment);
        Self(values)
    }

    /// An empty value is no value.
    fn value(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    fn secret(&self, name: &str, errors: &mut Vec<String>) -> Option<Secret> {
        if let Some(value) = self.value(name) {
            return Some(Secret(value.to_owned()));
        }
        let credential = |folder: &str| Path::new(folder).join(name);
        let path = match self.value(&format!("{name}_FILE")) {
            Some(path) => Path::new(path).to_owned(),
            None => self
                .value("CREDENTIALS_DIRECTORY")
                .map(credential)
                .filter(|path| path.exists())?,
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Some(Secret(text.trim_end_matches('\n').to_owned())),
            Err(error) => {
                errors.push(format!("{name}_FILE={}: cannot be read: {error}", path.display()));
                None
            }
        }
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Source {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        )
    }
}

/// The values of a settings file; none if there is no such file.
fn file(path: &Path) -> HashMap<String, String> {
    dotenvy::from_path_iter(path).map_or_else(|_| HashMap::new(), |lines| lines.flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_reported_at_once() {
        let source = Source::from([("API_PORT", "80000"), ("API_HOST", "here")]);
        let Errors(errors) = Settings::from_source(&source).unwrap_err();
        assert_eq!(errors.len(), 3);
        assert!(errors[0].starts_with("API_HOST=here: is not a"), "{errors:?}");
        assert!(errors[1].starts_with("API_PORT=80000: is not a"), "{errors:?}");
        assert!(errors[2].starts_with("DATABASE_URL: is not set"), "{errors:?}");
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let settings = Settings::from_source(&Source::from([("DATABASE_URL", "postgres:///x")])).unwrap();
        assert_eq!(settings.api, "127.0.0.1:8000".parse().unwrap());
        assert_eq!(settings.shutdown_grace, Duration::from_secs(30));
        assert_eq!(settings.metrics, None);
    }

    #[test]
    fn a_secret_may_come_as_a_file_and_is_not_shown() {
        let path = std::env::temp_dir().join(format!("settings-{}", std::process::id()));
        std::fs::write(&path, "p@ss word\n").unwrap();
        let source = Source::from([
            ("DATABASE_HOST", "/run/postgresql"),
            ("DATABASE_PASSWORD_FILE", path.to_str().unwrap()),
        ]);
        let settings = Settings::from_source(&source).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            settings.database_url.expose(),
            "postgres:///app?host=%2Frun%2Fpostgresql&port=5432&user=app&password=p%40ss%20word"
        );
        assert!(!format!("{settings:?}").contains("p%40ss"));
    }

    #[test]
    fn a_secret_file_that_is_missing_is_named() {
        let source = Source::from([("DATABASE_URL_FILE", "/nowhere")]);
        let Errors(errors) = Settings::from_source(&source).unwrap_err();
        assert!(
            errors[0].starts_with("DATABASE_URL_FILE=/nowhere: cannot be read"),
            "{errors:?}"
        );
    }
}
