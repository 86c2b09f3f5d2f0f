//! Whoever holds the control plane, its database or its Redis can delay a host that has release keys, and nothing else.
//!
//! Real agents with a real api, worker, Postgres and Redis. The attacker here has the admin's token, all of the database and
//! the password of Redis. They do not have the key that signs releases.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::intruder::Intruder;
use common::rig::{Rig, reasons};
use slipway_dev::fleet::Variant;
use slipway_dev::stack::ENVIRONMENT;
use slipway_dev::stack::hosts::strategy;
use slipway_domain::digest::Digest;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::strategy::OnFailure;
use slipway_domain::{ReleaseId, RolloutState, StepState, StorePath};
use slipway_release::testing::{Signer, manifest, now};
use slipway_release::{Manifest, SignedManifest};
use slipway_wire::release::CreateSignedRelease;
use slipway_wire::rollout::{CreateCommand, CreateRollout, Rollout};

/// A stack whose hosts trust one key.
struct SignedStack {
    rig: Rig,
    signer: Signer,
}

impl SignedStack {
    async fn new(hosts: u16) -> Self {
        let signer = Signer::new();
        let rig = Rig::with_env(hosts, |folder| {
            let file = folder.join("release-keys");
            std::fs::write(&file, signer.public_key()).unwrap();
            vec![
                ("AGENT_ENVIRONMENT".to_owned(), ENVIRONMENT.to_owned()),
                ("AGENT_RELEASE_KEYS_FILE".to_owned(), file.display().to_string()),
            ]
        })
        .await;
        Self { rig, signer }
    }

    /// A manifest of these closures, one a host.
    fn manifest(&self, number: u64, closures: &[PathBuf]) -> Manifest {
        let paths: Vec<StorePath> = closures
            .iter()
            .map(|path| path.display().to_string().parse().unwrap())
            .collect();
        let hosts = self.rig.stack.hosts.iter().zip(&paths);
        let hosts: Vec<(&str, &StorePath)> = hosts.map(|(host, path)| (host.name.as_str(), path)).collect();
        let mut manifest = manifest(number, now(), &hosts);
        let checks = self.rig.checks.lock().unwrap();
        for entry in &mut manifest.hosts {
            entry.checks = Digest::of_bytes(&checks[entry.closure.as_path()]);
        }
        manifest
    }

    async fn register(&self, signed: &SignedManifest) -> ReleaseId {
        let request = CreateSignedRelease {
            manifest: signed.manifest.clone(),
            signatures: signed.signatures.clone(),
            message: None,
            name: None,
        };
        self.rig
            .stack
            .api
            .create_signed_release(&request)
            .await
            .unwrap()
            .id
    }

    async fn roll_out(&self, release: ReleaseId) -> Rollout {
        let request = CreateRollout {
            environment: ENVIRONMENT.parse().unwrap(),
            release: release.into(),
            strategy: Some(strategy(0, 1)),
            not_before: None,
            override_freeze: None,
            hosts: Vec::new(),
            reboot: false,
        };
        let begun = self.rig.stack.api.create_rollout(&request).await.unwrap();
        self.rig.finish(begun).await
    }

    /// The rollout changes no host, and shows why.
    async fn refuses(&self, release: ReleaseId, said: &str, version: &str) {
        let ended = self.roll_out(release).await;
        assert_eq!(
            ended.summary.state,
            RolloutState::Failed,
            "{said}: {}",
            reasons(&ended)
        );
        assert!(reasons(&ended).contains(said), "{said}: {}", reasons(&ended));
        let versions = self.rig.versions().await;
        assert!(
            versions.iter().all(|found| found == version),
            "{said}: {versions:?}"
        );
    }
}

