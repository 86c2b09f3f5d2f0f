//! Whether trusted keys have signed a whole closure, however its parts came here.

use std::collections::BTreeSet;
use std::time::Duration;

use slipway_domain::StorePath;
use tokio::time::Instant;

use super::StageError;
use super::info::{self, NixQueryError, PathInfo};
use super::signature::{TrustedKey, is_signed};
use crate::config::HostConfig;

/// Paths on one command line: far below the kernel's limit.
const AT_ONCE: usize = 200;

/// Proof that every path of a closure is signed. Only this module makes it.
#[derive(Debug)]
pub(crate) struct SignatureProof(());

/// Checks every path of a closure that is in the store.
///
/// A part may have been built or added on this host. Its signature may still be in the caches, and counts if it is
/// for exactly the same content.
pub(crate) async fn check_signed(
    config: &HostConfig,
    closure: &StorePath,
    bound: Duration,
) -> Result<SignatureProof, StageError> {
    let until = Instant::now() + bound;
    let left = || until.saturating_duration_since(Instant::now());
    let unanswered = |error| stage_error(closure, bound, error);
    let settings = info::config(config, left()).await.map_err(unanswered)?;
    let keys = settings.trusted_public_keys().iter();
    let keys: Vec<TrustedKey> = keys.filter_map(|key| TrustedKey::parse(key)).collect();
    let parts = info::closure(config, closure.as_str(), left())
        .await
        .map_err(unanswered)?;
    let mut unsigned = not_signed(&parts, &keys);
    for cache in settings.substituters() {
        if unsigned.is_empty() {
            break;
        }
        for some in unsigned.chunks(AT_ONCE) {
            copy_signatures(config, cache, some, left()).await;
        }
        let parts = info::each(config, &unsigned, left()).await.map_err(unanswered)?;
        unsigned = not_signed(&parts, &keys);
    }
    match unsigned.first() {
        None => Ok(SignatureProof(())),
        Some(first) => {
            // The closure itself says more than any of its parts.
            let path = unsigned.iter().find(|path| *path == closure.as_str());
            Err(StageError::Unsigned {
                closure: closure.clone(),
                path: path.unwrap_or(first).clone(),
                unsigned: unsigned.len(),
                all: parts.len(),
            })
        }
    }
}

fn not_signed(parts: &[PathInfo], keys: &[TrustedKey]) -> Vec<String> {
    let unsigned = parts.iter().filter(|part| !is_signed(part, keys));
    let paths: BTreeSet<&String> = unsigned.map(|part| &part.path).collect();
    paths.into_iter().cloned().collect()
}

/// Copies a cache's signatures for these paths. Nix takes none for other content.
async fn copy_signatures(config: &HostConfig, cache: &str, paths: &[String], bound: Duration) {
    // The agent may have no home where Nix could remember what it looked up.
    let home = config.state_dir.join("cache");
    if let Err(error) = slipway_durable::private_folder(&home) {
        tracing::warn!(%error, "no folder for Nix's cache of look-ups");
    }
    let mut command = info::nix(config);
    command
        .env("XDG_CACHE_HOME", home)
        .args(["store", "copy-sigs", "--substituter", cache])
        .args(super::FRESH)
        .args(paths);
    let (outcome, output) = slipway_process::run(command, bound).await;
    if !outcome.is_success() {
        tracing::debug!(cache, output = %crate::text::last_lines(&output, 2), "no signatures from this cache");
    }
}

fn stage_error(closure: &StorePath, bound: Duration, error: NixQueryError) -> StageError {
    let closure = closure.clone();
    match error {
        NixQueryError::NotStarted(source) => StageError::NoNix { source },
        NixQueryError::TimedOut => StageError::TimedOut {
            closure,
            seconds: bound.as_secs(),
            tail: "nothing".to_owned(),
        },
        NixQueryError::Failed(tail) if tail.contains("is not valid") => {
            StageError::Vanished { closure, tail }
        }
        NixQueryError::Failed(tail) => StageError::Other { closure, tail },
    }
}
