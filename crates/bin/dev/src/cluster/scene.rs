//! The cluster with its clients, and how a fault begins and ends.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::MEMBERS;
use super::cache::{CacheAccess, CacheWriter};
use super::files::{LEADER, POSTGRES, Shared};
use super::member::Member;
use super::patroni::{Asker, PatroniCluster, PatroniRole};
use super::sql::{LEDGER, SqlWriter, options};
use super::writer::Writer;
use super::{ledger, network};
use crate::postgres::random_password;
use crate::run::Run;
use crate::say::say;

/// initdb, two base backups and the first elections on a busy machine.
const START: Duration = Duration::from_mins(5);
/// Between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(200);

/// Everything.
pub(super) struct Scene<'a> {
    pub(super) run: &'a Run,
    pub(super) shared: Shared,
    pub(super) members: Vec<Member>,
    pub(super) asker: Asker,
    pub(super) cache: CacheAccess,
    pub(super) password: String,
    /// A client of each member, through its own proxy.
    pub(super) stacks: Vec<Writer>,
    /// A client that passes each member's proxy by.
    pub(super) direct: Vec<Writer>,
    /// A client of Redis on each member.
    pub(super) caches: Vec<Writer>,
}

impl<'a> Scene<'a> {
    /// Starts three members and waits until they are a cluster, then starts the clients.
    pub(super) async fn set(run: &'a Run, checkout: &Path) -> Result<Self> {
        network::create(run).await?;
        let shared = Shared::create(run, checkout)?;
        let mut members = Vec::new();
        for number in 1..=MEMBERS {
            members.push(Member::create(run, &shared, number).await?);
        }
        let addresses = members.iter().map(|member| member.network.address.clone());
        let cache = CacheAccess::new(&shared, addresses)?;
        let mut scene = Self {
            run,
            asker: Asker::create(&shared)?,
            cache,
            password: random_password()?,
            stacks: Vec::new(),
            direct: Vec::new(),
            caches: Vec::new(),
            shared,
            members,
        };
        for member in &mut scene.members {
            member.boot(run, &scene.shared).await?;
        }
        say("three members start: etcd, Patroni with Postgres, HAProxy, Redis and Sentinel on each");
        let took = scene
            .wait_whole(START)
            .await
            .context("the members are no cluster")?;
        say(&format!("they are a cluster after {:.1} s", took.as_secs_f64()));
        let leader = scene.leader().await?;
        ledger::create(run, &scene.members[leader], &scene.password).await?;
        scene.start_clients()?;
        scene.wait_whole(START).await.context("clients cannot write")?;
        Ok(scene)
    }

    fn start_clients(&mut self) -> Result<()> {
        for member in &self.members {
            let network = &member.network.namespace;
            let name = format!("stack-{}", member.name);
            let through = options(&self.shared, "127.0.0.1", LEADER, &self.password);
            let client = SqlWriter::new(&name, through);
            self.stacks.push(Writer::start(&name, network, client)?);
            let name = format!("direct-{}", member.name);
            let past = options(&self.shared, &member.network.address, POSTGRES, &self.password);
            let client = SqlWriter::new(&name, past);
            self.direct.push(Writer::start(&name, network, client)?);
            let name = format!("cache-{}", member.name);
            let client = CacheWriter::new(&name, self.cache.clone());
            self.caches.push(Writer::start(&name, network, client)?);
        }
        Ok(())
    }

    /// Lets time pass; meanwhile systemd's work is done.
    pub(super) async fn pass(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            for member in &mut self.members {
                member.tend(self.run, &self.shared).await?;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    /// What the first member says that answers.
    pub(super) async fn cluster(&self) -> Result<PatroniCluster> {
        let mut trouble = None;
        for member in &self.members {
            match self.asker.cluster(member).await {
                Ok(cluster) => return Ok(cluster),
                Err(error) => trouble = Some(error),
            }
        }
        Err(trouble.context("there are no members")?)
    }

    /// The number of the member with a name.
    pub(super) fn index(&self, name: &str) -> Result<usize> {
        let found = self.members.iter().position(|member| member.name == name);
        found.with_context(|| format!("{name} is no member"))
    }

    /// Who leads.
    pub(super) async fn leader(&self) -> Result<usize> {
        let cluster = self.cluster().await?;
        let leader = cluster.find(PatroniRole::Leader).context("nobody leads")?;
        self.index(leader)
    }

    /// Waits until nothing is missing; returns how long it took.
    pub(super) async fn wait_whole(&mut self, bound: Duration) -> Result<Duration> {
        let start = Instant::now();
        loop {
            let Some(missing) = self.missing(start).await else {
                return Ok(start.elapsed());
            };
            if start.elapsed() > bound {
                bail!("not whole after {bound:?}: {missing}");
            }
            self.pass(LOOK).await?;
        }
    }

    /// What is not as without a fault. Every client must have written since `since`.
    async fn missing(&self, since: Instant) -> Option<String> {
        for member in &self.members {
            if let Some(missing) = member.missing(self.run) {
                return Some(missing);
            }
            if !self.asker.etcd_is_healthy(member).await {
                return Some(format!("etcd of {} is not healthy", member.name));
            }
            let cluster = match self.asker.cluster(member).await {
                Ok(cluster) => cluster,
                Err(error) => return Some(format!("Patroni of {} does not answer: {error:#}", member.name)),
            };
            if let Some(missing) = cluster.missing() {
                return Some(missing);
            }
        }
        for (what, writers) in [("Postgres", &self.stacks), ("Redis", &self.caches)] {
            for (member, writer) in self.members.iter().zip(writers) {
                if !writer.has_written_since(since) {
                    let trouble = writer.trouble();
                    return Some(format!(
                        "{what}'s client of {} does not write: {trouble}",
                        member.name
                    ));
                }
            }
        }
        self.cache.missing().await
    }

    /// How the ledger is read: through the first proxy.
    pub(super) async fn ledger(&self) -> Result<Vec<(String, i64)>> {
        let through = options(&self.shared, "127.0.0.1", LEADER, &self.password);
        super::sql::read(&self.members[0].network.namespace, through)
            .await
            .with_context(|| format!("cannot read the {LEDGER}"))
    }
}
