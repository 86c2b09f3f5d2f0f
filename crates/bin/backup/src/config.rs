//! One stack's configuration: a JSON file that the NixOS module writes. It holds no secret, only paths of secrets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::failure::{BackupFailure, Result, io};
use crate::kind::BackupKind;
use crate::members::Members;

/// The longest time that a setting may give, in seconds: a year.
const MOST_SECONDS: u64 = 366 * 24 * 3600;

/// Where the module puts one file a stack.
pub(crate) const FOLDER: &str = "/etc/slipway/backup";

/// What is backed up, where to, and how often it is expected.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The stack's name, the label of its metrics.
    pub(crate) stack: String,
    /// Records, locks, scratch and restored databases.
    pub(crate) state_dir: PathBuf,
    pub(crate) database: Database,
    /// The cluster whose member the server is; without it the server stands alone.
    pub(crate) cluster: Option<Members>,
    pub(crate) dump: Option<Dump>,
    pub(crate) wal: Option<Wal>,
    pub(crate) offsite: Option<Offsite>,
    pub(crate) verify: Option<Timed>,
    pub(crate) drill: Option<Drill>,
    #[serde(default)]
    pub(crate) exporter: Exporter,
    /// The systemd unit that does each kind of work as the right user, with its secrets.
    #[serde(default)]
    pub(crate) units: BTreeMap<BackupKind, String>,
    /// The account of the backups' units; root becomes it to ask the server how it is.
    pub(crate) user: Option<String>,
    /// The account that owns the server's files; root becomes it for restores.
    pub(crate) postgres_user: Option<String>,
}

/// The server and how it is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    pub(crate) name: String,
    /// A host name, or the folder of the server's socket.
    pub(crate) host: Option<String>,
    #[serde(default = "port")]
    pub(crate) port: u16,
    /// The role that reads everything.
    pub(crate) user: Option<String>,
    /// The role that creates databases, for restores.
    pub(crate) admin: Option<String>,
    /// A file with a `postgres://` URL, in place of host, port and user.
    pub(crate) url_file: Option<Secret>,
    pub(crate) password_file: Option<Secret>,
    /// The programs of the server's own major version.
    pub(crate) bin_dir: PathBuf,
    /// The server's data folder, where it is on this host.
    pub(crate) data_dir: Option<PathBuf>,
    /// The unit of the server, named in instructions.
    pub(crate) unit: Option<String>,
}

impl Database {
    /// The unit of the server, for instructions.
    pub(crate) fn unit(&self) -> &str {
        self.unit.as_deref().unwrap_or("postgresql.service")
    }
}

const fn port() -> u16 {
    5432
}

/// A secret: a systemd credential of this name if the unit has one, else the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secret {
    pub(crate) path: PathBuf,
    pub(crate) credential: Option<String>,
}

/// How long a kind of work may take, and how old its last success may be.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timed {
    #[serde(rename = "timeout_seconds", deserialize_with = "seconds")]
    pub(crate) timeout: Duration,
    #[serde(rename = "late_after_seconds", deserialize_with = "seconds")]
    pub(crate) late_after: Duration,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dump {
    pub(crate) directory: PathBuf,
    pub(crate) keep_days: u32,
    pub(crate) times: Timed,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wal {
    /// pgBackRest's own configuration.
    pub(crate) config: PathBuf,
    pub(crate) stanza: String,
    /// The repository on this host, if it is on this host.
    pub(crate) repository: Option<PathBuf>,
    pub(crate) full_every_days: u32,
    pub(crate) diff_every_days: u32,
    /// How long a segment may wait for the archive.
    #[serde(rename = "archive_late_after_seconds", deserialize_with = "seconds")]
    pub(crate) archive_late_after: Duration,
    pub(crate) times: Timed,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offsite {
    /// As restic's `--repo`; without secrets in it.
    pub(crate) repository: Option<String>,
    /// A file with the same, for addresses that hold a password.
    pub(crate) repository_file: Option<Secret>,
    pub(crate) password_file: Secret,
    /// Lines `NAME=value`, such as the keys of an S3 bucket.
    pub(crate) environment_file: Option<Secret>,
    /// restic's own options, such as `sftp.command=…`.
    #[serde(default)]
    pub(crate) options: Vec<String>,
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) keep: Keep,
    /// How much of the data a verification downloads and reads.
    #[serde(default = "subset")]
    pub(crate) read_percent: u8,
    pub(crate) times: Timed,
}

const fn subset() -> u8 {
    5
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keep {
    pub(crate) hourly: u32,
    pub(crate) daily: u32,
    pub(crate) weekly: u32,
    pub(crate) monthly: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drill {
    /// Where the scratch server's files are; the state's folder if not given.
    pub(crate) directory: Option<PathBuf>,
    #[serde(default = "jobs")]
    pub(crate) jobs: u32,
    pub(crate) times: Timed,
}

const fn jobs() -> u32 {
    2
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exporter {
    pub(crate) listen: SocketAddr,
}

impl Default for Exporter {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9103)),
        }
    }
}

