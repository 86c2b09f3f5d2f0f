//! A host: real Nix store, profile, links, and a service that switching replaces.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use slipway_attempt::journal::{Journal, JournalStore};
use slipway_domain::{AttemptId, StorePath};
use slipway_host::testing::{ClosureSpec, NixRig};
use slipway_process::ProcessId;

use crate::plane::{FakePlane, TOKEN};

pub(crate) struct AgentRig {
    pub(crate) nix: NixRig,
    pub(crate) plane: FakePlane,
    pub(crate) v1: StorePath,
    pub(crate) v2: StorePath,
    /// Whether the state folder is a disk of its own.
    pub(crate) mounted: bool,
    watcher: Option<BootWatcher>,
}

/// What the profile and the boot loader's link named, each change once.
struct BootWatcher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Instant, Option<StorePath>)>>,
}

impl AgentRig {
    /// A host that runs and boots v1, with v2 in its store. Nobody reverts to anything but v1.
    pub(crate) fn new() -> Self {
        let nix = NixRig::new();
        let plane = FakePlane::start();
        let host = nix.dir().join("host");
        let add = |version: &str| nix.add(&ClosureSpec::new(version, &host).write(nix.dir()));
        let (v1, v2) = (add("v1"), add("v2"));
        let mut rig = Self {
            nix,
            plane,
            v1,
            v2,
            mounted: false,
            watcher: None,
        };
        rig.activate_by_hand();
        rig.watcher = Some(rig.watch());
        rig
    }

    fn activate_by_hand(&self) {
        self.nix.run(
            "nix-env",
            [
                "--profile",
                self.profile().to_str().unwrap(),
                "--set",
                self.v1.as_str(),
            ],
        );
        for action in ["test", "boot"] {
            let script = self.v1.as_path().join("bin/switch-to-configuration");
            assert!(
                Command::new(script)
                    .arg(action)
                    .output()
                    .unwrap()
                    .status
                    .success()
            );
        }
    }

    pub(crate) fn closure(&self, version: &str, change: impl FnOnce(&mut ClosureSpec)) -> StorePath {
        let mut spec = ClosureSpec::new(version, &self.host());
        change(&mut spec);
        self.nix.add(&spec.write(self.nix.dir()))
    }

    pub(crate) fn host(&self) -> PathBuf {
        self.nix.dir().join("host")
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.nix.dir().join("state")
    }

    pub(crate) fn profile(&self) -> PathBuf {
        self.nix.dir().join("var/profiles/system")
    }

    /// Shell lines for a version's script to run first.
    pub(crate) fn knob(&self, action: &str, version: &str, lines: &str) {
        fs::write(self.host().join(format!("knob-{action}-{version}")), lines).unwrap();
    }

    pub(crate) fn clear_knob(&self, action: &str, version: &str) {
        fs::remove_file(self.host().join(format!("knob-{action}-{version}"))).unwrap();
    }

    /// Makes a version's check fail.
    pub(crate) fn sicken(&self, version: &str) {
        fs::write(self.host().join(format!("sick-{version}")), "").unwrap();
    }

    pub(crate) fn live(&self) -> Option<StorePath> {
        resolve(&self.host().join("live"))
    }

    pub(crate) fn boot(&self) -> Option<StorePath> {
        resolve(&self.host().join("boot"))
    }

    pub(crate) fn profile_target(&self) -> Option<StorePath> {
        resolve(&self.profile())
    }

    pub(crate) fn service_version(&self) -> String {
        let version = fs::read_to_string(self.host().join("service.version")).unwrap();
        assert!(
            self.service().is_some_and(|service| service.is_alive()),
            "the service is dead"
        );
        version.trim().to_owned()
    }

    fn service(&self) -> Option<ProcessId> {
        let pid = fs::read_to_string(self.host().join("service.pid")).ok()?;
        ProcessId::of(pid.trim().parse().ok()?)
    }

