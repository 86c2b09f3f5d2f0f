//! Starts jobs and the dead-man, which must outlive the agent.

mod process;
mod systemd;

pub(crate) use systemd::{is_of_an_attempt, prior_agent};

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use slipway_domain::AttemptId;
use slipway_process::ProcessId;
use tokio::process::Child;
use tokio::time::{Instant, sleep};

use crate::boot;
use crate::config::{HostConfig, RunnerKind};
use crate::door::Runnable;
use crate::job::{Job, JobEnd, JobExit, JobFiles, JobId};

/// How long a started job may take to write its claim.
const CLAIM_WITHIN: Duration = Duration::from_secs(15);
/// How often the claim is looked for.
const POLL_EVERY: Duration = Duration::from_millis(10);

/// Something could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// A program is not there or cannot be run.
    #[error("cannot run {program}")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// systemd refused.
    #[error("{program} failed: {output}")]
    Refused {
        /// The program.
        program: String,
        /// Its output.
        output: String,
    },
    /// It was started and said nothing.
    #[error("{name} was started and did not come up; see {}", log.display())]
    Silent {
        /// The job's or dead-man's name.
        name: String,
        /// Where it writes.
        log: PathBuf,
    },
    /// The state folder.
    #[error("cannot use the state folder")]
    State(#[source] io::Error),
}

/// Starts, finds and ends jobs and dead-men.
#[derive(Debug, Clone)]
pub(crate) struct JobRunner {
    config: HostConfig,
    jobs: JobFiles,
}

/// The dead-man's name.
fn deadman(attempt: AttemptId) -> String {
    format!("deadman-{attempt}")
}

impl JobRunner {
    pub(crate) fn new(config: HostConfig) -> io::Result<Self> {
        let jobs = JobFiles::open(&config.state_dir)?;
        Ok(Self { config, jobs })
    }

    pub(crate) const fn jobs(&self) -> &JobFiles {
        &self.jobs
    }

    /// Starts the job and waits until it laid its claim.
    pub(crate) async fn start(&self, job: &Job) -> Result<(), RunnerError> {
        let name = job.id.to_string();
        let arguments = supervise_arguments(&self.config, job);
        let child = match self.config.runner {
            RunnerKind::Systemd => {
                systemd::start_job(&self.config, job, &arguments).await?;
                None
            }
            RunnerKind::Process => {
                let log = self.jobs.log(&name);
                Some(process::spawn(&self.config, &log, &arguments, job.env())?)
            }
        };
        self.wait_for_claim(&name, child).await
    }

    /// Runs the script here and now, where a job cannot be had, without a byte written. Under systemd it still has a
    /// separate unit, since it may restart the agent. As a process it dies with the agent.
    pub(crate) async fn run_attached(&self, job: &Job) -> JobExit {
        if self.config.runner == RunnerKind::Systemd {
            return systemd::run_to_its_end(&self.config, job).await;
        }
        let words = job.command(&self.config.agent_exe);
        let mut command = self.config.command(words.first().map_or("", String::as_str));
        command.args(words.iter().skip(1)).envs(job.env());
        let (outcome, tail) = slipway_process::run(command, job.timeout).await;
        JobExit {
            end: JobEnd::of(outcome, job.timeout),
            tail,
        }
    }

    /// Ends the job, with everything in it. Nothing runs under its name from then on.
    pub(crate) async fn stop(&self, id: JobId) {
        let name = id.to_string();
        self.jobs.forbid(&name);
        if !self.jobs.state(&name).is_running() {
            return;
        }
        if self.config.runner == RunnerKind::Systemd {
            systemd::stop(&self.config, &format!("{}.service", systemd::unit(&name))).await;
        }
        let end_script = async || {
            if let Some(script) = self.jobs.child(&name) {
                script.end_group().await;
            }
        };
        end_script().await;
        if let Some(supervisor) = self.jobs.claimant(&name) {
            // It only has the exit record left to write.
            let until = Instant::now() + Duration::from_secs(2);
            while supervisor.is_alive() && Instant::now() < until {
                sleep(POLL_EVERY).await;
            }
            supervisor.end().await;
        }
        // One that was noted meanwhile. No script runs from now on that is not noted.
        end_script().await;
    }

    /// Has the machine boot again. Where jobs are plain processes, the machine is not the agent's own.
    pub(crate) async fn reboot(&self) -> Result<(), RunnerError> {
        match self.config.runner {
            RunnerKind::Systemd => systemd::reboot(&self.config).await,
            RunnerKind::Process => Err(RunnerError::Refused {
                program: "the agent".to_owned(),
                output: boot::NOT_OURS.to_owned(),
            }),
        }
    }

    /// Sets the dead-man's timer going, and returns once it certainly runs.
    pub(crate) async fn arm(
        &self,
        attempt: AttemptId,
        prior: &Runnable,
        seconds: u32,
    ) -> Result<(), RunnerError> {
        match self.config.runner {
            RunnerKind::Systemd => systemd::arm(&self.config, attempt, prior, seconds).await,
            RunnerKind::Process => {
                let name = deadman(attempt);
                let arguments = process::deadman_arguments(attempt, prior, seconds);
                let child = process::spawn(&self.config, &self.jobs.log(&name), &arguments, Vec::new())?;
                self.wait_for_claim(&name, Some(child)).await
            }
        }
    }

    /// Ends the dead-man's timer. A dead-man that fired already is left alone: it finds its attempt settled.
    pub(crate) async fn disarm(&self, attempt: AttemptId) {
        match self.config.runner {
            RunnerKind::Systemd => {
                let timer = format!("{}.timer", systemd::unit(&deadman(attempt)));
                systemd::stop(&self.config, &timer).await;
            }
            RunnerKind::Process => {
                let name = deadman(attempt);
                self.jobs.forbid(&name);
                let own = ProcessId::own();
                if let Some(watchdog) = self.jobs.claimant(&name).filter(|id| Some(id) != own.as_ref()) {
                    watchdog.end().await;
                }
            }
        }
    }

    async fn wait_for_claim(&self, name: &str, mut child: Option<Child>) -> Result<(), RunnerError> {
        let until = Instant::now() + CLAIM_WITHIN;
        while !self.jobs.is_claimed(name) {
            // One that is gone lays no claim any more, unless it did between the two looks.
            let gone = child
                .as_mut()
                .is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
            if gone || Instant::now() >= until {
                self.jobs.forbid(name);
                break;
            }
            sleep(POLL_EVERY).await;
        }
        if self.jobs.claimant(name).is_some() {
            return Ok(());
        }
        Err(RunnerError::Silent {
            name: name.to_owned(),
            log: self.jobs.log(name),
        })
    }
}

/// What follows `slipway-agent` on a job's command line.
fn supervise_arguments(config: &HostConfig, job: &Job) -> Vec<String> {
    let mut line = vec!["supervise".to_owned()];
    if config.runner == RunnerKind::Systemd {
        // Into the unit's own log, where people look.
        line.push("--echo".to_owned());
    }
    line.extend([
        "--state-dir".to_owned(),
        config.state_dir.display().to_string(),
        "--name".to_owned(),
        job.id.to_string(),
        "--seconds".to_owned(),
        job.timeout.as_secs().max(1).to_string(),
        "--".to_owned(),
    ]);
    line.extend(job.command(&config.agent_exe));
    line
}
