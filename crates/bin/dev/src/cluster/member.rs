//! One member: its processes, as its host's systemd runs them, and what a fault does to them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use slipway_process::ProcessId;

use super::disk::Disk;
use super::files::{self, Shared};
use super::network::MemberNetwork;
use crate::programs;
use crate::run::Run;
use crate::spec::Spec;

/// The data layer is stopped last.
const LAYER: u8 = 1;
/// Stacks end before their data layer.
const STACK_LAYER: u8 = 2;
/// What systemd waits before it starts a service again.
const RESTART: Duration = Duration::from_secs(1);
const PREPARATION: Duration = Duration::from_secs(30);

/// A program of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Etcd,
    Patroni,
    Postgres,
    Haproxy,
    Redis,
    Sentinel,
    /// No fault breaks it. It ends with its member.
    DiskGuard,
}

impl Part {
    /// What systemd starts. Patroni starts Postgres.
    pub(super) const SERVICES: [Self; 6] = [
        Self::Etcd,
        Self::Patroni,
        Self::Haproxy,
        Self::Redis,
        Self::Sentinel,
        Self::DiskGuard,
    ];
    /// What clients depend on.
    pub(super) const ALL: [Self; 6] = [
        Self::Etcd,
        Self::Patroni,
        Self::Postgres,
        Self::Haproxy,
        Self::Redis,
        Self::Sentinel,
    ];

    /// What systemd waits before it starts it again.
    const fn restarts_after(self) -> Duration {
        match self {
            // An empty primary that is back before Sentinel notices would empty its replicas.
            Self::Redis => Duration::from_secs(6),
            _ => RESTART,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Patroni => "patroni",
            Self::Postgres => "postgres",
            Self::Haproxy => "haproxy",
            Self::Redis => "redis",
            Self::Sentinel => "sentinel",
            Self::DiskGuard => "disk-guard",
        }
    }
}

/// A member.
#[derive(Debug)]
pub(super) struct Member {
    /// As in the rendered files.
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) network: MemberNetwork,
    pub(super) disk: Disk,
    /// Whether its host is off.
    off: bool,
    ended: Vec<(String, Instant)>,
    /// Programs of the stack on this host.
    stack: Vec<Spec>,
}

impl Member {
    /// Makes its place, and starts nothing.
    pub(super) async fn create(run: &Run, shared: &Shared, number: usize) -> Result<Self> {
        let name = format!("ha-{number}");
        let network = MemberNetwork::join(run, number).await?;
        let folder = shared.write_member(run, &name, &network.address)?;
        let data = folder.join("disk");
        let disk = Disk::mount(run, &folder.join("image"), &data).await?;
        if let Some(user) = &run.user {
            std::os::unix::fs::chown(&data, Some(user.uid), Some(user.gid))?;
        }
        Ok(Self {
            name,
            folder,
            network,
            disk,
            off: true,
            ended: Vec::new(),
            stack: Vec::new(),
        })
    }

    fn process(&self, part: Part) -> String {
        format!("{}-{}", part.word(), self.name)
    }

    fn spec(&self, run: &Run, shared: &Shared, part: Part) -> Result<Spec> {
        let file = |name: &str| self.folder.join(name);
        let new =
            |program: &str| Ok::<_, anyhow::Error>(Spec::new(self.process(part), programs::find(program)?));
        let spec = match part {
            Part::Etcd => new("etcd")?.envs(variables(&file("etcd.env"))?),
            Part::Patroni => shared
                .patroni
                .spec(self.process(part))
                .args([file("conf")])
                .envs(shared.passwords.iter().map(|(name, value)| (name, value))),
            Part::Haproxy => {
                new("haproxy")?.args(["-db".into(), "-f".into(), file("haproxy.cfg").into_os_string()])
            }
            Part::Redis => new("redis-server")?.args([file("redis/redis.conf")]),
            Part::Sentinel => new("redis-server")?.args([
                file("sentinel/sentinel.conf").into_os_string(),
                "--sentinel".into(),
            ]),
            Part::DiskGuard => new("bash")?
                .args(["-euo", "pipefail"])
                .args([shared.folder.join(files::DISK_GUARD)])
                .envs(variables(&file("disk-guard.env"))?),
            Part::Postgres => anyhow::bail!("Patroni starts Postgres"),
        };
        Ok(spec
            .directory(&self.folder)
            .user(run.user.as_ref())
            .network(self.network.file())
            .layer(LAYER))
    }

    async fn start(&mut self, run: &Run, shared: &Shared, part: Part) -> Result<()> {
        if matches!(part, Part::Redis | Part::Sentinel) {
            self.prepare(run, shared, part).await?;
        }
        run.supervisor.spawn(self.spec(run, shared, part)?)?;
        Ok(())
    }

    /// What the unit of a host runs before Redis or Sentinel.
    async fn prepare(&self, run: &Run, shared: &Shared, part: Part) -> Result<()> {
        let options = self.folder.join(format!("{}.prepare", part.word()));
        let options =
            fs::read_to_string(&options).with_context(|| format!("cannot read {}", options.display()))?;
        let spec = Spec::new(format!("prepare-{}", self.process(part)), programs::find("bash")?)
            .args([shared.folder.join(files::PREPARE)])
            .args(options.lines())
            .directory(&self.folder)
            .user(run.user.as_ref())
            .network(self.network.file());
        run.supervisor.run(spec, PREPARATION).await
    }

