//! Strategies from files and from single fields.

use std::fmt::Write as _;

use serde_json::{Value, json};
use slipway_domain::Strategy;
use slipway_domain::strategy::strict::Written;

use crate::args::StrategyArgs;
use crate::{CliFailure, files};

/// Whether anything about the strategy was said.
pub(super) fn is_given(args: &StrategyArgs) -> bool {
    args.strategy.is_some() || !args.set.is_empty()
}

/// Whether single fields change a strategy that has to be fetched first.
pub(super) fn changes_the_old(args: &StrategyArgs) -> bool {
    args.strategy.is_none() && !args.set.is_empty()
}

/// The strategy that was asked for: the file's, or else `base`, with the single fields changed.
///
/// Only its form is checked. Whether it suits the fleet is the API's to say.
pub(super) fn build(args: &StrategyArgs, base: Strategy) -> Result<Strategy, CliFailure> {
    let mut strategy = match &args.strategy {
        None => base,
        Some(path) => {
            let text = files::read(path, "strategy file")?;
            // Fields by their order would be read too, which nobody means.
            let parsed = if text.trim_start().starts_with('[') {
                Err("it is a list".to_owned())
            } else {
                serde_json::from_str(&text)
                    .map(|Written(strategy)| strategy)
                    .map_err(|error| error.to_string())
            };
            parsed.map_err(|error| {
                CliFailure::usage(format!("{} is not a strategy: {error}", path.display()))
                    .help("it is a JSON object such as {\"canary\": 1, \"batch\": \"25%\"}; docs/rollouts.md has every field")
            })?
        }
    };
    for set in &args.set {
        strategy = apply(&strategy, set)?;
    }
    Ok(strategy)
}

fn apply(strategy: &Strategy, set: &str) -> Result<Strategy, CliFailure> {
    let Some((field, value)) = set.split_once('=') else {
        return Err(
            CliFailure::usage(format!("--set {set} has no `=`")).help("give FIELD=VALUE, such as batch=2")
        );
    };
    let internal = |error: serde_json::Error| CliFailure::internal(format!("cannot write JSON: {error}"));
    let mut whole = serde_json::to_value(strategy).map_err(internal)?;
    if let Value::Object(fields) = &mut whole {
        // A strategy leaves out what is usual.
        for (field, usual) in [
            ("order", json!([])),
            ("skip_checks", json!([])),
            ("reboot", json!(strategy.reboot)),
            ("allow_pending_reboot", json!(false)),
        ] {
            fields.entry(field).or_insert(usual);
        }
        if let Some(Value::Object(limits)) = fields.get_mut("limits") {
            let usual = json!(strategy.limits.reboot_seconds);
            limits.entry("reboot_seconds").or_insert(usual);
        }
    }
    let known = fields("", &whole);
    let pointer = format!("/{}", field.replace('.', "/"));
    match whole.pointer_mut(&pointer) {
        Some(place) if known.iter().any(|name| name == field) => *place = parse(field, value),
        _ => {
            return Err(
                CliFailure::usage(format!("--set {set}: a strategy has no field `{field}`"))
                    .help(format!("its fields are {}", known.join(", "))),
            );
        }
    }
    serde_json::from_value(whole)
        .map(|Written(strategy)| strategy)
        .map_err(|error| CliFailure::usage(format!("--set {set}: {error}")))
}

/// What was typed, as JSON: numbers stay numbers, `web-1,web-2` for the canary and `role=db role=app` for the order are
/// lists, all else is text.
fn parse(field: &str, value: &str) -> Value {
    match serde_json::from_str(value) {
        Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::String(_))) => value,
        _ if field == "order" => value.split_whitespace().map(Value::from).collect(),
        _ if field == "canary" || field == "skip_checks" => {
            value.split(',').map(|name| Value::from(name.trim())).collect()
        }
        _ => Value::from(value),
    }
}

