//! `etc/slipway/checks.json`: read once the closure is on the host, and refused if anything in it is wrong.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};

use http::Uri;
use serde::{Deserialize, Serialize};
use slipway_domain::StorePath;
use slipway_text::{LineLimit, find_hidden};

use crate::door::Runnable;

/// Where it is in a closure.
pub(crate) const FILE: &str = "etc/slipway/checks.json";
/// A file larger than this is none of ours.
const MAX_BYTES: u64 = 1024 * 1024;
/// All checks of a round run at once.
const MAX_CHECKS: usize = 100;
/// The longest bound of one check, in seconds.
const MAX_TIMEOUT: u64 = 300;

/// A closure's checks cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// There is no such file.
    #[error(
        "{file} is missing: a closure must carry its checks, such as {{\"checks\":[{{\"name\":\"web\",\"type\":\"http\",\"url\":\"http://127.0.0.1:8000/health\"}}]}}"
    )]
    Missing {
        /// The file.
        file: String,
    },
    /// It cannot be read.
    #[error("{file} cannot be read")]
    Io {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{file} is malformed: {problem}; docs/agent.md describes the file")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A closure's checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckManifest {
    /// At least one; names are unique.
    pub checks: Vec<HealthCheck>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthCheck {
    /// What people call it.
    pub name: String,
    /// What is done.
    #[serde(flatten)]
    pub kind: HealthCheckKind,
}

/// What a check does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum HealthCheckKind {
    /// GETs a URL.
    Http {
        /// `http://` only.
        url: String,
        /// The one status that passes.
        expect_status: u16,
        /// For the whole exchange.
        timeout_seconds: u64,
    },
    /// Connects.
    Tcp {
        /// `host:port`.
        address: String,
        /// For the connection.
        timeout_seconds: u64,
    },
    /// Runs a program; status 0 passes.
    Command {
        /// The program, by its absolute path, and its arguments.
        command: Vec<String>,
        /// For the whole run.
        timeout_seconds: u64,
    },
    /// Looks at a systemd unit; `active` passes.
    Systemd {
        /// The unit's full name.
        unit: String,
    },
}

/// One check as written, with the fields of all types, so that the error for a wrong field can name its type.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckFields {
    name: String,
    r#type: CheckType,
    url: Option<String>,
    expect_status: Option<u16>,
    address: Option<String>,
    command: Option<Vec<String>>,
    unit: Option<String>,
    timeout_seconds: Option<u64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CheckType {
    Http,
    Tcp,
    Command,
    Systemd,
}

impl<'de> Deserialize<'de> for HealthCheck {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        CheckFields::deserialize(deserializer)?
            .check()
            .map_err(serde::de::Error::custom)
    }
}

