//! Nix, by its programs: fetching, profiles and garbage collector roots.

mod explain;
mod roots;

use std::path::Path;
use std::time::Duration;

use slipway_domain::StorePath;

pub use explain::StageError;
pub(crate) use roots::Roots;

use crate::config::HostConfig;
use crate::program::{self, Ran};
use crate::text::last_lines;

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
    let mut command = config.command("nix-store");
    command.args(arguments);
    let (ran, output) = program::run(command, bound).await;
    match ran {
        Ran::Ended(status) if status.success() => Ok(()),
        Ran::Ended(_) => Err(explain::explain(closure, &output)),
        Ran::NotStarted(source) => Err(StageError::NoNix { source }),
        Ran::TimedOut => Err(StageError::TimedOut {
            closure: closure.clone(),
            seconds: bound.as_secs(),
            tail: last_lines(&output, 3),
        }),
    }
}

/// Makes the closure what the profile names.
pub(crate) async fn set_profile(config: &HostConfig, closure: &StorePath) -> Result<(), ProfileError> {
    let profile = config.profile.display().to_string();
    let mut command = config.command("nix-env");
    command.args(["--profile", &profile, "--set", closure.as_str()]);
    let (ran, output) = program::run(command, PROFILE_WITHIN).await;
    let problem = match ran {
        Ran::Ended(status) if status.success() => return Ok(()),
        Ran::Ended(_) => last_lines(&output, 5),
        Ran::NotStarted(error) => format!("cannot run nix-env: {error}; is it in the agent's PATH?"),
        Ran::TimedOut => format!(
            "nix-env did not end within {} s: {}",
            PROFILE_WITHIN.as_secs(),
            last_lines(&output, 3)
        ),
    };
    Err(ProfileError {
        profile,
        closure: closure.clone(),
        problem,
    })
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
