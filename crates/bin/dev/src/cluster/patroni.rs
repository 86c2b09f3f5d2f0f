//! What Patroni says of the cluster, and what it can be asked to do.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::json;

use super::files::{ETCD, OPERATOR_PASSWORD, PATRONI, Shared};
use super::member::Member;

/// One answer. A frozen member gives none.
const ANSWER: Duration = Duration::from_secs(3);
/// Patroni waits for the end of a switchover before it answers.
const SWITCHOVER: Duration = Duration::from_mins(1);
/// Bytes that a standby may be behind and count as whole.
const LAG: u64 = 1 << 20;

/// What a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PatroniRole {
    Leader,
    SyncStandby,
    Replica,
    #[serde(other)]
    Other,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct PatroniMember {
    pub(super) name: String,
    pub(super) role: PatroniRole,
    state: String,
    #[serde(default)]
    timeline: u64,
    #[serde(default)]
    lag: serde_json::Value,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct PatroniCluster {
    pub(super) members: Vec<PatroniMember>,
}

impl PatroniCluster {
    /// The name of who has a role.
    pub(super) fn find(&self, role: PatroniRole) -> Option<&str> {
        let found = self.members.iter().find(|member| member.role == role);
        found.map(|member| member.name.as_str())
    }

    /// What is missing to a leader with a synchronous standby and a replica, all of them close together.
    pub(super) fn missing(&self) -> Option<String> {
        for role in [
            PatroniRole::Leader,
            PatroniRole::SyncStandby,
            PatroniRole::Replica,
        ] {
            if self.members.iter().filter(|member| member.role == role).count() != 1 {
                return Some(format!("there is not one {role:?}: {:?}", self.members));
            }
        }
        let timeline = self.members.iter().map(|member| member.timeline).max();
        let bad = self.members.iter().find(|member| {
            let runs = matches!(member.state.as_str(), "running" | "streaming");
            let near = member.role == PatroniRole::Leader || member.lag.as_u64().is_some_and(|lag| lag < LAG);
            !runs || !near || Some(member.timeline) != timeline
        });
        bad.map(|member| format!("{member:?} of timeline {timeline:?}"))
    }
}

/// Asks members from outside of all of them.
#[derive(Debug)]
pub(super) struct Asker {
    client: reqwest::Client,
    password: String,
}

impl Asker {
    pub(super) fn create(shared: &Shared) -> Result<Self> {
        slipway_client::install_crypto_provider();
        let ca = std::fs::read(&shared.ca)?;
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&ca)?])
            .identity(reqwest::Identity::from_pem(
                format!("{}{}", shared.identity.0, shared.identity.1).as_bytes(),
            )?)
            .no_proxy()
            .timeout(ANSWER)
            // What was open before a cut proves nothing.
            .pool_max_idle_per_host(0);
        Ok(Self {
            client: client.build()?,
            password: shared.password(OPERATOR_PASSWORD).to_owned(),
        })
    }

    /// What a member's Patroni knows.
    pub(super) async fn cluster(&self, member: &Member) -> Result<PatroniCluster> {
        let url = format!("https://{}:{PATRONI}/cluster", member.network.address);
        let answer = self.client.get(&url).send().await?.error_for_status()?;
        answer.json().await.context("Patroni's answer is not as expected")
    }

    /// Whether a member's etcd is healthy.
    pub(super) async fn etcd_is_healthy(&self, member: &Member) -> bool {
        let url = format!("https://{}:{ETCD}/health", member.network.address);
        let Ok(answer) = self.client.get(&url).send().await else {
            return false;
        };
        let text = answer.text().await.unwrap_or_default();
        text.contains("true")
    }

    /// Asks the leader to hand over.
    pub(super) async fn switch_over(&self, leader: &Member) -> Result<()> {
        let url = format!("https://{}:{PATRONI}/switchover", leader.network.address);
        let request = self
            .client
            .post(&url)
            .timeout(SWITCHOVER)
            .basic_auth("patroni", Some(&self.password))
            .json(&json!({ "leader": leader.name }));
        let answer = request.send().await?;
        if !answer.status().is_success() {
            let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
            bail!("Patroni refuses the switchover ({status}): {text}");
        }
        Ok(())
    }
}