impl CheckFields {
    fn check(self) -> Result<HealthCheck, String> {
        let name = self.name;
        let about = |problem: &str| format!("check `{name}`: {problem}");
        if name.is_empty() || name.len() > 100 || find_hidden(&name, LineLimit::One).is_some() {
            return Err(about("give it a name of 1 to 100 characters"));
        }
        let fields = [
            ("url", self.url.is_some()),
            ("expect_status", self.expect_status.is_some()),
            ("address", self.address.is_some()),
            ("command", self.command.is_some()),
            ("unit", self.unit.is_some()),
            ("timeout_seconds", self.timeout_seconds.is_some()),
        ];
        let (word, takes): (_, &[&str]) = match self.r#type {
            CheckType::Http => ("http", &["url", "expect_status", "timeout_seconds"]),
            CheckType::Tcp => ("tcp", &["address", "timeout_seconds"]),
            CheckType::Command => ("command", &["command", "timeout_seconds"]),
            CheckType::Systemd => ("systemd", &["unit"]),
        };
        if let Some((field, _)) = fields
            .iter()
            .find(|(field, is_set)| *is_set && !takes.contains(field))
        {
            return Err(about(&format!(
                "type `{word}` has no field `{field}`; it takes {}",
                takes.join(", ")
            )));
        }
        let seconds = |default| match self.timeout_seconds.unwrap_or(default) {
            seconds @ 1..=MAX_TIMEOUT => Ok(seconds),
            other => Err(about(&format!(
                "timeout_seconds is {other}; use 1 to {MAX_TIMEOUT}"
            ))),
        };
        let missing = |field: &str| about(&format!("type `{word}` needs the field `{field}`"));
        let kind = match self.r#type {
            CheckType::Http => {
                let url = self.url.ok_or_else(|| missing("url"))?;
                check_url(&url).map_err(|problem| about(&problem))?;
                let expect_status = self.expect_status.unwrap_or(200);
                if !(200..600).contains(&expect_status) {
                    return Err(about(&format!(
                        "expect_status is {expect_status}; use 200 to 599"
                    )));
                }
                HealthCheckKind::Http {
                    url,
                    expect_status,
                    timeout_seconds: seconds(5)?,
                }
            }
            CheckType::Tcp => {
                let address = self.address.ok_or_else(|| missing("address"))?;
                let port = address
                    .rsplit_once(':')
                    .filter(|(host, _)| !host.is_empty())
                    .and_then(|(_, port)| port.parse::<u16>().ok());
                if port.is_none_or(|port| port == 0) {
                    return Err(about(&format!(
                        "address `{address}` is not host:port, such as 127.0.0.1:5432"
                    )));
                }
                HealthCheckKind::Tcp {
                    address,
                    timeout_seconds: seconds(5)?,
                }
            }
            CheckType::Command => {
                let command = self.command.ok_or_else(|| missing("command"))?;
                if !command.first().is_some_and(|program| program.starts_with('/')) {
                    return Err(about(
                        "command must be a list that begins with the absolute path of a program",
                    ));
                }
                if command.iter().any(|word| word.contains('\0')) {
                    return Err(about("command has a NUL character"));
                }
                HealthCheckKind::Command {
                    command,
                    timeout_seconds: seconds(30)?,
                }
            }
            CheckType::Systemd => {
                let unit = self.unit.ok_or_else(|| missing("unit"))?;
                let named = unit
                    .rsplit_once('.')
                    .is_some_and(|(name, kind)| !name.is_empty() && !kind.is_empty());
                if !named
                    || unit.starts_with('-')
                    || unit.contains(|c: char| c.is_whitespace() || c.is_control())
                {
                    return Err(about(&format!(
                        "unit `{unit}` is not a unit's full name, such as nginx.service"
                    )));
                }
                HealthCheckKind::Systemd { unit }
            }
        };
        Ok(HealthCheck { name, kind })
    }
}

impl HealthCheck {
    /// How long it may take.
    pub(super) const fn timeout_seconds(&self) -> u64 {
        match self.kind {
            HealthCheckKind::Http { timeout_seconds, .. }
            | HealthCheckKind::Tcp { timeout_seconds, .. }
            | HealthCheckKind::Command { timeout_seconds, .. } => timeout_seconds,
            HealthCheckKind::Systemd { .. } => 10,
        }
    }
}

fn check_url(url: &str) -> Result<(), String> {
    let uri: Uri = url
        .parse()
        .map_err(|error| format!("url `{url}` is not a URL: {error}"))?;
    match uri.scheme_str() {
        Some("http") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(()),
        Some("https") => Err(format!(
            "url `{url}`: only http:// is checked; ask the service itself on this host, or use a command check"
        )),
        _ => Err(format!(
            "url `{url}` is not an address such as http://127.0.0.1:8000/health"
        )),
    }
}

/// Reads a closure's checks.
pub(crate) fn load(closure: &Runnable) -> Result<CheckManifest, ManifestError> {
    match read(closure.path(), FILE, MAX_BYTES)? {
        (file, Some(text)) => parse(&file, &text),
        (file, None) => Err(ManifestError::Missing { file }),
    }
}