#[tokio::test]
async fn whoever_holds_the_control_plane_runs_nothing_that_was_not_signed() {
    let it = SignedStack::new(1).await;
    let variants = [
        ("v1", Variant::Works),
        ("v2", Variant::Works),
        ("evil", Variant::Works),
    ];
    let mut closures = it.rig.publish(&variants).await;
    let evil = closures.remove(2);
    let mut intruder = Intruder::enter(&it.rig.stack.redis);
    let api = &it.rig.stack.api;

    let first = it.signer.sign(&it.manifest(10, &closures[0]));
    let first = it.register(&first).await;
    let done = it.roll_out(first).await;
    assert_eq!(done.summary.state, RolloutState::Succeeded, "{}", reasons(&done));
    let second = it.signer.sign(&it.manifest(11, &closures[1]));
    let second_release = it.register(&second).await;
    let done = it.roll_out(second_release).await;
    assert_eq!(done.summary.state, RolloutState::Succeeded, "{}", reasons(&done));
    assert_eq!(it.rig.versions().await, ["v2"]);

    // A closure that the cache's key signed, and no manifest: all that a control plane needs without release keys.
    let unsigned = it.rig.release(&evil).await;
    it.refuses(unsigned, "takes signed releases only", "v2").await;
    // A manifest of a key of one's own.
    let thief = Signer::new();
    let forged = it.register(&thief.sign(&it.manifest(12, &evil))).await;
    it.refuses(forged, "the trusted keys are", "v2").await;
    // A good one of another host, which the thief of the database would give to this one.
    let mut other = it.manifest(13, &evil);
    let signed_elsewhere = it.signer.sign(&Manifest {
        hosts: vec![slipway_release::HostEntry {
            name: "web-99".parse().unwrap(),
            ..other.hosts.remove(0)
        }],
        ..other
    });
    let carrier = it.register(&thief.sign(&it.manifest(14, &evil))).await;
    // The old release again, with the holes that the new one mended.
    it.refuses(first, "this host has committed number 11", "v2").await;

    // With the database: another manifest in the row. The audit log finds it before a host is asked.
    let row = |text: &str| {
        format!(
            "UPDATE release_manifests SET manifest = convert_to($m${text}$m$, 'UTF8') WHERE release_id = '{carrier}'"
        )
    };
    it.rig
        .stack
        .postgres
        .query("postgres", "slipway", &row(&signed_elsewhere.manifest))
        .await
        .unwrap();
    let request = CreateRollout {
        environment: ENVIRONMENT.parse().unwrap(),
        release: carrier.into(),
        strategy: None,
        not_before: None,
        override_freeze: None,
        hosts: Vec::new(),
        reboot: false,
    };
    let refused = api.create_rollout(&request).await.unwrap_err();
    assert!(
        refused.to_string().contains("changed the database by hand"),
        "{refused}"
    );
    assert!(!api.verify_audit().await.unwrap().whole);

    // With Redis' password: what an earlier program would have obeyed.
    let host = it.rig.stack.hosts[0].name.to_string();
    for (channel, message) in intruder.messages() {
        intruder.publish(&channel, &message);
        let forged = serde_json::json!({ "hosts": [[host, { "state": "staging", "closure": evil[0] }]] });
        intruder.publish(&channel, &forged.to_string());
    }
    assert_eq!(it.rig.versions().await, ["v2"]);
    assert!(!evil[0].exists(), "what nobody signed was fetched");
    it.rig.run.close().await.unwrap();
}

/// A strategy that somebody rewrote in the database commits nothing, whatever was signed.
#[tokio::test]
async fn a_strategy_that_was_rewritten_in_the_database_commits_nothing() {
    let it = SignedStack::new(1).await;
    let closures = it.rig.publish(&[("v1", Variant::Works)]).await;
    let before = it.rig.versions().await;
    let release = it.register(&it.signer.sign(&it.manifest(1, &closures[0]))).await;
    let mut slow = strategy(0, 1);
    slow.bake_seconds = 100;
    let request = CreateRollout {
        environment: ENVIRONMENT.parse().unwrap(),
        release: release.into(),
        strategy: Some(slow),
        not_before: None,
        override_freeze: None,
        hosts: Vec::new(),
        reboot: false,
    };
    let api = &it.rig.stack.api;
    let id = api.create_rollout(&request).await.unwrap().summary.id;
    let reach = async |there: &dyn Fn(&Rollout) -> bool| {
        let began = Instant::now();
        loop {
            let now = api.rollout(id).await.unwrap();
            if there(&now) {
                return now;
            }
            assert!(began.elapsed() < Duration::from_mins(2), "{}", reasons(&now));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    reach(&|now| now.steps[0].state == StepState::Verifying).await;
    let rewrite =
        format!("UPDATE rollouts SET strategy = strategy || '{{\"bake_seconds\": 0}}' WHERE id = '{id}'");
    it.rig
        .stack
        .postgres
        .query("postgres", "slipway", &rewrite)
        .await
        .unwrap();
    let paused = reach(&|now| now.summary.state == RolloutState::Paused).await;
    let why = paused.summary.reason.unwrap_or_default();
    assert!(why.contains("the strategy or a closure of rollout"), "{why}");
    assert!(!api.verify_audit().await.unwrap().whole);
    let abort = CreateCommand {
        command: CommandKind::Abort,
        reason: None,
        plan: None,
    };
    api.command_rollout(id, &abort).await.unwrap();
    reach(&|now| now.summary.state.is_terminal()).await;
    assert_eq!(it.rig.versions().await, before);
    it.rig.run.close().await.unwrap();
}

/// A release whose time is over while its hosts wait their turn reaches no further host.
#[tokio::test]
async fn a_release_that_expires_during_its_rollout_reaches_no_further_host() {
    let it = SignedStack::new(2).await;
    let closures = it.rig.publish(&[("v1", Variant::Works)]).await;
    let before = it.rig.versions().await;
    let mut late = it.manifest(1, &closures[0]);
    late.expires = now() + Duration::from_secs(20);
    let release = it.register(&it.signer.sign(&late)).await;
    let mut slow = strategy(1, 1);
    // The first host bakes until the manifest has expired.
    slow.bake_seconds = 25;
    // It stays: its prior is from before the keys.
    slow.on_failure = OnFailure::RevertHost;
    let request = CreateRollout {
        environment: ENVIRONMENT.parse().unwrap(),
        release: release.into(),
        strategy: Some(slow),
        not_before: None,
        override_freeze: None,
        hosts: Vec::new(),
        reboot: false,
    };
    let begun = it.rig.stack.api.create_rollout(&request).await.unwrap();
    let ended = it.rig.finish(begun).await;
    assert_ne!(ended.summary.state, RolloutState::Succeeded);
    assert!(reasons(&ended).contains("expired at"), "{}", reasons(&ended));
    assert_eq!(it.rig.versions().await[1], before[1]);
    it.rig.run.close().await.unwrap();
}
