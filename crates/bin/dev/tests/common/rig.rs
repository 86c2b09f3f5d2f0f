//! The whole stack for tests, with closures that Nix builds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use slipway_dev::fleet::{Member, Variant};
use slipway_dev::nix::Signing;
use slipway_dev::run::Run;
use slipway_dev::stack::binaries::Binaries;
use slipway_dev::stack::{DevStack, ENVIRONMENT};
use slipway_domain::{ReleaseId, Strategy};
use slipway_wire::release::{CreateRelease, Source};
use slipway_wire::rollout::{CreateRollout, Rollout};

use super::Base;

const BOUND: Duration = Duration::from_mins(2);

/// A running stack. Its fields are dropped in their order: processes before the folder they are in.
pub(crate) struct Rig {
    pub(crate) stack: DevStack,
    pub(crate) run: Run,
    /// The checks of the closures that were published: they are in the cache only.
    pub(crate) checks: Mutex<HashMap<PathBuf, Vec<u8>>>,
    _base: Base,
}

impl Rig {
    pub(crate) async fn new(hosts: u16) -> Self {
        Self::with_env(hosts, |_| Vec::new()).await
    }

    /// As [`Rig::new`], with more variables for every process of ours, made in the run's folder.
    pub(crate) async fn with_env(hosts: u16, env: impl FnOnce(&Path) -> Vec<(String, String)>) -> Self {
        let base = Base::new();
        let mut run = Run::create(base.path()).unwrap();
        run.shared_env = env(run.dir.path());
        let folder = Path::new(env!("CARGO_BIN_EXE_slipway-dev")).parent().unwrap();
        let binaries = Binaries::in_folder(folder).unwrap();
        let mut stack = DevStack::start(&run, binaries, &|_| ()).await.unwrap();
        stack.add_hosts(&run, &checkout(), hosts).await.unwrap();
        Self {
            stack,
            run,
            checks: Mutex::default(),
            _base: base,
        }
    }

    /// One closure for each host and each of `variants`, signed and in the cache only.
    pub(crate) async fn publish(&self, variants: &[(&str, Variant)]) -> Vec<Vec<PathBuf>> {
        let service = &self.stack.binaries.demo_service;
        let members = variants.iter().flat_map(|(version, variant)| {
            self.stack.hosts.iter().map(|host| Member {
                variant: *variant,
                ..host.member(&self.run, service, version, 200)
            })
        });
        self.publish_members(members.collect()).await
    }

    /// As [`Rig::publish`], for one version whose service answers its health check with this status.
    pub(crate) async fn publish_health(&self, version: &str, health: u16) -> Vec<PathBuf> {
        let service = &self.stack.binaries.demo_service;
        let hosts = self.stack.hosts.iter();
        let members = hosts.map(|host| host.member(&self.run, service, version, health));
        self.publish_members(members.collect()).await.remove(0)
    }

    async fn publish_members(&self, members: Vec<Member>) -> Vec<Vec<PathBuf>> {
        let paths = self
            .stack
            .nix
            .build(&self.run, &checkout().join("nix/demo"), &members)
            .await
            .unwrap();
        self.stack
            .nix
            .publish(&self.run, &paths, Signing::Signed)
            .await
            .unwrap();
        for path in &paths {
            let checks = std::fs::read(path.join("etc/slipway/checks.json")).unwrap_or_default();
            self.checks.lock().unwrap().insert(path.clone(), checks);
        }
        self.stack.nix.forget_built(&self.run, &paths).await.unwrap();
        paths
            .chunks(self.stack.hosts.len())
            .map(<[PathBuf]>::to_vec)
            .collect()
    }

    pub(crate) async fn start(&self, closures: &[PathBuf], strategy: Strategy) -> Rollout {
        let release = self.release(closures).await;
        let environment = ENVIRONMENT.parse().unwrap();
        let request = CreateRollout {
            environment,
            release: release.into(),
            strategy: Some(strategy),
            not_before: None,
            override_freeze: None,
            hosts: Vec::new(),
            reboot: false,
        };
        self.stack.api.create_rollout(&request).await.unwrap()
    }

    /// A release that maps each host to its closure.
    pub(crate) async fn release(&self, closures: &[PathBuf]) -> ReleaseId {
        let pairs = self.stack.hosts.iter().zip(closures);
        let request = CreateRelease {
            closures: pairs
                .map(|(host, path)| (host.name.to_string(), path.display().to_string()))
                .collect(),
            source: Source::default(),
            message: None,
            name: None,
        };
        self.stack.api.create_release(&request).await.unwrap().id
    }

    pub(crate) async fn finish(&self, rollout: Rollout) -> Rollout {
        let start = Instant::now();
        loop {
            // While the database restarts, a look at the rollout may fail.
            if let Ok(now) = self.stack.api.rollout(rollout.summary.id).await
                && now.summary.state.is_terminal()
            {
                return now;
            }
            assert!(start.elapsed() < BOUND, "the rollout does not end");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn roll_out(&self, closures: &[PathBuf], strategy: Strategy) -> Rollout {
        self.finish(self.start(closures, strategy).await).await
    }

    pub(crate) async fn versions(&self) -> Vec<String> {
        let mut versions = Vec::new();
        for host in &self.stack.hosts {
            versions.push(host.ask("version").await.unwrap_or_default());
        }
        versions
    }
}

pub(crate) fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

pub(crate) fn reasons(rollout: &Rollout) -> String {
    let steps = rollout.steps.iter().filter_map(|step| step.reason.clone());
    steps
        .chain(rollout.summary.reason.clone())
        .collect::<Vec<_>>()
        .join("; ")
}
