//! A seeded environment: hosts, a release, and rollouts of it.

use std::collections::BTreeMap;

use slipway_domain::event::Actor;
use slipway_domain::plan::FleetHost;
use slipway_domain::{
    EnvironmentId, HostId, HostName, PrincipalId, ReleaseId, Role, RolloutId, StorePath, Strategy, plan,
};
use slipway_store::{AuditKey, EventAuthor, NewRelease, NewRollout, Store, Stored, TokenHash};
use slipway_wire::access::Principal;
use slipway_wire::fleet::{CreateEnvironment, CreateHost, Environment};
use slipway_wire::release::Source;

use crate::audit_key;

/// The closure of a host at a version: well-formed, different for every host and version, and not there.
///
/// # Panics
/// When the name cannot be part of a store path.
#[must_use]
pub fn closure(host: &str, version: u32) -> StorePath {
    format!("/nix/store/{version:0>32}-nixos-system-{host}")
        .parse()
        .unwrap()
}

/// What to seed.
#[derive(Debug, Clone)]
pub struct FleetBuilder {
    environment: String,
    hosts: usize,
    strategy: Strategy,
    approval_required: bool,
}

impl FleetBuilder {
    /// The name of the environment, and what host names begin with.
    #[must_use]
    pub fn environment(mut self, name: &str) -> Self {
        name.clone_into(&mut self.environment);
        self
    }

    /// The strategy of rollouts.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Rollouts wait for an approval.
    #[must_use]
    pub const fn approval_required(mut self) -> Self {
        self.approval_required = true;
        self
    }

    /// Writes it all to the database.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn seed(self, store: &Store) -> Fleet {
        let key = audit_key();
        let by = EventAuthor::new(Actor::Console, &key);
        let environment = CreateEnvironment {
            name: self.environment.parse().unwrap(),
            strategy: self.strategy.clone(),
            approval_required: self.approval_required,
            own_strategy_allowed: false,
            related_approval_allowed: false,
            windows: Vec::new(),
        };
        let environment = store.create_environment(&environment, &by).await.unwrap();
        let mut hosts = BTreeMap::new();
        for n in 0..self.hosts {
            let name: HostName = format!("{}-{n}", self.environment).parse().unwrap();
            let new = CreateHost {
                name: name.clone(),
                environment: environment.name.clone(),
                labels: BTreeMap::new(),
            };
            let hash = TokenHash::of(&token(&name));
            let (host, _) = store.create_host(&new, hash, &by).await.unwrap();
            hosts.insert(name, host.id);
        }
        let author = person(store, "ada", Role::Deployer).await;
        let approver = person(store, "grace", Role::Approver).await;
        Fleet {
            store: store.clone(),
            key,
            environment,
            hosts,
            author,
            approver,
            strategy: self.strategy,
        }
    }
}

async fn person(store: &Store, name: &str, role: Role) -> Stored<PrincipalId, Principal> {
    let key = audit_key();
    let name = name.parse().unwrap();
    match store.find_principal_by_name(&name).await.unwrap() {
        Some(principal) => principal,
        None => store
            .create_principal(&name, role, &EventAuthor::new(Actor::Console, &key))
            .await
            .unwrap(),
    }
}

fn token(host: &HostName) -> String {
    format!("slw_test_{host}")
}

/// An environment with hosts, and people to roll out to it.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The database.
    pub store: Store,
    /// What seals its events.
    pub key: AuditKey,
    /// The environment.
    pub environment: Stored<EnvironmentId, Environment>,
    /// Its hosts.
    pub hosts: BTreeMap<HostName, HostId>,
    /// The deployer `ada`, who registers releases and starts rollouts.
    pub author: Stored<PrincipalId, Principal>,
    /// The approver `grace`.
    pub approver: Stored<PrincipalId, Principal>,
    strategy: Strategy,
}

impl Fleet {
    /// A fleet of so many hosts in an environment `prod`.
    #[must_use]
    pub fn of(hosts: usize) -> FleetBuilder {
        FleetBuilder {
            environment: "prod".to_owned(),
            hosts,
            strategy: Strategy::default(),
            approval_required: false,
        }
    }

    /// The names of its hosts, in order.
    #[must_use]
    pub fn names(&self) -> Vec<HostName> {
        self.hosts.keys().cloned().collect()
    }

    /// The n-th host by name.
    ///
    /// # Panics
    /// When there are fewer.
    #[must_use]
    pub fn host(&self, n: usize) -> (HostName, HostId) {
        self.hosts
            .iter()
            .nth(n)
            .map(|(name, id)| (name.clone(), *id))
            .unwrap()
    }

    /// The token of a host's agent.
    #[must_use]
    pub fn token(&self, host: &HostName) -> String {
        token(host)
    }

    /// Registers a release for every host, with [`closure`]s of this version.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn release(&self, version: u32) -> ReleaseId {
        let closures = self
            .hosts
            .keys()
            .map(|name| (name.clone(), closure(name.as_str(), version)))
            .collect();
        let new = NewRelease {
            id: ReleaseId::generate(),
            source: Source {
                flake_ref: Some("github:example/fleet".to_owned()),
                ..Source::default()
            },
            message: Some(format!("version {version}")),
            author: self.author.id,
            closures,
            manifest: None,
            name: None,
        };
        self.store.create_release(&new, &self.key).await.unwrap().id
    }

    /// A new rollout of a release to every host.
    #[must_use]
    pub fn plan(&self, release: ReleaseId) -> NewRollout {
        let host = FleetHost {
            online: true,
            takes_part: true,
            ..FleetHost::default()
        };
        let hosts = self.hosts.keys().map(|name| (name.clone(), host.clone()));
        NewRollout {
            id: RolloutId::generate(),
            environment: self.environment.id,
            release,
            strategy: self.strategy.clone(),
            waves: plan::waves(&self.strategy, &hosts.collect()),
            author: self.author.id,
            not_before: None,
            override_freeze: None,
            traceparent: None,
            narrowed: false,
        }
    }

    /// Starts a rollout of a new release of this version to every host.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn rollout(&self, version: u32) -> RolloutId {
        let release = self.release(version).await;
        self.store
            .create_rollout(&self.plan(release), &self.key)
            .await
            .unwrap()
    }
}