    /// What the scripts ran, such as `test v2`.
    pub(crate) fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.host().join("log")).unwrap();
        log.lines().map(ToOwned::to_owned).collect()
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.log().iter().filter(|ran| *ran == line).count()
    }

    /// The host is all on this closure, and nothing of Slipway runs or waits but the agent.
    pub(crate) fn assert_on(&self, closure: &StorePath, version: &str) {
        assert_eq!(self.live().as_ref(), Some(closure), "live");
        assert_eq!(self.profile_target().as_ref(), Some(closure), "profile");
        assert_eq!(self.boot().as_ref(), Some(closure), "boot loader");
        assert_eq!(self.service_version(), version);
    }

    pub(crate) fn journal(&self) -> Journal {
        JournalStore::open(&self.state_dir()).unwrap().peek().unwrap()
    }

    /// Changes the journal as an agent that stopped at another moment would have left it.
    pub(crate) fn edit_journal(&self, change: impl FnOnce(&mut Journal)) {
        let store = JournalStore::open(&self.state_dir()).unwrap();
        let mut journal = store.peek().unwrap();
        change(&mut journal);
        store.save(&journal).unwrap();
    }

    /// The process that supervises the first such job of the attempt under way.
    pub(crate) fn supervisor(&self, kind: &str) -> Option<ProcessId> {
        let attempt = self.journal().current?.id;
        let claim = self.state_dir().join(format!("jobs/{kind}-{attempt}-1.claim"));
        serde_json::from_slice(&fs::read(claim).ok()?).unwrap()
    }

    /// As `kill -9` of that process.
    pub(crate) fn kill_supervisor(&self, kind: &str) {
        let pid = rustix::process::Pid::from_raw(self.supervisor(kind).unwrap().pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    /// What the attempt's dead-man wrote.
    pub(crate) fn deadman_said(&self, attempt: AttemptId) -> String {
        if runner() != "systemd" {
            let log = self.state_dir().join(format!("jobs/deadman-{attempt}.log"));
            return fs::read_to_string(log).unwrap_or_default();
        }
        let output = Command::new("journalctl")
            .args(["--output=cat", "--unit", &format!("slipway-deadman-{attempt}")])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// The watchdog processes and jobs that still run.
    pub(crate) fn helpers(&self) -> Vec<ProcessId> {
        let Ok(entries) = fs::read_dir(self.state_dir().join("jobs")) else {
            return Vec::new();
        };
        let files = entries.flatten().map(|entry| entry.path());
        files
            .filter(|path| {
                path.extension()
                    .is_some_and(|kind| kind == "claim" || kind == "child")
            })
            .filter_map(|path| {
                serde_json::from_slice::<Option<ProcessId>>(&fs::read(path).ok()?)
                    .ok()
                    .flatten()
            })
            .filter(ProcessId::is_alive)
            .collect()
    }

    /// Whether nothing of Slipway runs or waits but the agent.
    pub(crate) fn is_quiet(&self) -> bool {
        self.helpers().is_empty() && self.units().is_empty()
    }

    /// The transient units of this host's attempts.
    fn units(&self) -> Vec<String> {
        if runner() != "systemd" {
            return Vec::new();
        }
        let output = Command::new("systemctl")
            .args(["list-units", "--all", "--plain", "--no-legend", "slipway-*"])
            .output()
            .unwrap();
        let ours: Vec<String> = match JournalStore::open(&self.state_dir()).unwrap().peek() {
            Ok(journal) => {
                let current = journal.current.iter().map(|attempt| attempt.id.to_string());
                let past = journal.past.iter().map(|past| past.id.to_string());
                current.chain(past).collect()
            }
            Err(_) => Vec::new(),
        };
        let units = String::from_utf8(output.stdout).unwrap();
        let names = units.lines().filter_map(|line| line.split_whitespace().next());
        names
            .filter(|name| ours.iter().any(|attempt| name.contains(attempt)))
            .map(ToOwned::to_owned)
            .collect()
    }

    /// Ends what an agent left running, as a power cut would.
    pub(crate) fn end_helpers(&self) {
        let units = self.units();
        if !units.is_empty() {
            let _ = Command::new("systemctl").arg("stop").args(units).status();
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        for process in self.helpers() {
            runtime.block_on(process.end_group());
        }
    }

    /// Invariant 3: what the profile and the boot loader named while the test ran. Fails when either ever named a
    /// closure that was neither v1 nor the release after the instruction to commit it.
    pub(crate) fn assert_boot_default_was_always_proven(&mut self, committed: Option<&StorePath>) {
        let watcher = self.watcher.take().unwrap();
        watcher.stop.store(true, Ordering::Relaxed);
        let targets = watcher.thread.join().unwrap();
        assert!(!targets.is_empty());
        let instructed = self.plane.commit_instructed_at();
        for (at, target) in targets {
            let proven = target.as_ref() == Some(&self.v1)
                || (target.is_some()
                    && target.as_ref() == committed
                    && instructed.is_some_and(|instructed| instructed <= at));
            assert!(proven, "the boot default was {target:?}");
        }
    }

    fn watch(&self) -> BootWatcher {
        let stop = Arc::new(AtomicBool::new(false));
        let links = [self.profile(), self.host().join("boot")];
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut targets: Vec<(Instant, Option<StorePath>)> = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                for link in &links {
                    let target = resolve(link);
                    if !targets.iter().any(|(_, before)| *before == target) {
                        targets.push((Instant::now(), target));
                    }
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            targets
        });
        BootWatcher { stop, thread }
    }

    pub(crate) fn agent(&self) -> AgentProcess {
        self.agent_with(&[])
    }

    pub(crate) fn agent_with(&self, env: &[(&str, &str)]) -> AgentProcess {
        let mut command = self.command(&["run"]);
        command.envs(env.iter().copied());
        self.spawn(command)
    }

    pub(crate) fn spawn(&self, mut command: Command) -> AgentProcess {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.nix.dir().join("agent.log"))
            .unwrap();
        let child = command.stderr(log).spawn().unwrap();
        AgentProcess { child }
    }

    /// An agent's command line, with this host's settings and nothing else.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway-agent"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let config = self.nix.host_config();
        let text = |path: &Path| path.display().to_string();
        command
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .envs(self.nix.env())
            .env("APP_ENV", "test")
            .env("AGENT_API_URL", format!("http://{}", self.plane.addr))
            .env("AGENT_TOKEN", TOKEN)
            .env("AGENT_HOST", "web-1")
            .env("AGENT_RUNNER", runner())
            .env("AGENT_STATE_DIR", text(&config.state_dir))
            .env("AGENT_PROFILE", text(&config.profile))
            .env("AGENT_LIVE_LINK", text(&config.live_link))
            .env("AGENT_GCROOTS_DIR", text(&config.gcroots_dir))
            .env("AGENT_STORE_DIR", config.store_dir.as_str())
            .env("LOG_LEVEL", "debug")
            .current_dir(self.nix.dir())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn agent_log(&self) -> String {
        fs::read_to_string(self.nix.dir().join("agent.log")).unwrap_or_default()
    }

    /// Waits until it holds.
    pub(crate) fn eventually(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let until = Instant::now() + Duration::from_mins(1);
        while !holds(self) {
            assert!(
                Instant::now() < until,
                "{what} did not come; {:?}",
                self.journal()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for AgentRig {
    fn drop(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.stop.store(true, Ordering::Relaxed);
            let _ = watcher.thread.join();
        }
        self.end_helpers();
        if self.mounted {
            let _ = Command::new("umount")
                .arg("--lazy")
                .arg(self.state_dir())
                .status();
        }
        if let Some(service) = self.service() {
            let pid = rustix::process::Pid::from_raw(service.pid).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        if std::thread::panicking() {
            let log = self.agent_log();
            let from = log.len().saturating_sub(8000);
            eprintln!("agent log:\n{}", String::from_utf8_lossy(&log.as_bytes()[from..]));
        }
    }
}

/// `SLIPWAY_TEST_RUNNER=systemd` has everything done by the machine's own systemd; that takes root.
pub(crate) fn runner() -> String {
    std::env::var_os("SLIPWAY_TEST_RUNNER")
        .map_or_else(|| "process".to_owned(), |name| name.into_string().unwrap())
}

fn resolve(link: &Path) -> Option<StorePath> {
    let mut path = link.to_owned();
    loop {
        let target = fs::read_link(&path).ok()?;
        path = path.parent()?.join(target);
        if let Ok(found) = path.to_str()?.parse() {
            return Some(found);
        }
    }
}

/// A running agent; killed when dropped.
pub(crate) struct AgentProcess {
    pub(crate) child: Child,
}

impl AgentProcess {
    /// As `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until a failpoint has killed it.
    pub(crate) fn died(mut self) {
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.signal(), Some(9), "{status}");
                return;
            }
            assert!(Instant::now() < until, "the agent did not come to the failpoint");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// The exit status, within the time.
    pub(crate) fn wait(&mut self, bound: Duration) -> std::process::ExitStatus {
        let until = Instant::now() + bound;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the agent did not end within {bound:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for AgentProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
