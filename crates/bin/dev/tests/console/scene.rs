//! A stack with hosts that run a release, another release that waits, and a browser.

use serde_json::{Value, json};
use slipway_dev::fleet::Variant;
use slipway_dev::stack::ENVIRONMENT;
use slipway_dev::stack::hosts::strategy;
use slipway_domain::{AttachmentKind, ReleaseId, ReleaseRef, RolloutState, Strategy};
use slipway_wire::attachment::AttachDocument;
use slipway_wire::rollout::{CreateRollout, Rollout};

use super::browser::{Browser, Driver, Eyes};
use crate::common::rig::{Rig, reasons};

pub(crate) struct Scene {
    pub(crate) driver: Driver,
    pub(crate) rig: Rig,
    /// What waits.
    pub(crate) next: ReleaseId,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with_hosts(2).await
    }

    pub(crate) async fn with_hosts(hosts: u16) -> Self {
        let rig = Rig::new(hosts).await;
        let versions = [("v1", Variant::Works), ("v2", Variant::Works)];
        let closures = rig.publish(&versions).await;
        let done = rig.roll_out(&closures[0], strategy(0, 2)).await;
        assert_eq!(done.summary.state, RolloutState::Succeeded, "{}", reasons(&done));
        let next = rig.release(&closures[1]).await;
        let driver = Driver::start(&rig.run, rig.stack.nginx.api_url()).await;
        Self { driver, rig, next }
    }

    /// The administrator's token.
    pub(crate) fn admin(&self) -> String {
        let file = self.rig.run.dir.path().join("admin-token");
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    /// A browser in which the administrator is signed in.
    pub(crate) async fn admins(&self, eyes: Eyes) -> Browser {
        let browser = self.driver.open(eyes).await;
        browser.sign_in(&self.admin()).await;
        browser
    }

    /// Attaches a bill of materials and a report to the release that waits.
    pub(crate) async fn attach_documents(&self) {
        let components: Vec<Value> = (0..120)
            .map(|n| {
                let name = format!("library-{n:03}");
                json!({ "bom-ref": name, "name": name, "version": "1.2.3", "purl": format!("pkg:nix/{name}@1.2.3?output=out") })
            })
            .collect();
        let known = |n: usize, severity: &str, state: Value| {
            json!({ "id": format!("CVE-2026-{n:05}"), "ratings": [{ "severity": severity }],
                    "affects": [{ "ref": format!("library-{n:03}") }], "analysis": { "state": state } })
        };
        let document = json!({
            "bomFormat": "CycloneDX", "specVersion": "1.6", "components": components,
            "vulnerabilities": [known(1, "critical", Value::Null), known(2, "medium", json!("in_triage")),
                known(3, "low", Value::Null), known(4, "high", json!("not_affected"))],
        });
        for kind in [AttachmentKind::Sbom, AttachmentKind::Vulnerabilities] {
            let request = AttachDocument {
                kind,
                document: document.to_string(),
            };
            let api = &self.rig.stack.api;
            api.attach_document(&self.next.into(), &request).await.unwrap();
        }
    }

    /// Starts the release that waits.
    pub(crate) async fn start(&self, strategy: Strategy) -> Rollout {
        self.start_release(self.next.into(), strategy).await
    }

    /// Starts the release that ran before.
    pub(crate) async fn start_previous(&self, strategy: Strategy) -> Rollout {
        self.start_release("previous".parse().unwrap(), strategy).await
    }

    async fn start_release(&self, release: ReleaseRef, strategy: Strategy) -> Rollout {
        let request = CreateRollout {
            environment: ENVIRONMENT.parse().unwrap(),
            release,
            strategy: Some(strategy),
            not_before: None,
            override_freeze: None,
            hosts: Vec::new(),
            reboot: false,
        };
        self.rig.stack.api.create_rollout(&request).await.unwrap()
    }

    /// Starts it so that it bakes until somebody decides.
    pub(crate) async fn start_and_bake(&self) -> Rollout {
        let mut bakes = strategy(1, 1);
        bakes.bake_seconds = 600;
        bakes.limits.deadman_seconds = 1200;
        self.start(bakes).await
    }
}

/// The page of a rollout.
pub(crate) fn page_of(rollout: &Rollout) -> String {
    format!("/rollouts/{}", rollout.summary.number.unwrap())
}
