//! The forms that types had in each release, read by this version. A file here is never changed: programs of that release
//! write so, and rows of it are in databases. New forms go into `next.json`; a release gives that its commit's name and a
//! line in [`FILES`].

#![expect(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use slipway_domain::agent::{Assignment, AttemptReport, Verdict};
use slipway_domain::event::NewEvent;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{Instruction, Observation, Phase, Role, RolloutState, StepState, Strategy};
use slipway_wire::access::{
    CreatePrincipal, CreateToken, LoginRequest, Principal, Token, TokenCreated, Whoami,
};
use slipway_wire::audit::{AuditReport, Event, EventQuery};
use slipway_wire::fleet::{
    CreateEnvironment, CreateHost, Environment, Host, HostCreated, HostQuery, RestoreHost, UpdateEnvironment,
    UpdateHost,
};
use slipway_wire::monitoring::{Health, Status};
use slipway_wire::page::{Page, PageQuery};
use slipway_wire::problem::Problem;
use slipway_wire::release::{
    CreateDraft, CreateRelease, Draft, DraftPage, Release, ReleaseSummary, SealDraft,
};
use slipway_wire::rollout::{CreateCommand, CreateRollout, Rollout, RolloutQuery, RolloutSummary};

/// Every release's file with its SHA-256.
const FILES: [(&str, &str); 1] = [(
    "880fbcd.json",
    "3afb183dab2ca4718aa5e1c49b56c7b89fabe5f97765adee577775f4883ab585",
)];

/// What the next release will have first; it may change until then.
const NEXT: &str = "next.json";

/// Reads a value as a type of this version and writes it anew.
type Reader = fn(Value) -> Result<Value, serde_json::Error>;

fn reader<T: DeserializeOwned + Serialize>(value: Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<T>(value)?)
}

/// What people send: an unknown field is a typing error.
const SENT: [(&str, Reader); 18] = [
    ("CreateCommand", reader::<CreateCommand>),
    ("CreateDraft", reader::<CreateDraft>),
    ("CreateEnvironment", reader::<CreateEnvironment>),
    ("CreateHost", reader::<CreateHost>),
    ("CreatePrincipal", reader::<CreatePrincipal>),
    ("CreateRelease", reader::<CreateRelease>),
    ("CreateRollout", reader::<CreateRollout>),
    ("CreateToken", reader::<CreateToken>),
    ("DraftPage", reader::<DraftPage>),
    ("EventQuery", reader::<EventQuery>),
    ("HostQuery", reader::<HostQuery>),
    ("LoginRequest", reader::<LoginRequest>),
    ("PageQuery", reader::<PageQuery>),
    ("RestoreHost", reader::<RestoreHost>),
    ("RolloutQuery", reader::<RolloutQuery>),
    ("SealDraft", reader::<SealDraft>),
    ("UpdateEnvironment", reader::<UpdateEnvironment>),
    ("UpdateHost", reader::<UpdateHost>),
];

/// What is stored or received: an unknown field is a newer program's.
const RECEIVED: [(&str, Reader); 30] = [
    ("Assignment", reader::<Assignment>),
    ("AttemptReport", reader::<AttemptReport>),
    ("AuditReport", reader::<AuditReport>),
    ("CommandKind", reader::<CommandKind>),
    ("Draft", reader::<Draft>),
    ("Environment", reader::<Environment>),
    ("Event", reader::<Event>),
    ("Health", reader::<Health>),
    ("Host", reader::<Host>),
    ("HostCreated", reader::<HostCreated>),
    ("Instruction", reader::<Instruction>),
    ("NewEvent", reader::<NewEvent>),
    ("Observation", reader::<Observation>),
    ("Page", reader::<Page<Release>>),
    ("Phase", reader::<Phase>),
    ("Principal", reader::<Principal>),
    ("Problem", reader::<Problem>),
    ("Release", reader::<Release>),
    ("ReleaseSummary", reader::<ReleaseSummary>),
    ("Role", reader::<Role>),
    ("Rollout", reader::<Rollout>),
    ("RolloutState", reader::<RolloutState>),
    ("RolloutSummary", reader::<RolloutSummary>),
    ("Status", reader::<Status>),
    ("StepState", reader::<StepState>),
    ("Strategy", reader::<Strategy>),
    ("Token", reader::<Token>),
    ("TokenCreated", reader::<TokenCreated>),
    ("Verdict", reader::<Verdict>),
    ("Whoami", reader::<Whoami>),
];

/// Types that come only as a part of another, whose fixture holds them.
const PARTS: [(&str, &str); 17] = [
    ("ActivationPlan", "Instruction"),
    ("Actor", "NewEvent"),
    ("Canary", "Strategy"),
    ("Dependency", "Health"),
    ("FieldProblem", "Problem"),
    ("HostStep", "Host"),
    ("Limits", "Strategy"),
    ("Offline", "Strategy"),
    ("OnFailure", "Strategy"),
    ("Share", "Strategy"),
    ("Source", "Release"),
    ("Step", "Rollout"),
    ("StoreDir", "Release"),
    ("StorePath", "Release"),
    ("TokenSecret", "TokenCreated"),
    ("Verify", "Strategy"),
    ("Written", "CreateRollout"),
];

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

