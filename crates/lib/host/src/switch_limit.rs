//! `etc/slipway/activation.json`: the closure's own limit for the time of a switch to it.
//!
//! A stack's migrations and replicas have bounds of their own. A switch script that is ended before them leaves a migration
//! that runs on in the database.

use serde::Deserialize;
use slipway_domain::StorePath;
use slipway_domain::strategy::MAX_SECONDS;

use crate::checks::{self, ManifestError};

/// Its path in a closure. For a closure without it the strategy's limit holds.
const FILE: &str = "etc/slipway/activation.json";
/// A file larger than this is none of ours.
const MAX_BYTES: u64 = 4096;

/// Later versions may say more.
#[derive(Deserialize)]
struct SwitchLimit {
    seconds: u32,
}

/// What the closure says, in seconds.
pub(crate) fn load(closure: &StorePath) -> Result<Option<u32>, ManifestError> {
    let (file, Some(text)) = checks::read(closure, FILE, MAX_BYTES)? else {
        return Ok(None);
    };
    let problem = match serde_json::from_slice::<SwitchLimit>(&text) {
        Ok(SwitchLimit {
            seconds: seconds @ 1..=MAX_SECONDS,
        }) => return Ok(Some(seconds)),
        Ok(SwitchLimit { seconds }) => format!("seconds is {seconds}; use 1 to {MAX_SECONDS}"),
        Err(error) => error.to_string(),
    };
    Err(ManifestError::Malformed { file, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: Option<&str>) -> Result<Option<u32>, String> {
        let folder = tempfile::tempdir().unwrap();
        let closure = folder.path().join("0123456789abcdfghijklmnpqrsvwxyz-system");
        std::fs::create_dir_all(closure.join("etc/slipway")).unwrap();
        if let Some(text) = text {
            std::fs::write(closure.join(FILE), text).unwrap();
        }
        let closure: StorePath = closure.to_str().unwrap().parse().unwrap();
        load(&closure).map_err(|error| error.to_string())
    }

    #[test]
    fn a_closure_says_how_long_its_switch_may_take_or_nothing() {
        assert_eq!(of(None), Ok(None));
        assert_eq!(of(Some(r#"{"seconds":1280}"#)), Ok(Some(1280)));
        assert_eq!(of(Some(r#"{"seconds":1280,"later":true}"#)), Ok(Some(1280)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_file_and_the_cure() {
        for (text, cure) in [
            (r#"{"seconds":0}"#, "use 1 to 2592000"),
            (r#"{"seconds":2592001}"#, "use 1 to 2592000"),
            ("{}", "missing field `seconds`"),
        ] {
            let error = of(Some(text)).unwrap_err();
            assert!(error.contains(FILE) && error.contains(cure), "{error}");
        }
    }
}
