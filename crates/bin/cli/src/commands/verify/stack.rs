//! `/etc/slipway/stacks/<name>.json`: the description of a host's stack. The NixOS modules write it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use slipway_verify::{PageUrl, ReplicaAddress};

use crate::{CliFailure, files};

/// The versions there are. The second adds `domains`, `services` and `jobs`; a stack without them has the first.
const VERSIONS: [u32; 2] = [1, 2];

/// One stack of this host. Unknown fields are refused: a check that is not made must not look like one that passed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StackDescription {
    /// Of this form: 1 or 2.
    pub(super) version: u32,
    /// The stack's name, and the file's.
    pub(super) name: String,
    /// Whether it is Slipway's own: only that one has hosts and an audit log.
    #[serde(default)]
    pub(super) control_plane: bool,
    /// The name that it serves; none without a proxy.
    pub(super) domain: Option<String>,
    /// The address that clients use; none without a proxy.
    pub(super) url: Option<String>,
    /// The PEM file of the CA that signed its certificate, when that is no public one.
    #[serde(default)]
    pub(super) ca_file: Option<PathBuf>,
    /// Its api.
    pub(super) api: ApiListeners,
    /// Its worker.
    pub(super) worker: WorkerListeners,
    /// Further addresses that it serves.
    #[serde(default)]
    pub(super) domains: Vec<String>,
    /// Services of other shapes.
    #[serde(default)]
    pub(super) services: Vec<ServiceListeners>,
    /// Its scheduled jobs.
    #[serde(default)]
    pub(super) jobs: Option<JobRecords>,
    /// Its backup; none when it has none.
    pub(super) backup: Option<BackupPageAddress>,
    /// Units that must be active.
    pub(super) units: Vec<String>,
}

/// The api's replicas.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiListeners {
    /// Their Unix sockets.
    pub(super) sockets: Vec<PathBuf>,
    /// Their metrics' addresses.
    pub(super) metrics: Vec<String>,
}

/// The worker's replicas.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkerListeners {
    /// Their metrics' addresses.
    pub(super) metrics: Vec<String>,
}

/// The replicas of a service that is neither that api nor that worker.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceListeners {
    /// Its name.
    pub(super) name: String,
    /// Where each replica takes requests: `127.0.0.1:3000`, or `unix:/run/…`.
    #[serde(deserialize_with = "listeners")]
    pub(super) addresses: Vec<ReplicaAddress>,
    /// The path that tells of its health; none where a connection is enough.
    pub(super) path: Option<String>,
    /// The addresses of its metrics.
    pub(super) metrics: Vec<String>,
}

/// The scheduled jobs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct JobRecords {
    /// Their names.
    pub(super) names: Vec<String>,
    /// The file with the metrics of their runs.
    pub(super) metrics_file: PathBuf,
}

fn listeners<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ReplicaAddress>, D::Error> {
    Vec::<String>::deserialize(deserializer)?
        .into_iter()
        .map(|text| match text.strip_prefix("unix:") {
            Some(path) => Ok(ReplicaAddress::Socket(path.into())),
            None => text.parse().map(ReplicaAddress::Port).map_err(|_| {
                D::Error::custom(format!(
                    "`{text}` is neither an address with a port nor unix:PATH"
                ))
            }),
        })
        .collect()
}