fn fixtures() -> Vec<BTreeMap<String, Vec<Value>>> {
    let read = |name| serde_json::from_str(&fs::read_to_string(folder().join(name)).unwrap()).unwrap();
    let names = FILES.iter().map(|(name, _)| *name);
    names.chain([NEXT]).map(read).collect()
}

fn all() -> impl Iterator<Item = (String, Value)> {
    let of_one =
        |(name, values): (String, Vec<Value>)| values.into_iter().map(move |value| (name.clone(), value));
    fixtures().into_iter().flatten().flat_map(of_one)
}

fn find(name: &str) -> Reader {
    let found = SENT.iter().chain(&RECEIVED).find(|(known, _)| *known == name);
    found
        .unwrap_or_else(|| panic!("{name} has a fixture and no reader"))
        .1
}

#[test]
fn no_fixture_of_a_release_was_changed_or_is_missing() {
    let there: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let known = FILES.iter().map(|(name, _)| *name).chain([NEXT]);
    let known: BTreeSet<String> = known.map(ToOwned::to_owned).collect();
    assert_eq!(there, known, "every file is listed with its SHA-256");
    for (name, sum) in FILES {
        let bytes = fs::read(folder().join(name)).unwrap();
        assert_eq!(
            hex::encode(Sha256::digest(bytes)),
            sum,
            "{name} was changed: programs of that release still write so; put the new form into a file of its own"
        );
    }
}

/// Nothing that is known may be lost on the way, so the written value holds all that was read.
#[test]
fn every_fixture_is_read_and_nothing_known_is_lost() {
    for (name, value) in all() {
        let written = find(&name)(value.clone()).unwrap_or_else(|error| panic!("{name} {value}: {error}"));
        assert_holds(&name, &written, &value);
    }
}

fn assert_holds(at: &str, written: &Value, read: &Value) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (field, value) in read {
                let place = format!("{at}.{field}");
                match written.get(field) {
                    Some(there) => assert_holds(&place, there, value),
                    // Left out where it says nothing.
                    None => assert!(value.is_null(), "{place} is lost"),
                }
            }
        }
        (Value::Array(written), Value::Array(read)) => {
            assert_eq!(written.len(), read.len(), "{at}");
            for (written, read) in written.iter().zip(read) {
                assert_holds(at, written, read);
            }
        }
        _ => assert_eq!(written, read, "{at}"),
    }
}

#[test]
fn an_unknown_field_of_a_newer_program_is_passed_over_at_every_depth() {
    for (name, value) in all().filter(|(name, _)| RECEIVED.iter().any(|(known, _)| known == name)) {
        for changed in with_unknown_field(&value) {
            find(&name)(changed.clone()).unwrap_or_else(|error| panic!("{name} {changed}: {error}"));
        }
    }
}

#[test]
fn an_unknown_field_of_a_person_is_refused_at_every_depth() {
    for (name, value) in all().filter(|(name, _)| SENT.iter().any(|(known, _)| known == name)) {
        for changed in with_unknown_field(&value) {
            assert!(find(&name)(changed.clone()).is_err(), "{name} takes {changed}");
        }
    }
}

/// The value with one unknown field, once for each object in it. Maps whose keys are names take any key.
fn with_unknown_field(value: &Value) -> Vec<Value> {
    const MAPS: [&str; 3] = ["labels", "closures", "dependencies"];
    let mut all = Vec::new();
    match value {
        Value::Object(fields) => {
            let mut more = fields.clone();
            more.insert("of_a_later_release".to_owned(), json!({"a": [1]}));
            all.push(Value::Object(more));
            for (field, inner) in fields.iter().filter(|(field, _)| !MAPS.contains(&field.as_str())) {
                for inner in with_unknown_field(inner) {
                    let mut more = fields.clone();
                    more.insert(field.clone(), inner);
                    all.push(Value::Object(more));
                }
            }
        }
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                for item in with_unknown_field(item) {
                    let mut more = items.clone();
                    more[place] = item;
                    all.push(Value::Array(more));
                }
            }
        }
        _ => {}
    }
    all
}

/// Finds types by their source, so that a new one without a fixture is found here.
#[test]
fn every_type_that_is_stored_or_sent_has_a_fixture() {
    let with_fixture: BTreeSet<String> = all().map(|(name, _)| name).collect();
    for (part, whole) in PARTS {
        assert!(
            with_fixture.contains(whole),
            "{part} is said to be part of {whole}, which has none"
        );
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for sources in ["src", "../domain/src"] {
        find_types(&manifest.join(sources), &mut found);
    }
    assert!(found.len() > 40, "{found:?}");
    let lacking: Vec<_> = found
        .iter()
        .filter(|name| !with_fixture.contains(*name) && !PARTS.iter().any(|(part, _)| part == name))
        .collect();
    assert!(
        lacking.is_empty(),
        "no fixture holds these; add them to {NEXT}: {lacking:?}"
    );
}

fn find_types(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_types(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let mut derived = false;
            for line in text.lines() {
                derived |= line.starts_with("#[derive(") && line.contains("Deserialize");
                let item = ["pub struct ", "pub enum "]
                    .iter()
                    .find_map(|item| line.strip_prefix(item));
                if let Some(rest) = item {
                    if derived {
                        let name = |c: char| !c.is_ascii_alphanumeric();
                        found.push(rest.split(name).next().unwrap_or_default().to_owned());
                    }
                    derived = false;
                }
            }
        }
    }
}
