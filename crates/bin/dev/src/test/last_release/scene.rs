//! The scenario: the programs of this checkout write rows of every kind. Those of the last release go on with these rows,
//! and then those of this checkout again.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use slipway_client::Client;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{EnvironmentName, Role, RolloutId, RolloutState, Strategy};
use slipway_wire::access::{CreatePrincipal, CreateToken, LoginRequest};
use slipway_wire::audit::EventQuery;
use slipway_wire::fleet::{CreateEnvironment, CreateHost};
use slipway_wire::page::{EnvironmentPageQuery, PageQuery};
use slipway_wire::release::{CreateRelease, Source};
use slipway_wire::rollout::{CreateCommand, CreateRollout};

use super::agent::{Agent, closure, closures};
use super::plane::{Plane, Programs, SharedDatabase};
use crate::postgres::DevPostgres;
use crate::run::Run;

/// No step of a rollout takes longer, with agents that obey at once.
const BOUND: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(100);

/// Plays it all.
pub(super) async fn play(run: &Run, postgres: &DevPostgres, new: &Programs, old: &Programs) -> Result<()> {
    let shared = SharedDatabase::create(run, postgres).await?;
    shared.migrate(run, "new", new).await?;
    let plane = Plane::start(run, "new", &shared, new).await?;
    let mut scene = Scene::set(&plane, &shared.admin_password).await?;
    scene.leave_everything_open(&plane).await?;
    plane.stop(run).await;

    // Going back: `migrate` runs first then, too, and has nothing to do.
    shared.migrate(run, "old", old).await?;
    let plane = Plane::start(run, "old", &shared, old).await?;
    scene
        .read_everything(&plane)
        .await
        .context("the last release cannot read it")?;
    scene
        .go_on(&plane)
        .await
        .context("the last release cannot go on with it")?;
    plane.stop(run).await;

    let plane = Plane::start(run, "again", &shared, new).await?;
    scene
        .read_everything(&plane)
        .await
        .context("this checkout cannot read what the last release wrote")?;
    scene
        .finish(&plane)
        .await
        .context("this checkout cannot go on with what the last release wrote")?;
    plane.stop(run).await;
    Ok(())
}

struct Scene {
    admin: String,
    approver: String,
    /// Of the environment `prod`.
    agents: Vec<Agent>,
    /// Of the environment `careful`, which asks for an approval.
    careful: Vec<Agent>,
    open: Option<RolloutId>,
    waiting: Option<RolloutId>,
}

impl Scene {
    /// Environments, people and hosts.
    async fn set(plane: &Plane, password: &str) -> Result<Self> {
        let login: LoginRequest = serde_json::from_value(json!({"name": "admin", "password": password}))?;
        let admin = plane.client(None)?.login(&login).await?.token.expose().to_owned();
        let client = plane.client(Some(&admin))?;
        for (name, approval_required) in [("prod", false), ("careful", true)] {
            let environment: CreateEnvironment = serde_json::from_value(json!({
                "name": name, "strategy": strategy()?, "approval_required": approval_required,
                // The admin makes the approver here, and starts what it approves.
                "related_approval_allowed": true,
            }))?;
            client.create_environment(&environment).await?;
        }
        let approver = CreatePrincipal {
            name: "grace".parse()?,
            role: Role::Approver,
            environment_roles: slipway_domain::EnvironmentRoles::default(),
        };
        client.create_principal(&approver).await?;
        let token = CreateToken {
            principal: Some("grace".parse()?),
            label: "a test".to_owned(),
            expires_in_days: Some(1),
            limits: slipway_domain::TokenLimits::default(),
            session: false,
        };
        let approver = client.create_token(&token).await?.token.expose().to_owned();
        Ok(Self {
            agents: hosts(&client, "prod", &["web-1", "web-2"]).await?,
            careful: hosts(&client, "careful", &["db-1"]).await?,
            admin,
            approver,
            open: None,
            waiting: None,
        })
    }

    /// One rollout that is over, one in the middle, and one that waits for an approval.
    async fn leave_everything_open(&mut self, plane: &Plane) -> Result<()> {
        let client = plane.client(Some(&self.admin))?;
        let first = start(&client, "prod", &self.agents, 1).await?;
        drive(plane, &client, &mut self.agents, first, RolloutState::Succeeded).await?;
        let second = start(&client, "prod", &self.agents, 2).await?;
        drive(plane, &client, &mut self.agents, second, RolloutState::Rolling).await?;
        self.open = Some(second);
        self.waiting = Some(start(&client, "careful", &self.careful, 1).await?);
        Ok(())
    }

    /// Every list and every thing in it, and the check of the log.
    async fn read_everything(&self, plane: &Plane) -> Result<()> {
        let client = plane.client(Some(&self.admin))?;
        for environment in client.environments().await? {
            client.environment(&environment.name).await?;
        }
        for host in client.hosts(&EnvironmentPageQuery::default()).await?.items {
            client.host(&host.name).await?;
        }
        client.principals().await?;
        client.tokens(&PageQuery::default()).await?;
        for release in client.releases(&PageQuery::default()).await?.items {
            client.release(release.id).await?;
        }
        for rollout in client.rollouts(&EnvironmentPageQuery::default()).await?.items {
            client.rollout(rollout.id).await?;
            client
                .rollout_events(rollout.id, &EventQuery::default(), None)
                .await?;
        }
        client.events(&EventQuery::default()).await?;
        let report = client.verify_audit().await?;
        ensure!(
            report.whole,
            "its log counts as broken at {:?}: {:?}",
            report.broken_at,
            report.problem
        );
        let health = client.health().await?;
        ensure!(
            health.status != slipway_wire::monitoring::Status::Down,
            "it is not well: {health:?}"
        );
        Ok(())
    }

