//! What is sent and stored as each release wrote it, read by this version. New forms go into `next.json`.

#![expect(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use slipway_domain::agent::{Assignment, AttemptReport, Verdict};
use slipway_domain::event::NewEvent;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{
    AttemptPhase, Calendar, HostPlan, Instruction, Observation, Role, RolloutState, StepState, Strategy,
};
use slipway_fixtures::{
    Fixture, FixtureReader, assert_kept, assert_strict, assert_tolerant, assert_unchanged, reader, values,
};
use slipway_wire::access::{
    CreatePrincipal, CreateToken, LoginRequest, Principal, Token, TokenCreated, Whoami,
};
use slipway_wire::attachment::{
    AttachDocument, AttachedDocument, DocumentQuery, EntriesQuery, ReleaseComponents, ReleaseVulnerabilities,
};
use slipway_wire::audit::{AuditReport, Event, EventQuery};
use slipway_wire::backup::BackupPage;
use slipway_wire::fleet::{
    AdoptHost, CreateEnvironment, CreateFreeze, CreateHost, Environment, Host, HostCreated, RestoreHost,
    UpdateEnvironment, UpdateHost,
};
use slipway_wire::kept::{KeepRelease, KeptRelease, ReleaseRoots, RootsQuery};
use slipway_wire::message::{
    CreateDestination, Delivery, DeliveryQuery, DestinationCreated, Replayed, UpdateDestination,
};
use slipway_wire::monitoring::{Health, Status};
use slipway_wire::oidc::{FinishOidc, OidcBegun, OidcOffer};
use slipway_wire::output::{Output, OutputKnown, OutputPiece, OutputQuery};
use slipway_wire::page::{EnvironmentPageQuery, Page, PageQuery, RolloutPageQuery, TokenPageQuery};
use slipway_wire::plan::{ReleaseHostPlans, RolloutHostPlans};
use slipway_wire::preflight::{PreflightQuery, PreflightReport};
use slipway_wire::problem::Problem;
use slipway_wire::release::{
    CreateDraft, CreateRelease, CreateSignedRelease, Draft, DraftPage, Release, ReleaseManifest,
    ReleaseSummary, SealDraft,
};
use slipway_wire::rollout::{CreateCommand, CreateRollout, Rollout, RolloutPlan, RolloutSummary};
use slipway_wire::standing::{Fleet, FleetHosts, FleetHostsQuery, HostStanding};

const FIXTURES: [Fixture; 2] = [
    Fixture {
        file: "880fbcd.json",
        text: include_str!("fixtures/880fbcd.json"),
        sum: Some("3afb183dab2ca4718aa5e1c49b56c7b89fabe5f97765adee577775f4883ab585"),
    },
    Fixture {
        file: "next.json",
        text: include_str!("fixtures/next.json"),
        sum: None,
    },
];

/// What people send: an unknown field is a typing error.
const SENT: [(&str, FixtureReader); 36] = [
    ("AdoptHost", reader::<AdoptHost>),
    ("AttachDocument", reader::<AttachDocument>),
    ("CreateCommand", reader::<CreateCommand>),
    ("CreateDestination", reader::<CreateDestination>),
    ("CreateDraft", reader::<CreateDraft>),
    ("CreateEnvironment", reader::<CreateEnvironment>),
    ("CreateFreeze", reader::<CreateFreeze>),
    ("CreateHost", reader::<CreateHost>),
    ("CreatePrincipal", reader::<CreatePrincipal>),
    ("CreateRelease", reader::<CreateRelease>),
    ("CreateRollout", reader::<CreateRollout>),
    ("CreateSignedRelease", reader::<CreateSignedRelease>),
    ("CreateToken", reader::<CreateToken>),
    ("DeliveryQuery", reader::<DeliveryQuery>),
    ("DocumentQuery", reader::<DocumentQuery>),
    ("DraftPage", reader::<DraftPage>),
    ("EntriesQuery", reader::<EntriesQuery>),
    ("EnvironmentPageQuery", reader::<EnvironmentPageQuery>),
    ("EventQuery", reader::<EventQuery>),
    ("FinishOidc", reader::<FinishOidc>),
    ("FleetHostsQuery", reader::<FleetHostsQuery>),
    ("HostQuery", reader::<EnvironmentPageQuery>),
    ("KeepRelease", reader::<KeepRelease>),
    ("LoginRequest", reader::<LoginRequest>),
    ("OutputQuery", reader::<OutputQuery>),
    ("PageQuery", reader::<PageQuery>),
    ("PreflightQuery", reader::<PreflightQuery>),
    ("RestoreHost", reader::<RestoreHost>),
    ("RolloutPageQuery", reader::<RolloutPageQuery>),
    ("RolloutQuery", reader::<RolloutPageQuery>),
    ("RootsQuery", reader::<RootsQuery>),
    ("SealDraft", reader::<SealDraft>),
    ("TokenPageQuery", reader::<TokenPageQuery>),
    ("UpdateDestination", reader::<UpdateDestination>),
    ("UpdateEnvironment", reader::<UpdateEnvironment>),
    ("UpdateHost", reader::<UpdateHost>),
];

