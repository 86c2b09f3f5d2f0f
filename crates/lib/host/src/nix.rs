//! Nix, by its programs: fetching, profiles and garbage collector roots.

mod explain;
mod roots;

use std::path::Path;
use std::time::Duration;

use slipway_domain::StorePath;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

pub use explain::StageError;
pub(crate) use roots::Roots;

use crate::config::HostConfig;
use crate::process::ProcessId;
use crate::text::{Tail, last_lines};

/// What is kept of a program's output.
const TAIL_BYTES: usize = 16 * 1024;
/// Moving a profile is a rename; only a database lock can make it wait.
const PROFILE_WITHIN: Duration = Duration::from_mins(2);

/// A profile could not be moved.
#[derive(Debug, thiserror::Error)]
#[error("cannot set the profile {profile} to {closure}: {problem}")]
pub struct ProfileError {
    profile: String,
    closure: StorePath,
    problem: String,
}

struct Output {
    success: bool,
    tail: String,
}

/// Why a program gave no output.
enum Failure {
    Spawn(std::io::Error),
    TimedOut(String),
}

/// Fetches the closure. Nix's own trusted keys decide whether it may come in. Nothing is ever built here.
pub(crate) async fn realise(
    config: &HostConfig,
    closure: &StorePath,
    bound: Duration,
) -> Result<(), StageError> {
    let arguments = [
        "--realise",
        closure.as_str(),
        "--max-jobs",
        "0",
        "--option",
        "builders",
        "",
        // A closure that was asked for too early must be found once it is there.
        "--option",
        "narinfo-cache-negative-ttl",
        "0",
    ];
    match run(config, "nix-store", &arguments, bound).await {
        Ok(output) if output.success => Ok(()),
        Ok(output) => Err(explain::explain(closure, &output.tail)),
        Err(Failure::Spawn(source)) => Err(StageError::NoNix { source }),
        Err(Failure::TimedOut(tail)) => Err(StageError::TimedOut {
            closure: closure.clone(),
            seconds: bound.as_secs(),
            tail: last_lines(&tail, 3),
        }),
    }
}

/// Makes the closure what the profile names.
pub(crate) async fn set_profile(config: &HostConfig, closure: &StorePath) -> Result<(), ProfileError> {
    let profile = config.profile.display().to_string();
    let arguments = ["--profile", &profile, "--set", closure.as_str()];
    let problem = match run(config, "nix-env", &arguments, PROFILE_WITHIN).await {
        Ok(output) if output.success => return Ok(()),
        Ok(output) => last_lines(&output.tail, 5),
        Err(Failure::Spawn(error)) => format!("cannot run nix-env: {error}; is it in the agent's PATH?"),
        Err(Failure::TimedOut(tail)) => {
            format!(
                "nix-env did not end within {} s: {}",
                PROFILE_WITHIN.as_secs(),
                last_lines(&tail, 3)
            )
        }
    };
    Err(ProfileError {
        profile,
        closure: closure.clone(),
        problem,
    })
}

/// Runs a program to its end or the bound; its output's end is kept. When this is dropped, the program is killed.
async fn run(
    config: &HostConfig,
    program: &str,
    arguments: &[&str],
    bound: Duration,
) -> Result<Output, Failure> {
    let mut command = config.command(program);
    command.args(arguments);
    let (reader, writer) = std::io::pipe().map_err(Failure::Spawn)?;
    command.stdout(std::process::Stdio::null()).stderr(writer);
    let mut child = command.spawn().map_err(Failure::Spawn)?;
    // The command holds a copy of the pipe's writing end, without which reading never ends.
    drop(command);
    let mut reader =
        tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into()).map_err(Failure::Spawn)?;
    let mut tail = Tail::new(TAIL_BYTES);
    let work = async {
        let mut buffer = vec![0; 8 * 1024];
        while let Ok(count) = reader.read(&mut buffer).await {
            if count == 0 {
                break;
            }
            tail.push(&buffer[..count]);
        }
        child.wait().await
    };
    match timeout(bound, work).await {
        Ok(Ok(status)) => Ok(Output {
            success: status.success(),
            tail: tail.text(),
        }),
        Ok(Err(error)) => Err(Failure::Spawn(error)),
        Err(_) => {
            let leader = child.id().and_then(|pid| i32::try_from(pid).ok());
            if let Some(leader) = leader.and_then(ProcessId::of) {
                leader.end(true).await;
            }
            Err(Failure::TimedOut(tail.text()))
        }
    }
}

/// What a link names in the store, through any number of links between; `None` when there is nothing.
pub(crate) fn resolve(config: &HostConfig, link: &Path) -> std::io::Result<Option<StorePath>> {
    /// A profile is two links deep.
    const MAX_LINKS: usize = 16;
    let mut path = link.to_owned();
    for _ in 0..MAX_LINKS {
        if let Some(found) = path.to_str().and_then(|text| config.store_dir.parse(text).ok()) {
            return Ok(Some(found));
        }
        match std::fs::read_link(&path) {
            Ok(target) => {
                path = path
                    .parent()
                    .map_or_else(|| target.clone(), |parent| parent.join(&target));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
                return Err(std::io::Error::other(format!(
                    "{} leads to {}, which is not a path of the store {}",
                    link.display(),
                    path.display(),
                    config.store_dir
                )));
            }
            Err(error) => return Err(error),
        }
    }
    Err(std::io::Error::other(format!(
        "{} goes through more than {MAX_LINKS} links",
        link.display()
    )))
}
