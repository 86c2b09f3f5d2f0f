//! Starting, watching and stopping the processes of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use slipway_process::RunningProgram;

use crate::leftovers;
use crate::run_dir::RunDir;
use crate::spec::Spec;

/// How often a process that is starting is asked whether it is ready.
const PROBE_INTERVAL: Duration = Duration::from_millis(25);
/// How long a killed process may take to be reaped.
const REAP: Duration = Duration::from_secs(5);
/// How many lines of a failed process's log an error shows.
const LOG_LINES: usize = 15;

/// The processes of one run, by name. Dropping it kills what still runs.
#[derive(Debug)]
pub struct Supervisor {
    dir: Arc<RunDir>,
    running: Mutex<BTreeMap<String, Supervised>>,
}

#[derive(Debug)]
struct Supervised {
    spec: Spec,
    program: RunningProgram,
}

impl Supervisor {
    /// A supervisor that keeps logs and records in `dir`.
    #[must_use]
    pub fn new(dir: Arc<RunDir>) -> Self {
        Self {
            dir,
            running: Mutex::default(),
        }
    }

    /// Starts a process in a process group of its own; returns its process id.
    ///
    /// The kernel kills the process when the calling thread ends. So call it from a thread that lives as long
    /// as the run: the runtime has only one.
    pub fn spawn(&self, spec: Spec) -> Result<u32> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file(&spec.name))?;
        let mut command = tokio::process::Command::from(spec.command(&self.dir)?);
        if spec.capture {
            command.stdout(File::create(self.output_file(&spec.name))?);
        } else if !spec.foreground {
            command.stdout(log.try_clone()?);
        }
        if !spec.foreground {
            command.stderr(log);
        }
        command.stdin(if spec.stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        let mut program = RunningProgram::spawn(command)
            .with_context(|| format!("cannot start {}", spec.program.display()))?;
        let pid = program
            .pid()
            .with_context(|| format!("{} ended as it started", spec.name))?;
        leftovers::record(self.dir.path(), &spec.name, pid);
        if let (Some(text), Some(mut stdin)) = (spec.stdin.clone(), program.take_stdin()) {
            tokio::spawn(async move {
                use tokio::io::AsyncWriteExt as _;
                // A process that ends without reading its input says why in its log.
                let _ = stdin.write_all(text.as_bytes()).await;
            });
        }
        let name = spec.name.clone();
        self.table().insert(name, Supervised { spec, program });
        Ok(pid)
    }

    /// Runs a process to its end; a failure carries the end of its log.
    pub async fn run(&self, spec: Spec, bound: Duration) -> Result<()> {
        let name = spec.name.clone();
        self.spawn(spec)?;
        let status = self.wait(&name, bound).await?;
        if !status.success() {
            bail!("{name} failed ({status}){}", self.log_tail(&name));
        }
        Ok(())
    }

    /// Runs a process to its end and returns what it printed.
    pub async fn output(&self, mut spec: Spec, bound: Duration) -> Result<String> {
        spec.capture = true;
        let file = self.output_file(&spec.name);
        self.run(spec, bound).await?;
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
    }

    /// Waits until `ready` says yes. Fails when the process ends before that or `bound` passes.
    pub async fn wait_ready(
        &self,
        name: &str,
        bound: Duration,
        mut ready: impl AsyncFnMut() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + bound;
        loop {
            if let Some(status) = self.ended(name)? {
                bail!(
                    "{name} ended ({status}) before it was ready{}",
                    self.log_tail(name)
                );
            }
            if ready().await {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{name} was not ready within {bound:?}{}", self.log_tail(name));
            }
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
    }

    /// Kills the named process and its group with SIGKILL and waits until it is reaped.
    pub async fn kill(&self, name: &str) -> Result<()> {
        self.signal(name, Signal::KILL)?;
        self.wait(name, REAP).await.map(drop)
    }

    /// Starts the named process again exactly as before; it must have ended.
    pub fn start_again(&self, name: &str) -> Result<u32> {
        if self.ended(name)?.is_none() {
            bail!("{name} is still running");
        }
        let spec = self.table().get(name).map(|running| running.spec.clone());
        self.spawn(spec.with_context(|| format!("{name} was never started"))?)
    }

    /// Sends a signal to the group of the named process.
    pub fn signal(&self, name: &str, signal: Signal) -> Result<()> {
        let table = self.table();
        let running = table
            .get(name)
            .with_context(|| format!("{name} was never started"))?;
        running
            .program
            .signal_group(signal)
            .with_context(|| format!("cannot signal {name}"))
    }

    /// Sends a signal to the named process alone, which passes on to its children what they must know.
    pub fn signal_one(&self, name: &str, signal: Signal) -> Result<()> {
        let pid = self.pid(name).with_context(|| format!("{name} does not run"))?;
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.with_context(|| format!("{name} has no process id"))?;
        rustix::process::kill_process(pid, signal).with_context(|| format!("cannot signal {name}"))
    }

    /// Stops the named processes together: each by its own signal, then, after `bound`, by SIGKILL.
    pub async fn stop(&self, names: &[String], bound: Duration) {
        for name in names {
            let signal = self
                .table()
                .get(name)
                .map_or(Signal::TERM, |running| running.spec.stop_signal);
            let _ = self.signal(name, signal);
        }
        let deadline = Instant::now() + bound;
        for name in names {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.wait(name, left).await.is_err() {
                let _ = self.kill(name).await;
            }
        }
    }

    /// Stops everything in the reverse order of the specs' layers.
    pub async fn stop_all(&self, bound: Duration) {
        let mut layers: BTreeMap<u8, Vec<String>> = BTreeMap::new();
        for (name, running) in self.table().iter() {
            layers.entry(running.spec.layer).or_default().push(name.clone());
        }
        for names in layers.into_values().rev() {
            self.stop(&names, bound).await;
        }
    }

    /// Asks every process to stop, without waiting.
    pub fn ask_all(&self) {
        let names: Vec<String> = self.table().keys().cloned().collect();
        for name in names {
            let signal = self
                .table()
                .get(&name)
                .map_or(Signal::TERM, |running| running.spec.stop_signal);
            let _ = self.signal(&name, signal);
        }
    }

    /// How the named process ended, if it has.
    pub fn ended(&self, name: &str) -> Result<Option<std::process::ExitStatus>> {
        let mut table = self.table();
        let running = table
            .get_mut(name)
            .with_context(|| format!("{name} was never started"))?;
        Ok(running.program.try_wait()?)
    }

    /// Waits for the end of the named process, at most `bound`.
    pub async fn wait(&self, name: &str, bound: Duration) -> Result<std::process::ExitStatus> {
        let deadline = Instant::now() + bound;
        loop {
            if let Some(status) = self.ended(name)? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("{name} did not end within {bound:?}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The process id of the named process, while it runs.
    #[must_use]
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.table().get(name).and_then(|running| running.program.pid())
    }

    /// Where what the named process prints goes.
    #[must_use]
    pub fn log_file(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs").join(format!("{name}.log"))
    }

    fn output_file(&self, name: &str) -> PathBuf {
        self.dir.path().join("tmp").join(format!("{name}.out"))
    }

    /// The end of the log, set off for an error message; empty if there is none.
    #[must_use]
    pub fn log_tail(&self, name: &str) -> String {
        tail(&self.log_file(name))
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Supervised>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let mut shown = String::new();
    if !lines.is_empty() {
        let _ = write!(shown, "; the end of {}:", log.display());
    }
    for line in &lines[lines.len().saturating_sub(LOG_LINES)..] {
        let _ = write!(shown, "\n    {line}");
    }
    shown
}