/// The path of a closure's file and at most one byte more than `max_bytes` of it; `None` where there is no such file.
pub(crate) fn read(
    closure: &StorePath,
    name: &str,
    max_bytes: u64,
) -> Result<(String, Option<Vec<u8>>), ManifestError> {
    let path = closure.as_path().join(name);
    let file = path.display().to_string();
    let mut text = Vec::new();
    let read = File::open(&path).and_then(|opened| opened.take(max_bytes + 1).read_to_end(&mut text));
    match read {
        Ok(_) => Ok((file, Some(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((file, None)),
        Err(source) => Err(ManifestError::Io { file, source }),
    }
}

pub(super) fn parse(file: &str, text: &[u8]) -> Result<CheckManifest, ManifestError> {
    let malformed = |problem: String| ManifestError::Malformed {
        file: file.to_owned(),
        problem,
    };
    if text.len() as u64 > MAX_BYTES {
        return Err(malformed(format!("it is larger than {MAX_BYTES} bytes")));
    }
    let manifest: CheckManifest =
        serde_json::from_slice(text).map_err(|error| malformed(error.to_string()))?;
    let mut names = BTreeSet::new();
    if let Some(twice) = manifest.checks.iter().find(|check| !names.insert(&check.name)) {
        return Err(malformed(format!("two checks are named `{}`", twice.name)));
    }
    match manifest.checks.len() {
        0 => Err(malformed(
            "it has no checks, so any release would count as healthy; give at least one".to_owned(),
        )),
        1..=MAX_CHECKS => Ok(manifest),
        many => Err(malformed(format!(
            "it has {many} checks; {MAX_CHECKS} is the most"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse("/nix/store/x/etc/slipway/checks.json", text.as_bytes())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn every_type_is_read_with_its_defaults() {
        let text = r#"{"checks":[
            {"name":"web","type":"http","url":"http://127.0.0.1:8000/health"},
            {"name":"db","type":"tcp","address":"localhost:5432","timeout_seconds":2},
            {"name":"own","type":"command","command":["/bin/true","x"]},
            {"name":"nginx","type":"systemd","unit":"nginx.service"}
        ]}"#;
        let manifest = parse("f", text.as_bytes()).unwrap();
        assert_eq!(
            manifest.checks[0].kind,
            HealthCheckKind::Http {
                url: "http://127.0.0.1:8000/health".to_owned(),
                expect_status: 200,
                timeout_seconds: 5
            }
        );
        let again = serde_json::to_string(&manifest).unwrap();
        assert_eq!(parse("f", again.as_bytes()).unwrap(), manifest);
    }

    #[test]
    fn what_is_odd_is_refused_with_file_and_reason() {
        let one = |check: &str| format!("{{\"checks\":[{check}]}}");
        for (text, problem) in [
            ("{".to_owned(), "EOF while parsing"),
            ("[]".to_owned(), "malformed"),
            ("{}".to_owned(), "missing field `checks`"),
            ("{\"checks\":[]}".to_owned(), "it has no checks"),
            ("{\"checks\":[],\"x\":1}".to_owned(), "unknown field `x`"),
            (one(r#"{"type":"tcp","address":"a:1"}"#), "missing field `name`"),
            (
                one(r#"{"name":"","type":"tcp","address":"a:1"}"#),
                "a name of 1 to 100",
            ),
            (
                one(r#"{"name":"a","type":"ping"}"#),
                "unknown variant `ping`, expected one of `http`",
            ),
            (one(r#"{"name":"a","type":"http"}"#), "needs the field `url`"),
            (
                one(r#"{"name":"a","type":"http","url":"https://x/"}"#),
                "only http:// is checked",
            ),
            (
                one(r#"{"name":"a","type":"http","url":"/health"}"#),
                "is not an address",
            ),
            (
                one(r#"{"name":"a","type":"http","url":"http://x/","status":200}"#),
                "unknown field `status`",
            ),
            (
                one(r#"{"name":"a","type":"http","url":"http://x/","expect_status":99}"#),
                "use 200 to 599",
            ),
            (
                one(r#"{"name":"a","type":"tcp","address":"a:1","url":"http://x/"}"#),
                "type `tcp` has no field `url`",
            ),
            (
                one(r#"{"name":"a","type":"tcp","address":"localhost"}"#),
                "is not host:port",
            ),
            (
                one(r#"{"name":"a","type":"tcp","address":"a:1","timeout_seconds":0}"#),
                "use 1 to 300",
            ),
            (
                one(r#"{"name":"a","type":"command","command":["true"]}"#),
                "absolute path",
            ),
            (
                one(r#"{"name":"a","type":"command","command":[]}"#),
                "absolute path",
            ),
            (
                one(r#"{"name":"a","type":"systemd","unit":"nginx"}"#),
                "not a unit's full name",
            ),
            (
                one(r#"{"name":"a","type":"systemd","unit":"-H.service"}"#),
                "not a unit's full name",
            ),
            (
                one(r#"{"name":"a","type":"tcp","address":"a:1"},{"name":"a","type":"tcp","address":"a:2"}"#),
                "two checks are named `a`",
            ),
        ] {
            let error = refused(&text);
            assert!(error.contains(problem), "{text}: {error}");
            assert!(
                error.starts_with("/nix/store/x/etc/slipway/checks.json is malformed: "),
                "{error}"
            );
        }
    }
}
