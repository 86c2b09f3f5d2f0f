//! The closures of the demo's hosts, as `nix/demo` takes them.

use std::path::PathBuf;

use serde::Serialize;

use crate::programs;

/// What the builder and the switch script call.
const TOOLS: [&str; 7] = ["mkdir", "chmod", "ln", "mv", "sleep", "setsid", "flock"];

/// How a closure behaves when it is activated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Switches as it should.
    Works,
    /// Its switch script never ends.
    Hangs,
    /// Its switch script prints six steps in four seconds and then some 2 MB, and switches.
    Prints,
    /// Its switch script says why and fails.
    Fails,
    /// It has no switch script.
    NoScript,
    /// It has no `checks.json`.
    NoChecks,
    /// Its `checks.json` is not one.
    BadChecks,
    /// It says that it is for another kind of machine, and switches all the same.
    OtherMachine,
}

/// One closure: the arguments of `nix/demo/closure.nix`.
#[derive(Debug, Clone, Serialize)]
pub struct Member {
    /// The host's name.
    pub host: String,
    /// What its service answers to `/version`.
    pub version: String,
    /// Where its service listens, on 127.0.0.1.
    pub port: u16,
    /// The host's folder, with its live link.
    pub state: PathBuf,
    /// The run's marker.
    pub run: String,
    /// The program of the service.
    pub service: PathBuf,
    /// PATH for builder and script.
    pub tools: String,
    /// The status of `/health`.
    pub health: u16,
    /// How it behaves.
    pub variant: Variant,
}

/// The folders of the few tools that builder and script need. With Nix each tool has a separate folder.
#[must_use]
pub fn tools_path() -> String {
    let mut folders: Vec<String> = Vec::new();
    for tool in TOOLS {
        let found = programs::find(tool).ok();
        if let Some(folder) = found
            .as_deref()
            .and_then(|file| file.parent())
            .and_then(|path| path.to_str())
            && folders.iter().all(|known| known != folder)
        {
            folders.push(folder.to_owned());
        }
    }
    folders.join(":")
}
