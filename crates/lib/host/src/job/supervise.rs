//! The process that runs a switch script, bounds it and writes down how it ended.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway_process::output::read;
use slipway_process::{OutputTail, RunOutcome, RunningProgram};
use tokio::net::unix::pipe::Receiver;
use tokio::process::Command;
use tokio::time::timeout;

use super::gate::ScriptGate;
use super::log::LogWriter;
use super::{JobEnd, JobExit, JobFiles};
use crate::failpoint::failpoint;

/// What an exit record keeps of the output.
const TAIL_BYTES: usize = 8 * 1024;

/// A job that could not be supervised.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// Its name was claimed before: somebody gave it up, or runs it already.
    #[error("the job {name} is not to be begun any more")]
    Forbidden {
        /// The job.
        name: String,
    },
    /// Its files cannot be written.
    #[error("cannot write the files of the job {name}")]
    Files {
        /// The job.
        name: String,
        /// Why.
        source: io::Error,
    },
}

/// What to supervise.
#[derive(Debug, Clone)]
pub struct SupervisedJob {
    /// The job's name.
    pub name: String,
    /// The longest run.
    pub bound: Duration,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What, with the program and its arguments behind it, calls [`wait_at_gate`](super::wait_at_gate).
    pub gate: fn() -> Command,
    /// Whether its output goes to ours as well.
    pub echo: bool,
}

/// Runs the program to its end or the bound, in a session of its own, and records how it ended.
pub async fn supervise(state_dir: &Path, job: &SupervisedJob) -> Result<JobExit, SuperviseError> {
    // Fails where we lead a group already, as in a unit of our own: then there is nothing to get away from.
    let _ = rustix::process::setsid();
    let files = |source| SuperviseError::Files {
        name: job.name.clone(),
        source,
    };
    let jobs = JobFiles::open(state_dir).map_err(files)?;
    if !jobs.claim(&job.name).map_err(files)? {
        return Err(SuperviseError::Forbidden {
            name: job.name.clone(),
        });
    }
    let exit = run(&jobs, job).await;
    jobs.record(&job.name, &exit).map_err(files)?;
    Ok(exit)
}

async fn run(jobs: &JobFiles, job: &SupervisedJob) -> JobExit {
    let mut sink = JobOutput {
        echo: job.echo,
        log: jobs.log_writer(&job.name),
        tail: OutputTail::new(TAIL_BYTES),
    };
    let outcome = match start(jobs, job).await {
        Ok((running, output)) => {
            let reading = read(output, |bytes| {
                sink.put(bytes);
                Ok(())
            });
            running.finish(job.bound.into(), reading).await
        }
        Err(error) => RunOutcome::Failed(error),
    };
    let end = match JobEnd::of(outcome, job.bound) {
        JobEnd::NotStarted(why) => JobEnd::NotStarted(format!("{}: {why}", job.program.display())),
        end => end,
    };
    JobExit {
        end,
        tail: sink.tail.text(),
    }
}

/// Starts the script behind its gate, notes its process and opens the gate.
async fn start(jobs: &JobFiles, job: &SupervisedJob) -> io::Result<(RunningProgram, Receiver)> {
    let (output, input) = io::pipe()?;
    let (gate, stdin) = ScriptGate::new()?;
    let mut command = (job.gate)();
    command
        .arg(&job.program)
        .args(&job.arguments)
        .current_dir("/")
        .stdin(stdin)
        .stdout(input.try_clone()?)
        .stderr(input);
    let running = RunningProgram::spawn(command)?;
    failpoint("gate-started");
    if let Some(pid) = running.pid() {
        // Without room for the note the script runs all the same: a full disk must not keep the prior away.
        jobs.note_child(&job.name, pid);
    }
    failpoint("script-noted");
    let output = Receiver::from_owned_fd(output.into())?;
    let opened = timeout(job.bound, gate.open()).await;
    opened.unwrap_or_else(|_| Err(io::Error::other("the gate before it does not answer")))?;
    Ok((running, output))
}

/// Keeps the end of the output in memory and a bounded log on disk. A full disk costs the log, never the script.
struct JobOutput {
    echo: bool,
    log: LogWriter,
    tail: OutputTail,
}

impl JobOutput {
    fn put(&mut self, bytes: &[u8]) {
        self.tail.push(bytes);
        if self.echo {
            let _ = io::stdout().write_all(bytes);
        }
        self.log.put(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use slipway_process::ProcessId;

    use super::super::log::PART_BYTES;
    use super::*;

    fn job(program: &str, arguments: &[&str], bound: Duration) -> SupervisedJob {
        SupervisedJob {
            name: "job".to_owned(),
            bound,
            program: program.into(),
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            gate: shell_gate,
            echo: false,
        }
    }

    /// The program of these tests is no agent's.
    fn shell_gate() -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"read -r word && exec "$@" </dev/null"#, "gate"]);
        command
    }

    async fn run_script(script: &str, bound: Duration) -> (tempfile::TempDir, JobExit) {
        let dir = tempfile::tempdir().unwrap();
        let jobs = JobFiles::open(dir.path()).unwrap();
        let exit = run(&jobs, &job("/bin/sh", &["-c", script], bound)).await;
        (dir, exit)
    }

    #[tokio::test]
    async fn the_exit_and_the_last_lines_are_kept() {
        let (_dir, exit) = run_script("echo one; echo two >&2; exit 4", Duration::from_secs(10)).await;
        assert_eq!(exit.to_string(), "exited with status 4: one | two");
    }

    #[tokio::test]
    async fn a_script_that_hangs_is_killed_with_its_children() {
        let script = "sleep 1000 & echo $!; trap '' TERM; wait; sleep 1000";
        let (_dir, exit) = run_script(script, Duration::from_millis(300)).await;
        assert_eq!(exit.end, JobEnd::TimedOut { seconds: 0 });
        let pid = exit.tail.trim().parse().unwrap();
        assert!(
            !ProcessId::of(pid).is_some_and(|child| child.is_alive()),
            "{exit}"
        );
    }

    #[tokio::test]
    async fn what_the_script_leaves_running_is_left_running() {
        let (_dir, exit) = run_script("sleep 1000 & echo $!", Duration::from_secs(10)).await;
        assert!(exit.is_success());
        let service = ProcessId::of(exit.tail.trim().parse().unwrap()).unwrap();
        assert!(service.is_alive());
        service.end().await;
    }

    #[tokio::test]
    async fn a_flood_of_output_is_bounded() {
        let script = "head -c 3000000 /dev/zero | tr '\\0' 'x'; echo end";
        let (dir, exit) = run_script(script, Duration::from_secs(30)).await;
        assert!(exit.tail.ends_with("end\n") && exit.tail.len() <= TAIL_BYTES);
        let used: u64 = fs::read_dir(dir.path().join("jobs"))
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(used < 3 * PART_BYTES + 64 * 1024, "{used}");
    }
}