/// What is stored or received: an unknown field is a newer program's.
const RECEIVED: [(&str, FixtureReader); 54] = [
    ("Assignment", reader::<Assignment>),
    ("AttachedDocument", reader::<AttachedDocument>),
    ("AttemptReport", reader::<AttemptReport>),
    ("AuditReport", reader::<AuditReport>),
    ("BackupPage", reader::<BackupPage>),
    ("Calendar", reader::<Calendar>),
    ("CommandKind", reader::<CommandKind>),
    ("Delivery", reader::<Delivery>),
    ("DestinationCreated", reader::<DestinationCreated>),
    ("Draft", reader::<Draft>),
    ("Environment", reader::<Environment>),
    ("Event", reader::<Event>),
    ("Fleet", reader::<Fleet>),
    ("FleetHosts", reader::<FleetHosts>),
    ("Health", reader::<Health>),
    ("Host", reader::<Host>),
    ("HostCreated", reader::<HostCreated>),
    ("HostPlan", reader::<HostPlan>),
    ("HostStanding", reader::<HostStanding>),
    ("Instruction", reader::<Instruction>),
    ("KeptRelease", reader::<KeptRelease>),
    ("NewEvent", reader::<NewEvent>),
    ("Observation", reader::<Observation>),
    ("OidcBegun", reader::<OidcBegun>),
    ("OidcOffer", reader::<OidcOffer>),
    ("Output", reader::<Output>),
    ("OutputKnown", reader::<OutputKnown>),
    ("OutputPiece", reader::<OutputPiece>),
    ("Page", reader::<Page<Release>>),
    ("Phase", reader::<AttemptPhase>),
    ("PreflightReport", reader::<PreflightReport>),
    ("Principal", reader::<Principal>),
    ("Problem", reader::<Problem>),
    ("Release", reader::<Release>),
    ("ReleaseComponents", reader::<ReleaseComponents>),
    ("ReleaseHostPlans", reader::<ReleaseHostPlans>),
    ("ReleaseManifest", reader::<ReleaseManifest>),
    ("ReleaseRoots", reader::<ReleaseRoots>),
    ("ReleaseSummary", reader::<ReleaseSummary>),
    ("ReleaseVulnerabilities", reader::<ReleaseVulnerabilities>),
    ("Replayed", reader::<Replayed>),
    ("Role", reader::<Role>),
    ("Rollout", reader::<Rollout>),
    ("RolloutHostPlans", reader::<RolloutHostPlans>),
    ("RolloutPlan", reader::<RolloutPlan>),
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
const PARTS: [(&str, &str); 91] = [
    ("Accepted", "Host"),
    ("ActivationPlan", "Instruction"),
    ("Actor", "NewEvent"),
    ("ArchiveProgress", "BackupPage"),
    ("ArchiveStatus", "BackupPage"),
    ("Attachment", "AttachedDocument"),
    ("AttachmentKind", "AttachDocument"),
    ("AttemptOrigin", "Instruction"),
    ("AttemptPhase", "Observation"),
    ("Availability", "Observation"),
    ("Backup", "Observation"),
    ("BackupCluster", "BackupPage"),
    ("BackupKindStatus", "BackupPage"),
    ("BackupStatus", "BackupPage"),
    ("Canary", "Strategy"),
    ("Certificate", "Observation"),
    ("ClosureFacts", "Observation"),
    ("Cluster", "Observation"),
    ("ClusterMember", "Observation"),
    ("Component", "ReleaseComponents"),
    ("Confidential", "CreateDestination"),
    ("CutRest", "HostPlan"),
    ("DeliveryState", "Delivery"),
    ("Dependency", "Health"),
    ("Destination", "DestinationCreated"),
    ("DestinationKind", "CreateDestination"),
    ("Digest", "CreateCommand"),
    ("DoneCommand", "Rollout"),
    ("Drift", "Host"),
    ("EarlierDelivery", "Delivery"),
    ("EnvironmentRoles", "Principal"),
    ("FieldProblem", "Problem"),
    ("Filesystem", "Observation"),
    ("FilesystemRole", "Observation"),
    ("Finding", "PreflightReport"),
    ("Freeze", "Calendar"),
    ("FreezeOverride", "Rollout"),
    ("Hold", "Rollout"),
    ("HookPoint", "AttemptReport"),
    ("HooksReport", "AttemptReport"),
    ("HostCount", "Fleet"),
    ("HostDrift", "Host"),
    ("HostFacts", "Observation"),
    ("HostStep", "Host"),
    ("Limits", "Strategy"),
    ("Load", "Observation"),
    ("ManifestRef", "Instruction"),
    ("ManifestSummary", "Release"),
    ("Memory", "Observation"),
    ("Message", "Delivery"),
    ("MessageData", "Delivery"),
    ("MessageHost", "Delivery"),
    ("MessageKind", "Delivery"),
    ("Offline", "Strategy"),
    ("OnFailure", "Strategy"),
    ("Outcome", "PreflightReport"),
    ("Override", "Observation"),
    ("PlanEntry", "HostPlan"),
    ("PlanReport", "AttemptReport"),
    ("PlanSection", "HostPlan"),
    ("PlannedChange", "HostPlan"),
    ("PlannedChangeOf", "RolloutHostPlans"),
    ("PlannedGroup", "RolloutPlan"),
    ("PlannedHost", "RolloutPlan"),
    ("PlannedWave", "RolloutPlan"),
    ("Pressure", "Observation"),
    ("Reboot", "Strategy"),
    ("RebootReport", "AttemptReport"),
    ("ReleaseLabel", "Host"),
    ("ReleaseRoot", "ReleaseRoots"),
    ("ReleasedPath", "Host"),
    ("RunningHook", "AttemptReport"),
    ("SealKeyUse", "AuditReport"),
    ("Severity", "ReleaseVulnerabilities"),
    ("SeverityCount", "ReleaseVulnerabilities"),
    ("Share", "Strategy"),
    ("SharedPlan", "RolloutHostPlans"),
    ("SignatureSummary", "Release"),
    ("Source", "Release"),
    ("Step", "Rollout"),
    ("StoreDir", "Release"),
    ("StorePath", "Release"),
    ("SystemdState", "Observation"),
    ("TokenCommand", "Token"),
    ("TokenLimits", "Token"),
    ("TokenSecret", "TokenCreated"),
    ("UnplannedHost", "RolloutHostPlans"),
    ("Verify", "Strategy"),
    ("Vulnerability", "ReleaseVulnerabilities"),
    ("Window", "Calendar"),
    ("Written", "CreateRollout"),
];

#[test]
fn no_fixture_of_a_release_was_changed_or_is_missing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let there: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let known: BTreeSet<String> = FIXTURES.iter().map(|fixture| fixture.file.to_owned()).collect();
    assert_eq!(there, known, "every file is listed with its SHA-256");
    assert_unchanged(&FIXTURES);
}

#[test]
fn every_fixture_is_read_and_nothing_known_is_lost() {
    assert_kept(&FIXTURES, &[&SENT[..], &RECEIVED].concat());
}

#[test]
fn an_unknown_field_of_a_newer_program_is_passed_over_at_every_depth() {
    assert_tolerant(&FIXTURES, &RECEIVED);
}

#[test]
fn an_unknown_field_of_a_person_is_refused_at_every_depth() {
    assert_strict(&FIXTURES, &SENT);
}

/// Finds types by their source, so that a new one without a fixture is found here.
#[test]
fn every_type_that_is_stored_or_sent_has_a_fixture() {
    let with_fixture: BTreeSet<String> = values(&FIXTURES).into_iter().map(|(name, _)| name).collect();
    assert!(
        PARTS.is_sorted(),
        "whoever adds a part finds its place by the alphabet"
    );
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
        "no fixture holds these; add them to next.json: {lacking:?}"
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
