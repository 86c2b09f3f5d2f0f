//! An agent without a machine: it obeys at once, and its next report says so.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use slipway_domain::{HostName, Instruction, Observation, StorePath, Timestamp};

use super::plane::Plane;

/// One host with its agent's token.
pub(super) struct Agent {
    /// The host.
    pub(super) name: HostName,
    token: String,
    live: StorePath,
    boot_default: StorePath,
    report: Value,
    unsettled: Value,
}

/// A closure of a host at a version, which nobody builds.
pub(super) fn closure(host: &HostName, version: u32) -> Result<StorePath> {
    Ok(format!("/nix/store/{version:0>32}-nixos-system-{host}").parse()?)
}

impl Agent {
    /// An agent of a host that runs version 0.
    pub(super) fn new(name: HostName, token: String) -> Result<Self> {
        let live = closure(&name, 0)?;
        Ok(Self {
            name,
            token,
            boot_default: live.clone(),
            live,
            report: Value::Null,
            unsettled: Value::Null,
        })
    }

    /// What runs.
    pub(super) const fn live(&self) -> &StorePath {
        &self.live
    }

    /// Reports once and does what it is told.
    pub(super) async fn sync(&mut self, plane: &Plane) -> Result<()> {
        let told = plane
            .client(Some(&self.token))?
            .agent_sync(&self.observation()?, None)
            .await
            .with_context(|| format!("the sync of {} is not answered", self.name))?;
        match told {
            Instruction::Idle | Instruction::Probe { .. } => {}
            Instruction::Stage { attempt, .. } => self.report = report(attempt, "staged", &Value::Null),
            Instruction::Activate { attempt, closure, .. } => {
                let prior = std::mem::replace(&mut self.live, closure);
                self.unsettled = json!(attempt);
                self.report = report(attempt, "verified", &json!(prior));
            }
            Instruction::Commit { .. } => {
                self.boot_default = self.live.clone();
                self.unsettled = Value::Null;
                self.report["phase"] = json!("committed");
            }
            Instruction::Revert { attempt, prior, .. } => {
                let own: Option<StorePath> = serde_json::from_value(self.report["prior"].clone())?;
                self.live = own.or(prior).unwrap_or_else(|| self.live.clone());
                self.boot_default = self.live.clone();
                self.unsettled = Value::Null;
                self.report = report(attempt, "reverted", &json!(self.live));
            }
        }
        Ok(())
    }

    /// From JSON, as it comes over the wire: a field that a later version adds is left out, as an older agent does.
    fn observation(&self) -> Result<Observation> {
        // A rollout stops for a host whose clock is wrong.
        let clock: Timestamp = std::time::SystemTime::now().into();
        let observation = json!({
            "host": self.name,
            "agent_version": "0",
            "clock": clock,
            "boot_id": "b0075eed",
            "live": self.live,
            "boot_default": self.boot_default,
            "report": self.report,
            "unsettled": self.unsettled,
        });
        serde_json::from_value(observation).context("an observation of the last release cannot be read")
    }
}

fn report(attempt: slipway_domain::AttemptId, phase: &str, prior: &Value) -> Value {
    let verdict = if phase == "verified" {
        json!("pass")
    } else {
        Value::Null
    };
    json!({"attempt": attempt, "phase": phase, "prior": prior, "verdict": verdict, "message": null})
}

/// The closures of a version for these hosts, as a release names them.
pub(super) fn closures(agents: &[Agent], version: u32) -> Result<BTreeMap<String, String>> {
    agents
        .iter()
        .map(|agent| Ok((agent.name.to_string(), closure(&agent.name, version)?.to_string())))
        .collect()
}