/// Where to ask about backups.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BackupPageAddress {
    /// The status page of `slipway-backup exporter`.
    pub(super) status_url: String,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl StackDescription {
    /// All stacks in the folder, by name; none when there is no such folder.
    pub(super) fn all(folder: &Path) -> Result<Vec<Self>, CliFailure> {
        let mut names = Self::names(folder)?;
        names.sort();
        names.iter().map(|name| Self::load(folder, name)).collect()
    }

    /// The stack of this name.
    pub(super) fn named(folder: &Path, name: &str) -> Result<Self, CliFailure> {
        let names = Self::names(folder)?;
        if !names.iter().any(|known| known == name) {
            let help = if names.is_empty() {
                format!(
                    "{} describes none; run it on a host with stacks, or leave --stack out",
                    folder.display()
                )
            } else {
                format!("there are: {}", names.join(", "))
            };
            return Err(CliFailure::usage(format!("this host has no stack `{name}`")).help(help));
        }
        Self::load(folder, name)
    }

    fn names(folder: &Path) -> Result<Vec<String>, CliFailure> {
        let failed = |error: &io::Error| {
            CliFailure::usage(format!("cannot read the folder {}: {error}", folder.display()))
        };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| failed(&error))?.file_name();
            let name = name.to_string_lossy();
            names.extend(name.strip_suffix(".json").map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    fn load(folder: &Path, name: &str) -> Result<Self, CliFailure> {
        let path = folder.join(format!("{name}.json"));
        let text = files::read(&path, "description of a stack")?;
        parse(&text, name).map_err(|problem| {
            CliFailure::usage(format!(
                "{} is no description of a stack: {problem}",
                path.display()
            ))
            .help(
                "the NixOS modules write it: switch the host to a system of the same version as this slipway",
            )
        })
    }
}

fn parse(text: &str, name: &str) -> Result<StackDescription, String> {
    let Versioned { version } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if !VERSIONS.contains(&version) {
        return Err(format!(
            "it has version {version}, and this slipway knows {} and {}",
            VERSIONS[0], VERSIONS[1]
        ));
    }
    let stack: StackDescription = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if stack.name != name {
        return Err(format!(
            "its name is `{}`, and the file's is `{name}`",
            stack.name
        ));
    }
    if let Some(path) = stack
        .api
        .sockets
        .iter()
        .chain(&stack.ca_file)
        .find(|path| !path.is_absolute())
    {
        return Err(format!("`{}` is no absolute path", path.display()));
    }
    let urls = stack
        .url
        .iter()
        .chain(&stack.api.metrics)
        .chain(&stack.worker.metrics)
        .chain(&stack.domains)
        .chain(stack.services.iter().flat_map(|service| &service.metrics));
    let status = stack.backup.iter().map(|backup| &backup.status_url);
    for url in urls.chain(status) {
        PageUrl::parse(url).map_err(|error| error.summary())?;
    }
    Ok(stack)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{
        "version": 1, "name": "shop", "domain": "shop.example.com", "url": "https://shop.example.com",
        "api": {"sockets": ["/run/slipway/shop/api-1.sock"], "metrics": ["http://127.0.0.1:9100/metrics"]},
        "worker": {"metrics": []}, "backup": {"statusUrl": "http://127.0.0.1:9103/status?stack=shop"},
        "units": ["shop.target"]
    }"#;

    #[test]
    fn what_is_wrong_is_told() {
        let stack = parse(GOOD, "shop").unwrap();
        assert!(!stack.control_plane && stack.ca_file.is_none());
        for (from, to, said) in [
            (
                "\"version\": 1",
                "\"version\": 3",
                "version 3, and this slipway knows 1 and 2",
            ),
            ("\"version\": 1,", "", "missing field `version`"),
            ("\"units\"", "\"unit\"", "unknown field `unit`"),
            ("\"backup\"", "\"backups\"", "unknown field `backups`"),
            ("\"/run/slipway", "\"run/slipway", "is no absolute path"),
            (":9100/", ":99100/", "its port is not a number from 1 to 65535"),
            ("https://shop", "https//shop", "it has no scheme"),
            ("[\"shop.target\"]", "\"shop.target\"", "expected a sequence"),
            (
                "\"units\"",
                r#""services": [{"name": "web", "addresses": ["here"], "path": null, "metrics": []}], "units""#,
                "`here` is neither an address with a port nor unix:PATH",
            ),
        ] {
            let problem = parse(&GOOD.replacen(from, to, 1), "shop").unwrap_err();
            assert!(problem.contains(said), "{problem}");
        }
        assert!(
            parse(GOOD, "store")
                .unwrap_err()
                .contains("the file's is `store`")
        );
    }
}
