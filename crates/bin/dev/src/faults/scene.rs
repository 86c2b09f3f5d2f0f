//! The stack with what watches it, and how each fault begins and ends.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use slipway_domain::ReleaseId;

use super::backup::Backups;
use super::kind::FaultKind;
use super::{ANSWERS, audit, careful, disk};
use crate::monitoring::exporters::MachineScope;
use crate::monitoring::plan::{Grouping, Target};
use crate::monitoring::{Monitoring, Watching};
use crate::run::Run;
use crate::say::say;
use crate::stack::DevStack;
use crate::stack::binaries::Binaries;
use crate::webhook::Webhook;
use crate::{postgres, redis};

/// Agents: one may be stopped, and another goes on.
const HOSTS: u16 = 2;
/// How often targets are asked. More often, a slow machine would miss answers.
const INTERVAL_SECONDS: u32 = 5;
/// How long a rollout waits before it is an alert; a quarter of an hour in the rules.
const WAITING_SECONDS: u32 = 20;
/// The days that a bad certificate lasts; the rules want 21.
const DAYS: u32 = 10;
/// How long a server may take to stop.
const STOP: Duration = Duration::from_secs(20);

/// Everything.
pub(super) struct Scene<'a> {
    run: &'a Run,
    stack: DevStack,
    backups: Backups,
    release: ReleaseId,
    has_disk: bool,
    pub(super) webhook: Webhook,
    pub(super) monitoring: Monitoring,
}

impl<'a> Scene<'a> {
    pub(super) async fn set(run: &'a Run, checkout: &Path, binaries: Binaries, faster: u32) -> Result<Self> {
        let mut stack = DevStack::start(run, binaries, &say).await?;
        stack.add_hosts(run, checkout, HOSTS).await?;
        let release = careful::create(&stack).await?;
        let backups = Backups::start(run, &stack).await?;
        let webhook = Webhook::start(run).await?;
        // Mounting an image needs root.
        let has_disk = rustix::process::geteuid().is_root();
        let machine = if has_disk {
            MachineScope::Disk(disk::make(run).await?)
        } else {
            MachineScope::Whole
        };
        let watching = Watching {
            interval_seconds: INTERVAL_SECONDS,
            for_divided_by: faster,
            thresholds: [("RolloutWaiting", [("seconds", WAITING_SECONDS)].into())].into(),
            webhook: Some(webhook.url()),
            grouping: Some(Grouping {
                labels: vec!["..."],
                wait_seconds: 0,
                interval_seconds: 1,
                repeat_seconds: 3_600,
            }),
            machine,
            more: vec![backups.target.clone(), Target::local(ANSWERS, None, webhook.port)],
        };
        let monitoring = Monitoring::start(run, checkout, &stack, watching).await?;
        Ok(Self {
            run,
            stack,
            backups,
            release,
            has_disk,
            webhook,
            monitoring,
        })
    }

    /// Why a fault cannot be tried here.
    pub(super) fn cannot(&self, fault: FaultKind) -> Option<String> {
        (fault == FaultKind::Disk && !self.has_disk).then(|| "only root can mount a disk".to_owned())
    }

    /// Waits for what a fault needs to be seen.
    pub(super) async fn prepare(&self, fault: FaultKind) -> Result<()> {
        match fault {
            FaultKind::Audit => audit::wait_seen(&self.stack).await,
            _ => Ok(()),
        }
    }

    /// Begins a fault.
    pub(super) async fn inject(&self, fault: FaultKind) -> Result<()> {
        let supervisor = &self.run.supervisor;
        match fault {
            FaultKind::Certificate => self.stack.nginx.renew(self.run, Some(DAYS)),
            FaultKind::Disk => disk::fill(self.run),
            FaultKind::Audit => audit::cut_off(&self.stack).await,
            FaultKind::Backup => self.backups.forge(),
            FaultKind::Rollout => careful::start(&self.stack, self.release).await,
            FaultKind::Garbage => {
                self.webhook.answer_garbage(true);
                Ok(())
            }
            FaultKind::Postgres => {
                supervisor.stop(&[postgres::NAME.to_owned()], STOP).await;
                Ok(())
            }
            FaultKind::Workers | FaultKind::Redis | FaultKind::Replica | FaultKind::Agent => {
                for name in self.victims(fault)? {
                    supervisor.kill(&name).await?;
                }
                Ok(())
            }
        }
    }

    /// Ends a fault.
    pub(super) async fn cure(&self, fault: FaultKind) -> Result<()> {
        match fault {
            FaultKind::Certificate => self.stack.nginx.renew(self.run, None),
            FaultKind::Disk => disk::empty(self.run),
            FaultKind::Audit => audit::put_back(&self.stack).await,
            FaultKind::Backup => self.backups.repair(),
            FaultKind::Rollout => careful::abort(&self.stack).await,
            FaultKind::Garbage => {
                self.webhook.answer_garbage(false);
                Ok(())
            }
            FaultKind::Workers
            | FaultKind::Redis
            | FaultKind::Replica
            | FaultKind::Agent
            | FaultKind::Postgres => {
                for name in self.victims(fault)? {
                    self.run.supervisor.start_again(&name)?;
                }
                Ok(())
            }
        }
    }

    /// The processes that a fault ends.
    fn victims(&self, fault: FaultKind) -> Result<Vec<String>> {
        let plane = &self.stack.control_plane;
        let first = |names: &[String]| names.iter().take(1).cloned().collect();
        Ok(match fault {
            FaultKind::Workers => plane.workers.clone(),
            FaultKind::Replica => first(&plane.replicas),
            FaultKind::Redis => vec![redis::NAME.to_owned()],
            FaultKind::Postgres => vec![postgres::NAME.to_owned()],
            FaultKind::Agent => vec![self.stack.hosts.first().context("the fleet has hosts")?.agent()],
            _ => Vec::new(),
        })
    }
}