/// The names of all fields, those inside others with a dot.
fn fields(prefix: &str, value: &Value) -> Vec<String> {
    let Value::Object(map) = value else {
        return vec![prefix.to_owned()];
    };
    map.iter()
        .flat_map(|(name, value)| {
            let name = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            fields(&name, value)
        })
        .collect()
}

/// A strategy as lines `field  value`.
pub(super) fn text(strategy: &Strategy, indent: &str) -> String {
    let value = serde_json::to_value(strategy).unwrap_or_default();
    let names = fields("", &value);
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for name in names {
        let value = value.pointer(&format!("/{}", name.replace('.', "/")));
        let shown = match value {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        };
        let _ = writeln!(text, "{indent}{name:width$}  {shown}");
    }
    text
}

#[cfg(test)]
mod tests {
    use slipway_domain::strategy::{Canary, OnFailure, Share};

    use super::*;

    fn set(sets: &[&str]) -> Result<Strategy, CliFailure> {
        let args = StrategyArgs {
            strategy: None,
            set: sets.iter().map(ToString::to_string).collect(),
        };
        build(&args, Strategy::default())
    }

    /// Also those that a strategy leaves out where they are usual.
    #[test]
    fn every_field_that_there_is_can_be_set() {
        for (inside, unknown) in [
            ("", json!({ "x": 1 })),
            ("verify.", json!({ "verify": { "x": 1 } })),
            ("limits.", json!({ "limits": { "x": 1 } })),
        ] {
            let error = serde_json::from_value::<Written>(unknown)
                .err()
                .unwrap()
                .to_string();
            let (_, expected) = error.split_once("expected one of ").unwrap();
            let names = expected.split('`').skip(1).step_by(2);
            for name in names.filter(|name| !["verify", "limits"].contains(name)) {
                let usual = Strategy::default();
                let answer = apply(&usual, &format!("{inside}{name}=?")).map(drop);
                let said = answer
                    .err()
                    .map(|failure| format!("{failure:?}"))
                    .unwrap_or_default();
                assert!(!said.contains("has no field"), "{inside}{name}: {said}");
            }
        }
        assert_eq!(
            set(&["limits.reboot_seconds=90"]).unwrap().limits.reboot_seconds,
            90
        );
        assert!(set(&["allow_pending_reboot=true"]).unwrap().allow_pending_reboot);
    }

    #[test]
    fn single_fields_are_set() {
        let strategy = set(&[
            "batch=2",
            "max_unavailable=50%",
            "verify.passes=1",
            "on_failure=pause",
            "canary=web-1,web-2",
        ])
        .unwrap();
        assert_eq!(strategy.batch, Share::Number(2));
        assert_eq!(strategy.max_unavailable, Share::Percent(50));
        assert_eq!(strategy.verify.passes, 1);
        assert_eq!(strategy.on_failure, OnFailure::Pause);
        assert_eq!(
            strategy.canary,
            Canary::Hosts(vec!["web-1".parse().unwrap(), "web-2".parse().unwrap()])
        );
        assert_eq!(strategy.bake_seconds, Strategy::default().bake_seconds);
        assert_eq!(
            set(&["canary=[\"web-1\"]", "canary=0"]).unwrap().canary,
            Canary::Number(0)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (bad, said) in [
            ("batch", "has no `=`"),
            ("batches=2", "no field `batches`"),
            ("verify=1", "no field `verify`"),
            ("verify.=1", "no field `verify.`"),
            ("=1", "no field ``"),
            ("batch=-1", "--set batch=-1: "),
            (
                "batch=half",
                "--set batch=half: `half` is neither a number of hosts nor a percentage such as 25%",
            ),
            ("on_failure=shrug", "revert_rollout"),
            ("verify.passes=x", "--set verify.passes=x: "),
            ("canary=Web", "not a valid host name"),
        ] {
            let failure = format!("{:?}", set(&[bad]).unwrap_err());
            assert!(failure.contains(said), "{bad}: {failure}");
        }
    }
}