    /// Starts its host: all services.
    pub(super) async fn boot(&mut self, run: &Run, shared: &Shared) -> Result<()> {
        self.off = false;
        self.ended.clear();
        for part in Part::SERVICES {
            self.start(run, shared, part).await?;
        }
        for spec in &self.stack {
            run.supervisor.spawn(spec.clone())?;
        }
        Ok(())
    }

    /// Has a program of a stack run on this host.
    pub(super) fn add(&mut self, run: &Run, spec: Spec) -> Result<()> {
        let spec = spec.network(self.network.file()).layer(STACK_LAYER);
        run.supervisor.spawn(spec.clone())?;
        self.stack.push(spec);
        Ok(())
    }

    /// Starts services again that ended a while ago, as systemd does.
    pub(super) async fn tend(&mut self, run: &Run, shared: &Shared) -> Result<()> {
        if self.off {
            return Ok(());
        }
        for part in Part::SERVICES {
            if self.is_due(run, &self.process(part), part.restarts_after())? {
                self.start(run, shared, part).await?;
            }
        }
        for index in 0..self.stack.len() {
            let spec = self.stack[index].clone();
            if self.is_due(run, &spec.name, RESTART)? {
                run.supervisor.spawn(spec)?;
            }
        }
        Ok(())
    }

    /// Whether a process ended so long ago that systemd would start it now.
    fn is_due(&mut self, run: &Run, name: &str, after: Duration) -> Result<bool> {
        if run.supervisor.ended(name)?.is_none() {
            return Ok(false);
        }
        let Some(known) = self.ended.iter().position(|(ended, _)| ended == name) else {
            self.ended.push((name.to_owned(), Instant::now()));
            return Ok(false);
        };
        let is_due = self.ended[known].1.elapsed() >= after;
        if is_due {
            self.ended.remove(known);
        }
        Ok(is_due)
    }

    /// Kills a program with SIGKILL.
    pub(super) async fn kill(&self, run: &Run, part: Part) -> Result<()> {
        if part == Part::Postgres {
            self.postmaster()
                .with_context(|| format!("Postgres does not run on {}", self.name))?
                .signal(Signal::KILL);
            return Ok(());
        }
        run.supervisor.kill(&self.process(part)).await
    }

    /// Stops a program in its tracks, with all its processes, or lets it go on.
    pub(super) fn freeze(&self, run: &Run, part: Part, frozen: bool) -> Result<()> {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        if part == Part::Postgres {
            for process in self.of_postgres() {
                process.signal(signal);
            }
            return Ok(());
        }
        run.supervisor.signal(&self.process(part), signal)
    }

    /// Cuts its power: everything is gone at once, and nothing starts again.
    pub(super) async fn power_off(&mut self, run: &Run) -> Result<()> {
        self.off = true;
        for part in Part::SERVICES {
            if run.supervisor.ended(&self.process(part))?.is_none() {
                run.supervisor.kill(&self.process(part)).await?;
            }
        }
        for spec in &self.stack {
            if run.supervisor.ended(&spec.name)?.is_none() {
                run.supervisor.kill(&spec.name).await?;
            }
        }
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let left = self.of_postgres();
            if left.is_empty() || Instant::now() > end {
                break;
            }
            for process in left {
                process.signal(Signal::KILL);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // A boot clears it, and a socket of before would look like a server.
        for entry in fs::read_dir(self.folder.join("run"))?.flatten() {
            let _ = fs::remove_file(entry.path());
        }
        Ok(())
    }

    /// What does not run.
    pub(super) fn missing(&self, run: &Run) -> Option<String> {
        let runs = |part: &Part| {
            let ended = run.supervisor.ended(&self.process(*part));
            ended.is_ok_and(|ended| ended.is_none())
        };
        let missing = Part::SERVICES.iter().find(|part| !runs(part)).copied();
        let missing = missing.or_else(|| self.postmaster().is_none().then_some(Part::Postgres));
        missing.map(|part| format!("{} of {} does not run", part.word(), self.name))
    }

    fn data(&self) -> PathBuf {
        self.folder.join("disk/data")
    }

    fn postmaster(&self) -> Option<ProcessId> {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        let known = ProcessId::of(text.lines().next()?.trim().parse().ok()?)?;
        self.of_postgres().contains(&known).then_some(known)
    }

    /// All processes of Postgres, the postmaster first.
    fn of_postgres(&self) -> Vec<ProcessId> {
        let data = self.data();
        let works_there = |process: &procfs::process::Process| {
            process.cwd().is_ok_and(|folder| folder.starts_with(&data))
                && process.exe().is_ok_and(|program| is_postgres(&program))
        };
        let all = procfs::process::all_processes().into_iter().flatten().flatten();
        let mut found: Vec<ProcessId> = all
            .filter(works_there)
            .filter_map(|process| ProcessId::of(process.pid))
            .filter(ProcessId::is_alive)
            .collect();
        found.sort_by_key(|process| (process.start_time, process.pid));
        found
    }
}

fn is_postgres(program: &Path) -> bool {
    program
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("postgres"))
}

/// The variables of an environment file.
fn variables(file: &Path) -> Result<Vec<(String, String)>> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().filter_map(|line| line.split_once('='));
    Ok(lines
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}