/// Instants and durations are added up later, which must not overflow.
fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Duration, D::Error> {
    let seconds = u64::deserialize(deserializer)?;
    if seconds <= MOST_SECONDS {
        return Ok(Duration::from_secs(seconds));
    }
    let problem = format!("{seconds} s is more than a year; give at most {MOST_SECONDS}");
    Err(serde::de::Error::custom(problem))
}

impl Config {
    /// Reads and checks one file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(io("read the configuration", path))?;
        Self::parse(&text).map_err(|failure| {
            failure.during(path.display()).cure(
                "the NixOS module writes this file from services.slipway.stacks.<name>.backup: change it there; by \
                 hand, see docs/backup-and-restore.md",
            )
        })
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut json = serde_json::Deserializer::from_str(text);
        let config: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            match error.path().to_string().as_str() {
                "." => BackupFailure::new(error.inner().to_string()),
                path => BackupFailure::new(format!("`{path}`: {}", error.inner())),
            }
        })?;
        json.end()
            .map_err(|error| BackupFailure::new(error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let wrong = |field: &str, why: &str, cure: &str| {
            Err(BackupFailure::new(format!("`{field}` {why}")).cure(format!("set `{field}` {cure}")))
        };
        for (field, path) in self.paths() {
            if !path.is_absolute() {
                return wrong(&field, "is not an absolute path", "to a path that begins with /");
            }
        }
        for (field, secret) in self.secrets() {
            if secret.path.starts_with("/nix/store") {
                let why = "lies in the Nix store, which every account of the host can read";
                return wrong(
                    field,
                    why,
                    "to a path outside of it, such as one that agenix decrypts to",
                );
            }
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.stack.is_empty() || !self.stack.chars().all(plain) {
            return wrong("stack", "is not a name", "to letters, digits, `-`, `_` and `.`");
        }
        let database = &self.database;
        match (&database.url_file, &database.host, &database.user) {
            (Some(_), None, None) | (None, Some(_), Some(_)) => {}
            (Some(_), _, _) => {
                return wrong(
                    "database.url_file",
                    "contradicts database.host and database.user",
                    "or the other two",
                );
            }
            (None, ..) => {
                return wrong(
                    "database.host",
                    "or database.user is missing",
                    "and the other, or url_file",
                );
            }
        }
        if self.dump.as_ref().is_some_and(|dump| dump.keep_days == 0) {
            return wrong(
                "dump.keep_days",
                "is 0: every dump would be deleted at once",
                "to 1 or more",
            );
        }
        if let Some(wal) = &self.wal
            && (wal.full_every_days == 0 || wal.diff_every_days == 0)
        {
            return wrong(
                "wal.full_every_days",
                "or wal.diff_every_days is 0",
                "to 1 or more",
            );
        }
        if let Some(offsite) = &self.offsite {
            if offsite.repository.is_some() == offsite.repository_file.is_some() {
                return wrong(
                    "offsite.repository",
                    "or repository_file must be there, and not both",
                    "or the other",
                );
            }
            if offsite.paths.is_empty() {
                return wrong(
                    "offsite.paths",
                    "is empty: nothing would be copied",
                    "to the folders to copy",
                );
            }
            if offsite.read_percent > 100 {
                return wrong("offsite.read_percent", "is more than 100", "to 0 to 100");
            }
            let keep = offsite.keep;
            if keep.hourly + keep.daily + keep.weekly + keep.monthly == 0 {
                return wrong(
                    "offsite.keep",
                    "keeps nothing",
                    ": one of its numbers must be 1 or more",
                );
            }
        }
        if self.drill.is_some() && self.dump.is_none() && self.wal.is_none() {
            return wrong("drill", "has nothing to restore", "together with dump or wal");
        }
        if let Some(cluster) = &self.cluster {
            cluster.check()?;
        }
        if !self.exporter.listen.ip().is_loopback() {
            return wrong(
                "exporter.listen",
                "is not a loopback address",
                "to 127.0.0.1 or ::1 with a port",
            );
        }
        Ok(())
    }

    fn paths(&self) -> Vec<(String, &Path)> {
        let mut paths: Vec<(String, &Path)> = vec![
            ("state_dir".to_owned(), &self.state_dir),
            ("database.bin_dir".to_owned(), &self.database.bin_dir),
        ];
        if let Some(path) = &self.database.data_dir {
            paths.push(("database.data_dir".to_owned(), path));
        }
        if let Some(dump) = &self.dump {
            paths.push(("dump.directory".to_owned(), &dump.directory));
        }
        if let Some(wal) = &self.wal {
            paths.push(("wal.config".to_owned(), &wal.config));
            paths.extend(
                wal.repository
                    .iter()
                    .map(|path| ("wal.repository".to_owned(), path.as_path())),
            );
        }
        if let Some(offsite) = &self.offsite {
            let named = offsite.paths.iter().enumerate();
            paths.extend(named.map(|(n, path)| (format!("offsite.paths[{n}]"), path.as_path())));
        }
        if let Some(cluster) = &self.cluster {
            paths.push(("cluster.authority".to_owned(), &cluster.authority));
            paths.push(("cluster.certificate".to_owned(), &cluster.certificate));
            paths.push(("cluster.key".to_owned(), &cluster.key));
        }
        if let Some(path) = self.drill.as_ref().and_then(|drill| drill.directory.as_ref()) {
            paths.push(("drill.directory".to_owned(), path));
        }
        paths.extend(
            self.secrets()
                .into_iter()
                .map(|(field, secret)| (field.to_owned(), secret.path.as_path())),
        );
        paths
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        let offsite = self.offsite.as_ref();
        [
            ("database.url_file", self.database.url_file.as_ref()),
            ("database.password_file", self.database.password_file.as_ref()),
            (
                "offsite.repository_file",
                offsite.and_then(|o| o.repository_file.as_ref()),
            ),
            ("offsite.password_file", offsite.map(|o| &o.password_file)),
            (
                "cluster.operator_password_file",
                self.cluster.as_ref().map(|c| &c.operator_password_file),
            ),
            (
                "offsite.environment_file",
                offsite.and_then(|o| o.environment_file.as_ref()),
            ),
        ]
        .into_iter()
        .filter_map(|(field, secret)| Some((field, secret?)))
        .collect()
    }

    /// When the work of a kind is done, if it is done at all.
    pub(crate) fn times(&self, kind: BackupKind) -> Option<Timed> {
        match kind {
            BackupKind::Dump => self.dump.as_ref().map(|dump| dump.times),
            BackupKind::WalBase => self.wal.as_ref().map(|wal| wal.times),
            BackupKind::Offsite => self.offsite.as_ref().map(|offsite| offsite.times),
            BackupKind::Verify => self.verify,
            BackupKind::Drill => self.drill.as_ref().map(|drill| drill.times),
        }
    }

    /// A section, or a failure that names the option that turns it on.
    pub(crate) fn need<'a, T>(&self, section: Option<&'a T>, name: &str, option: &str) -> Result<&'a T> {
        section.ok_or_else(|| {
            BackupFailure::new(format!(
                "the stack `{}` has no `{name}` in its configuration",
                self.stack
            ))
            .cure(format!(
                "turn on services.slipway.stacks.{}.backup.{option}",
                self.stack
            ))
        })
    }

    /// The archive's section. It is an option of the host, which names the one stack whose backups have it.
    pub(crate) fn wal(&self) -> Result<&Wal> {
        self.wal.as_ref().ok_or_else(|| {
            BackupFailure::new(format!(
                "the backups of the stack `{}` have no `wal` in their configuration",
                self.stack
            ))
            .cure(
                "the archive is the whole server's: `slipway-backup --stack NAME` with the stack that \
                 services.slipway.backup.archive.stack names, or turn on services.slipway.backup.archive.enable",
            )
        })
    }

    /// Where drills and restores put servers of their own.
    pub(crate) fn scratch_dir(&self) -> PathBuf {
        self.drill
            .as_ref()
            .and_then(|drill| drill.directory.clone())
            .unwrap_or_else(|| self.state_dir.join("scratch"))
    }
}