    /// Syncs go on, the worker drives on, an approval is taken, a rollout of its own begins and is aborted.
    async fn go_on(&mut self, plane: &Plane) -> Result<()> {
        self.finish(plane).await?;
        for agent in &self.agents {
            ensure!(
                *agent.live() == closure(&agent.name, 2)?,
                "{} does not run the release",
                agent.name
            );
        }
        let client = plane.client(Some(&self.admin))?;
        let third = start(&client, "prod", &self.agents, 3).await?;
        drive(plane, &client, &mut self.agents, third, RolloutState::Rolling).await?;
        command(&client, third, CommandKind::Abort).await?;
        drive(plane, &client, &mut self.agents, third, RolloutState::Aborted).await?;
        let fourth = start(&client, "prod", &self.agents, 4).await?;
        drive(plane, &client, &mut self.agents, fourth, RolloutState::Rolling).await?;
        self.open = Some(fourth);
        self.waiting = Some(start(&client, "careful", &self.careful, 2).await?);
        Ok(())
    }

    /// What the last release began comes to its end.
    async fn finish(&mut self, plane: &Plane) -> Result<()> {
        let client = plane.client(Some(&self.admin))?;
        let open = self.open.take().context("no rollout was left open")?;
        drive(plane, &client, &mut self.agents, open, RolloutState::Succeeded).await?;
        let waiting = self.waiting.take().context("no rollout was left waiting")?;
        command(
            &plane.client(Some(&self.approver))?,
            waiting,
            CommandKind::Approve,
        )
        .await?;
        drive(
            plane,
            &client,
            &mut self.careful,
            waiting,
            RolloutState::Succeeded,
        )
        .await
    }
}

/// Every field that the last release knows, none with its default.
fn strategy() -> Result<Strategy> {
    let strategy = json!({
        "canary": ["web-1"], "batch": 1, "max_unavailable": "50%", "bake_seconds": 1,
        "verify": {"passes": 2, "interval_seconds": 1, "timeout_seconds": 30},
        "on_failure": "pause", "offline": "wait", "retries": 1,
        "limits": {"stage_seconds": 600, "activate_seconds": 200, "deadman_seconds": 900,
                   "revert_seconds": 300, "offline_seconds": 1200, "person_seconds": 3600},
    });
    serde_json::from_value(strategy).context("a strategy of the last release cannot be read")
}

async fn hosts(client: &Client, environment: &str, names: &[&str]) -> Result<Vec<Agent>> {
    let mut agents = Vec::new();
    for name in names {
        let host = CreateHost {
            name: name.parse()?,
            environment: environment.parse()?,
            labels: [("tier".to_owned(), "front".to_owned())].into(),
        };
        let made = client.create_host(&host).await?;
        agents.push(Agent::new(made.host.name, made.token.token.expose().to_owned())?);
    }
    Ok(agents)
}

async fn start(client: &Client, environment: &str, agents: &[Agent], version: u32) -> Result<RolloutId> {
    let release = CreateRelease {
        closures: closures(agents, version)?,
        source: Source {
            flake_ref: Some("github:example/fleet".to_owned()),
            rev: Some("0000000".to_owned()),
            nar_hash: Some("sha256-AAAA".to_owned()),
        },
        message: Some(format!("version {version}")),
        name: None,
    };
    let release = client.create_release(&release).await?.id;
    let environment: EnvironmentName = environment.parse()?;
    // The canary of the environment's strategy is a host that only `prod` has.
    let strategy = (environment.as_str() != "prod").then(Strategy::default);
    let rollout = CreateRollout {
        environment,
        release: release.into(),
        strategy,
        not_before: None,
        override_freeze: None,
        hosts: Vec::new(),
        reboot: false,
    };
    Ok(client.create_rollout(&rollout).await?.summary.id)
}

async fn command(client: &Client, rollout: RolloutId, command: CommandKind) -> Result<()> {
    let reason = Some("a test".to_owned());
    client
        .command_rollout(
            rollout,
            &CreateCommand {
                command,
                reason,
                plan: None,
            },
        )
        .await
        .with_context(|| format!("`{}` is not taken", command.as_str()))?;
    Ok(())
}

/// Lets the agents sync until the rollout is in this state.
async fn drive(
    plane: &Plane,
    client: &Client,
    agents: &mut [Agent],
    rollout: RolloutId,
    wanted: RolloutState,
) -> Result<()> {
    let deadline = Instant::now() + BOUND;
    loop {
        let summary = client.rollout(rollout).await?.summary;
        if summary.state == wanted {
            return Ok(());
        }
        if summary.state.is_terminal() || Instant::now() > deadline {
            bail!(
                "rollout {rollout} is {} and not {wanted}: {:?}",
                summary.state,
                summary.reason
            );
        }
        for agent in agents.iter_mut() {
            agent.sync(plane).await?;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
