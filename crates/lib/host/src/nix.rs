//! Nix, by its programs: fetching, profiles and garbage collector roots.

mod collect;
mod explain;
mod info;
mod roots;
mod signature;
mod trust;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway_domain::StorePath;
use slipway_process::RunOutcome;

pub use collect::{CollectError, GenerationAge};
pub(crate) use collect::{collect, free_percent};
pub use explain::StageError;
pub(crate) use info::{NixQueryError, PathInfo, closure};
pub(crate) use roots::GcRoots;
pub(crate) use trust::{SignatureProof, check_signed};

use crate::config::HostConfig;
use crate::door::Runnable;
use crate::text::{last_lines, problem_of};

/// Moving a profile is a rename; only a database lock can make it wait.
const PROFILE_WITHIN: Duration = Duration::from_mins(2);

/// A look into Nix's database; only its lock can make it wait.
const VALIDITY_WITHIN: Duration = Duration::from_mins(1);

/// Earlier lookups do not count. A closure that was requested too early must be found later, and a late signature must
/// be seen. Nix would remember the one for an hour, the other for a month.
pub(crate) const FRESH: [&str; 6] = [
    "--option",
    "narinfo-cache-negative-ttl",
    "0",
    "--option",
    "narinfo-cache-positive-ttl",
    "0",
];

/// A profile could not be moved.
#[derive(Debug, thiserror::Error)]
#[error("cannot set the profile {profile} to {closure}: {problem}")]
pub struct ProfileError {
    profile: String,
    closure: StorePath,
    problem: String,
}

/// Fetches the closure, and makes `root` keep it from the garbage collector before Nix itself lets go of it. Nix's own
/// trusted keys decide whether it may come in. Nothing is ever built here.
pub(crate) async fn realise(
    config: &HostConfig,
    closure: &StorePath,
    root: &Path,
    bound: Duration,
) -> Result<(), StageError> {
    let mut command = config.command("nix-store");
    command
        .args(["--realise", closure.as_str(), "--add-root"])
        .arg(root)
        .args(["--max-jobs", "0", "--option", "builders", ""])
        .args(FRESH);
    let (outcome, output) = slipway_process::run(command, bound).await;
    match outcome {
        RunOutcome::Exited(status) if status.success() => Ok(()),
        RunOutcome::Exited(_) => Err(explain::explain(closure, &output)),
        RunOutcome::Failed(source) => Err(StageError::NoNix { source }),
        RunOutcome::TimedOut => Err(StageError::TimedOut {
            closure: closure.clone(),
            seconds: bound.as_secs(),
            tail: last_lines(&output, 3),
        }),
    }
}

/// Makes the closure what this profile names.
pub(crate) async fn set_profile(
    config: &HostConfig,
    profile: &Path,
    closure: &Runnable,
) -> Result<(), ProfileError> {
    let closure = closure.path();
    let profile = profile.display().to_string();
    let mut command = config.command("nix-env");
    command.args(["--profile", &profile, "--set", closure.as_str()]);
    let (outcome, output) = slipway_process::run(command, PROFILE_WITHIN).await;
    match problem_of("nix-env", &outcome, &output, PROFILE_WITHIN) {
        None => Ok(()),
        Some(problem) => Err(ProfileError {
            profile,
            closure: closure.clone(),
            problem,
        }),
    }
}

/// Whether a path is in the store by the word of Nix's database, not of its folder.
#[derive(Debug)]
pub(crate) enum Validity {
    /// It is.
    Valid,
    /// It is not.
    Invalid(String),
    /// The database cannot be asked.
    NoAnswer(String),
}

pub(crate) async fn validity(config: &HostConfig, path: &StorePath) -> Validity {
    let mut command = config.command("nix-store");
    command.args(["--check-validity", path.as_str()]);
    let (outcome, output) = slipway_process::run(command, VALIDITY_WITHIN).await;
    match problem_of("nix-store", &outcome, &output, VALIDITY_WITHIN) {
        None => Validity::Valid,
        Some(problem) if output.contains("is not valid") => Validity::Invalid(problem),
        Some(problem) => Validity::NoAnswer(problem),
    }
}

/// The systems that this host runs, booted, would boot, or has among its profile's generations. Root alone makes those
/// links.
pub(crate) fn known_systems(config: &HostConfig) -> BTreeSet<StorePath> {
    let fixed = [
        config.live_link.clone(),
        config.booted_link(),
        config.profile.clone(),
    ];
    let links = fixed
        .into_iter()
        .chain(generation_links(config).unwrap_or_default());
    links
        .filter_map(|link| resolve(config, &link).ok().flatten())
        .collect()
}

/// How many generations the profile has.
pub(crate) fn generations(config: &HostConfig) -> Option<u32> {
    u32::try_from(generation_links(config)?.len()).ok()
}

fn generation_links(config: &HostConfig) -> Option<Vec<PathBuf>> {
    let prefix = format!("{}-", config.profile.file_name()?.to_str()?);
    let entries = std::fs::read_dir(config.profile.parent()?).ok()?;
    let is_generation = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.strip_prefix(&prefix)?.strip_suffix("-link"))
            .is_some_and(|number| number.parse::<u64>().is_ok())
    };
    Some(
        entries
            .flatten()
            .map(|entry| entry.path())
            .filter(is_generation)
            .collect(),
    )
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
