//! `etc/slipway/hooks.json`: programs that a closure has run before the switch to it and after its commit.
//!
//! A member of a cluster of Postgres hands its lead over before it is touched; an edge host gives its address away.
//! Hooks run as jobs, apart from the agent, each within its own time limit. They may be run more than once, so they must
//! be idempotent. docs/decisions/0101 says whose hooks run and when.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use slipway_domain::StorePath;
use slipway_domain::agent::{HookPoint, MAX_HOOKS_SECONDS};
use slipway_text::{LineLimit, find_hidden};

use crate::checks::{self, ManifestError};

/// Where it is in a closure. One without it has no hooks.
pub(crate) const FILE: &str = "etc/slipway/hooks.json";
/// A file larger than this is none of ours.
pub(crate) const MAX_BYTES: u64 = 1024 * 1024;
/// Hooks of one list. They run one after another.
const MAX_HOOKS: usize = 20;
/// What a hook gets where the file says nothing.
const DEFAULT_SECONDS: u32 = 120;
/// What ending a hook that hangs takes beyond its own time.
const END_SECONDS: u32 = 10;

/// A closure's hooks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookManifest {
    /// Before the switch to the closure, in this order.
    #[serde(default)]
    pub before_activate: Vec<Hook>,
    /// Once the host has settled on the closure, in this order.
    #[serde(default)]
    pub after_commit: Vec<Hook>,
}

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// What people call it; unique in the file.
    pub name: String,
    /// The program, by its absolute path, and its arguments.
    pub command: Vec<String>,
    /// For the whole run.
    #[serde(default = "default_seconds")]
    pub timeout_seconds: u32,
    /// What follows when it fails.
    #[serde(default)]
    pub on_failure: HookFailure,
}

/// What follows when a hook fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookFailure {
    /// The hooks after it do not run, and before a switch to a release there is no switch.
    #[default]
    Fail,
    /// It is noted, and everything goes on.
    Continue,
}

const fn default_seconds() -> u32 {
    DEFAULT_SECONDS
}

impl HookManifest {
    /// The hooks of a list.
    #[must_use]
    pub fn list(&self, point: HookPoint) -> &[Hook] {
        match point {
            HookPoint::BeforeActivate => &self.before_activate,
            HookPoint::AfterCommit => &self.after_commit,
        }
    }

    fn problem(&self) -> Option<String> {
        let mut names = BTreeSet::new();
        for point in [HookPoint::BeforeActivate, HookPoint::AfterCommit] {
            let (hooks, list) = (self.list(point), point.as_str());
            if hooks.len() > MAX_HOOKS {
                return Some(format!(
                    "{list} has {} hooks; {MAX_HOOKS} is the most",
                    hooks.len()
                ));
            }
            for hook in hooks {
                if let Some(problem) = hook.problem() {
                    return Some(format!("{list}: hook `{}`: {problem}", hook.name));
                }
                if !names.insert(&hook.name) {
                    return Some(format!("two hooks are named `{}`", hook.name));
                }
            }
            let seconds = seconds_of(hooks);
            if seconds > MAX_HOOKS_SECONDS {
                return Some(format!(
                    "the hooks of {list} may take {seconds} s together, {END_SECONDS} s to end each included; {MAX_HOOKS_SECONDS} is the most"
                ));
            }
        }
        None
    }
}

impl Hook {
    fn problem(&self) -> Option<String> {
        if self.name.is_empty()
            || self.name.chars().count() > 100
            || find_hidden(&self.name, LineLimit::One).is_some()
        {
            return Some("give it a name of 1 to 100 characters".to_owned());
        }
        if !self
            .command
            .first()
            .is_some_and(|program| program.starts_with('/'))
        {
            return Some("command must be a list that begins with the absolute path of a program".to_owned());
        }
        if self.command.iter().any(|word| word.contains('\0')) {
            return Some("command has a NUL character".to_owned());
        }
        (!(1..=MAX_HOOKS_SECONDS).contains(&self.timeout_seconds)).then(|| {
            format!(
                "timeout_seconds is {}; use 1 to {MAX_HOOKS_SECONDS}",
                self.timeout_seconds
            )
        })
    }

    /// The longest that it may take, with the time to end it.
    #[must_use]
    pub const fn most_seconds(&self) -> u32 {
        self.timeout_seconds.saturating_add(END_SECONDS)
    }
}

/// The longest that these hooks may take, one after another.
#[must_use]
pub fn seconds_of(hooks: &[Hook]) -> u32 {
    hooks.iter().map(Hook::most_seconds).fold(0, u32::saturating_add)
}

/// Reads a closure's hooks; none where it has no such file.
pub(crate) fn load(closure: &StorePath) -> Result<HookManifest, ManifestError> {
    match checks::read(closure, FILE, MAX_BYTES)? {
        (file, Some(text)) => parse(&file, &text),
        (_, None) => Ok(HookManifest::default()),
    }
}

