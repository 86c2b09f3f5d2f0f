//! What Nix tells of itself and of paths, as JSON.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::process::Command;

use crate::config::HostConfig;
use crate::text::last_lines;
use slipway_process::{ProgramOutput, RunOutcome};

/// A path as the database has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PathInfo {
    /// Nix from 2.19 on has it as the key.
    #[serde(default)]
    pub(crate) path: String,
    pub(super) nar_hash: String,
    pub(crate) nar_size: u64,
    pub(super) references: Vec<String>,
    #[serde(default)]
    pub(super) signatures: Vec<String>,
}

/// A list until Nix 2.18, a map since; a path that is not there is null in it.
#[derive(Deserialize)]
#[serde(untagged)]
enum PathInfos {
    List(Vec<PathInfo>),
    Map(BTreeMap<String, Option<PathInfo>>),
}

/// The part of Nix's settings that signatures are checked by.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NixConfig {
    trusted_public_keys: NixSetting,
    substituters: NixSetting,
}

#[derive(Debug, Deserialize)]
struct NixSetting {
    value: Vec<String>,
}

impl NixConfig {
    pub(super) fn trusted_public_keys(&self) -> &[String] {
        &self.trusted_public_keys.value
    }

    pub(super) fn substituters(&self) -> &[String] {
        &self.substituters.value
    }
}

/// Nix did not answer, or not in a form that we know.
#[derive(Debug)]
pub(crate) enum NixQueryError {
    /// It could not be started.
    NotStarted(std::io::Error),
    /// It took too long.
    TimedOut,
    /// It failed, in these words.
    Failed(String),
}

/// Every path of the closure.
pub(crate) async fn closure(
    config: &HostConfig,
    path: &str,
    bound: Duration,
) -> Result<Vec<PathInfo>, NixQueryError> {
    path_infos(config, &["--recursive", path], bound).await
}

/// These paths alone.
pub(super) async fn each(
    config: &HostConfig,
    paths: &[String],
    bound: Duration,
) -> Result<Vec<PathInfo>, NixQueryError> {
    path_infos(config, paths, bound).await
}

async fn path_infos(
    config: &HostConfig,
    arguments: &[impl AsRef<OsStr>],
    bound: Duration,
) -> Result<Vec<PathInfo>, NixQueryError> {
    let mut command = nix(config);
    command.args(["path-info", "--json", "--sigs"]).args(arguments);
    match answer(command, bound).await? {
        PathInfos::List(list) => Ok(list),
        PathInfos::Map(map) => map
            .into_iter()
            .map(|(path, info)| match info {
                Some(info) => Ok(PathInfo { path, ..info }),
                None => Err(NixQueryError::Failed(format!("path '{path}' is not valid"))),
            })
            .collect(),
    }
}

/// Nix's settings as they are in force here.
pub(super) async fn config(config: &HostConfig, bound: Duration) -> Result<NixConfig, NixQueryError> {
    let mut command = nix(config);
    command.args(["show-config", "--json"]);
    answer(command, bound).await
}

/// The new command line of Nix, which a host's own settings may leave switched off.
pub(super) fn nix(config: &HostConfig) -> Command {
    let mut command = config.command("nix");
    command.args(["--extra-experimental-features", "nix-command"]);
    command
}

async fn answer<T: DeserializeOwned>(command: Command, bound: Duration) -> Result<T, NixQueryError> {
    let ProgramOutput {
        outcome,
        stdout,
        stderr,
    } = slipway_process::capture(command, bound).await;
    match outcome {
        RunOutcome::Exited(status) if status.success() => serde_json::from_slice(&stdout)
            .map_err(|error| NixQueryError::Failed(format!("its answer is not understood: {error}"))),
        RunOutcome::Exited(_) => Err(NixQueryError::Failed(last_lines(&stderr, 3))),
        RunOutcome::Failed(error) => Err(NixQueryError::NotStarted(error)),
        RunOutcome::TimedOut => Err(NixQueryError::TimedOut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_a_list_and_as_a_map() {
        let body =
            r#""narHash":"sha256-x","narSize":9,"references":[],"ca":"fixed:r:sha256:x","ultimate":true"#;
        let list = format!(r#"[{{"path":"/nix/store/a",{body}}}]"#);
        let map = format!(r#"{{"/nix/store/a":{{{body}}},"/nix/store/b":null}}"#);
        let Ok(PathInfos::List(list)) = serde_json::from_str(&list) else {
            panic!("no list");
        };
        assert_eq!((list[0].path.as_str(), list[0].nar_size), ("/nix/store/a", 9));
        let Ok(PathInfos::Map(map)) = serde_json::from_str(&map) else {
            panic!("no map");
        };
        assert!(map["/nix/store/a"].is_some() && map["/nix/store/b"].is_none());
    }
}