/// The file of the configuration that a command line means.
pub(crate) fn find(file: Option<&Path>, stack: Option<&str>) -> Result<PathBuf> {
    if let Some(file) = file {
        return Ok(file.to_owned());
    }
    if let Some(stack) = stack {
        let file = Path::new(FOLDER).join(format!("{stack}.json"));
        if !file.exists() {
            return Err(BackupFailure::new(format!(
                "no stack `{stack}` is backed up here: {} is not there",
                file.display()
            ))
            .cure(format!(
                "`ls {FOLDER}` shows the stacks; run it on the stack's host, or say --config FILE"
            )));
        }
        return Ok(file);
    }
    let all = all(Path::new(FOLDER))?;
    match all.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(BackupFailure::new(format!("{FOLDER} has no configuration"))
            .cure("run it on a host with a stack's database and backup.enable, or say --config FILE")),
        several => {
            let names: Vec<_> = several
                .iter()
                .filter_map(|path| path.file_stem()?.to_str())
                .collect();
            Err(
                BackupFailure::new(format!("{FOLDER} has several stacks: {}", names.join(", ")))
                    .cure("say which one with --stack NAME"),
            )
        }
    }
}

/// Every configuration in a folder, by name.
pub(crate) fn all(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io("look for configurations in", folder))?,
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests;