fn parse(file: &str, text: &[u8]) -> Result<HookManifest, ManifestError> {
    let malformed = |problem: String| ManifestError::Malformed {
        file: file.to_owned(),
        problem,
    };
    if text.len() as u64 > MAX_BYTES {
        return Err(malformed(format!("it is larger than {MAX_BYTES} bytes")));
    }
    let broken = |error: serde_json::Error| malformed(error.to_string());
    if let Some(problem) = find_list_for_object(&serde_json::from_slice(text).map_err(broken)?) {
        return Err(malformed(problem.to_owned()));
    }
    let manifest: HookManifest = serde_json::from_slice(text).map_err(broken)?;
    manifest
        .problem()
        .map_or(Ok(manifest), |problem| Err(malformed(problem)))
}

/// Serde takes a list for an object too, so `[]` would be a file without hooks.
fn find_list_for_object(file: &Value) -> Option<&'static str> {
    let Some(lists) = file.as_object() else {
        return Some("it must be an object with the lists before_activate and after_commit");
    };
    let mut hooks = lists.values().filter_map(Value::as_array).flatten();
    hooks
        .any(Value::is_array)
        .then_some("a hook must be an object with name and command")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "/nix/store/x/etc/slipway/hooks.json";

    #[test]
    fn both_lists_are_read_with_their_defaults() {
        let text = r#"{"before_activate":[
            {"name":"hand over","command":["/bin/true","x"],"timeout_seconds":60,"on_failure":"continue"},
            {"name":"standby","command":["/bin/true"]}
        ]}"#;
        let manifest = parse(NAME, text.as_bytes()).unwrap();
        assert_eq!(manifest.before_activate[0].on_failure, HookFailure::Continue);
        assert_eq!(manifest.before_activate[1].on_failure, HookFailure::Fail);
        assert_eq!(manifest.before_activate[1].timeout_seconds, 120);
        assert_eq!(seconds_of(manifest.list(HookPoint::BeforeActivate)), 200);
        assert_eq!(manifest.after_commit, []);
        let again = serde_json::to_string(&manifest).unwrap();
        assert_eq!(parse(NAME, again.as_bytes()).unwrap(), manifest);
        assert_eq!(parse(NAME, b"{}").unwrap(), HookManifest::default());
    }

    #[test]
    fn a_closure_without_the_file_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let closure = folder.path().join("0123456789abcdfghijklmnpqrsvwxyz-system");
        std::fs::create_dir_all(closure.join("etc/slipway")).unwrap();
        let path: StorePath = closure.to_str().unwrap().parse().unwrap();
        assert_eq!(load(&path).unwrap(), HookManifest::default());
        std::fs::write(closure.join(FILE), "{").unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains(FILE) && error.contains("docs/agent.md"), "{error}");
    }

    #[test]
    fn what_is_odd_is_refused_with_file_and_reason() {
        let one = |hook: &str| format!("{{\"after_commit\":[{hook}]}}");
        let many = vec![r#"{"name":"a","command":["/a"]}"#; 21].join(",");
        for (text, problem) in [
            ("{".to_owned(), "EOF while parsing"),
            ("[]".to_owned(), "it must be an object"),
            (one(r#"["a",["/a"]]"#), "a hook must be an object"),
            (r#"{"after_comit":[]}"#.to_owned(), "unknown field `after_comit`"),
            (one(r#"{"command":["/a"]}"#), "missing field `name`"),
            (one(r#"{"name":"a"}"#), "missing field `command`"),
            (one(r#"{"name":"","command":["/a"]}"#), "a name of 1 to 100"),
            (
                one(r#"{"name":"a","command":["a"]}"#),
                "after_commit: hook `a`: command must be a list that begins with the absolute path",
            ),
            (one(r#"{"name":"a","command":[]}"#), "absolute path"),
            (one(r#"{"name":"a","command":"/a b"}"#), "invalid type: string"),
            (one(r#"{"name":"a","command":["/a","\u0000"]}"#), "NUL"),
            (
                one(r#"{"name":"a","command":["/a"],"timeout_seconds":0}"#),
                "timeout_seconds is 0; use 1 to 3600",
            ),
            (
                one(r#"{"name":"a","command":["/a"],"on_failure":"ignore"}"#),
                "unknown variant `ignore`, expected `fail` or `continue`",
            ),
            (
                one(r#"{"name":"a","command":["/a"],"timeout_seconds":1800},{"name":"b","command":["/a"],"timeout_seconds":1800}"#),
                "the hooks of after_commit may take 3620 s together",
            ),
            (one(&many), "after_commit has 21 hooks; 20 is the most"),
            (
                r#"{"before_activate":[{"name":"a","command":["/a"]}],"after_commit":[{"name":"a","command":["/a"]}]}"#
                    .to_owned(),
                "two hooks are named `a`",
            ),
        ] {
            let error = parse(NAME, text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
            assert!(error.starts_with(NAME), "{error}");
        }
    }
}
