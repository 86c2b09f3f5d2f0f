//! Other people's programs: bounded in time, ended with all their children, their last words kept.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use slipway_process::run::TAIL_BYTES;
use slipway_process::{ProgramOutput, RunLimits, RunOutcome, RunningProgram};
use tokio::process::Command;

use crate::failure::{BackupFailure, Result};
use crate::secret::Hidden;

/// As many of a program's last lines on stderr are repeated.
const LAST_LINES: usize = 12;
/// A longer line is cut.
const LINE: usize = 400;
/// Between asking a program to end and ending it.
const GRACE: Duration = Duration::from_secs(10);
/// What is passed on of our own environment: nothing that could lead a program to another server or repository.
const PASSED_ON: [&str; 9] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "TZ",
    "LOCALE_ARCHIVE",
    "CACHE_DIRECTORY",
    "XDG_CACHE_HOME",
    "SSL_CERT_FILE",
    "NIX_SSL_CERT_FILE",
];

/// A program to run.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    path: PathBuf,
    command: Command,
    limit: Duration,
    secrets: Vec<Hidden>,
}

impl Program {
    /// A program by its path or by its name in PATH.
    pub(crate) fn new(program: impl AsRef<Path>, limit: Duration) -> Self {
        let program = program.as_ref();
        let name = program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy()
            .into_owned();
        // Killed, this process takes its programs with it; the kernel sees to that through setpriv.
        let mut command = match setpriv() {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.env_clear().env("LC_ALL", "C.UTF-8");
        for name in PASSED_ON {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.current_dir("/").stdin(Stdio::null());
        Self {
            name,
            path: program.to_owned(),
            command,
            limit,
            secrets: Vec::new(),
        }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// An option with a path as its value, in one word.
    pub(crate) fn path_arg(self, option: &str, path: &Path) -> Self {
        let mut word = OsString::from(option);
        word.push(path);
        self.arg(word)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// A variable whose value is cut out of all that is printed.
    pub(crate) fn secret_env(mut self, name: &str, value: &Hidden) -> Self {
        self.command.env(name, value.expose());
        self.secrets.push(value.clone());
        self
    }

    /// Variables of the way to the database.
    pub(crate) fn envs(self, variables: &[(String, Hidden)]) -> Self {
        variables.iter().fold(self, |program, (name, value)| {
            if name == "PGPASSWORD" {
                program.secret_env(name, value)
            } else {
                program.env(name, value.expose())
            }
        })
    }

    /// setpriv would say it with a status of its own, which would pass for the program's.
    fn require(&self) -> Result<()> {
        if slipway_process::find(&self.path).is_some() {
            return Ok(());
        }
        let is = if self.path.exists() {
            "may not be executed"
        } else {
            "is not there"
        };
        Err(self.cannot("start", &format!("{} {is}", self.path.display())))
    }

    fn cannot(&self, what: &str, why: &dyn std::fmt::Display) -> BackupFailure {
        let name = &self.name;
        BackupFailure::new(format!("cannot {what} {name}: {why}")).cure(format!(
            "install {name}; on NixOS the module puts it on the PATH of the units and of the wrapper"
        ))
    }

    /// Runs it to its end: what it printed, or a failure when the status is not 0 or the time is over.
    pub(crate) async fn run(mut self) -> Result<String> {
        self.require()?;
        let limits = RunLimits {
            run: self.limit,
            grace: GRACE,
            end_leftovers: true,
        };
        let command = std::mem::replace(&mut self.command, Command::new(""));
        let ProgramOutput {
            outcome,
            stdout,
            stderr,
        } = slipway_process::capture(command, limits).await;
        let printed = || last_lines(&stderr, &self.secrets);
        match outcome {
            RunOutcome::Exited(status) if status.success() => Ok(String::from_utf8_lossy(&stdout).into_owned()),
            RunOutcome::Exited(status) => Err(self.failed(status, printed())),
            RunOutcome::TimedOut => Err(BackupFailure::new(format!(
                "{} did not end within {} and was stopped",
                self.name,
                crate::text::duration(self.limit)
            ))
            .printed(printed())
            .cure(
                "look what it waits for (a server that does not answer, the disk, a lock in the database), or allow it \
                 more time",
            )),
            RunOutcome::Failed(error) => Err(self.cannot("run", &error).printed(printed())),
        }
    }

    fn failed(&self, status: ExitStatus, stderr: Vec<String>) -> BackupFailure {
        let how = match status.code() {
            Some(code) => format!("{} ended with status {code}", self.name),
            None => format!("{} was ended by a signal ({status})", self.name),
        };
        let full = stderr.iter().any(|line| line.contains("No space left on device"));
        let failure = BackupFailure::new(how).printed(stderr).status(status.code());
        if full {
            failure.cure(crate::failure::NO_ROOM)
        } else {
            failure
        }
    }

    /// Starts it and leaves it running; its stderr goes to `log`.
    pub(crate) fn start(mut self, log: std::fs::File) -> Result<RunningProgram> {
        self.require()?;
        let mut command = std::mem::replace(&mut self.command, Command::new(""));
        command.stdout(Stdio::null()).stderr(log);
        RunningProgram::spawn(command).map_err(|error| self.cannot("start", &error))
    }
}

/// The last lines, without secrets. Where the beginning is missing, a part of a line is no line.
fn last_lines(stderr: &str, secrets: &[Hidden]) -> Vec<String> {
    let whole = if stderr.len() < TAIL_BYTES {
        stderr
    } else {
        stderr.split_once('\n').map_or("", |(_, whole)| whole)
    };
    let mut lines: Vec<String> = secrets
        .iter()
        .fold(whole.to_owned(), |text, secret| secret.scrub(&text))
        .lines()
        .rev()
        .map(|line| line.trim().chars().take(LINE).collect::<String>())
        .filter(|line| !line.is_empty())
        .take(LAST_LINES)
        .collect();
    lines.reverse();
    lines
}

/// setpriv, where there is one and it may work: the sandbox of a unit forbids it, and there systemd ends what is left.
fn setpriv() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let path = slipway_process::find("setpriv")?;
        let tried = std::process::Command::new(&path)
            .args(["--pdeathsig", "KILL", "--", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        tried.is_ok_and(|status| status.success()).then_some(path)
    });
    found.as_deref()
}

#[cfg(test)]
mod tests {
    use slipway_process::ProcessId;

    use super::*;

    fn shell(script: &str, limit: Duration) -> Program {
        Program::new("sh", limit).args(["-c", script])
    }

    #[tokio::test]
    async fn the_last_words_are_kept_without_the_secrets() {
        let secret = Hidden::new("hunter2hunter2");
        let failure = shell(
            "echo the password $WORD is wrong >&2; exit 3",
            Duration::from_secs(9),
        )
        .secret_env("WORD", &secret)
        .run()
        .await
        .unwrap_err();
        assert_eq!(failure.exit_status(), Some(3));
        assert_eq!(
            failure.summary(),
            "sh ended with status 3: the password *** is wrong"
        );
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("child");
        let script = format!(
            "echo nobody answers >&2; sleep 300 & echo $! > {}; wait",
            file.display()
        );
        let start = std::time::Instant::now();
        let failure = shell(&script, Duration::from_secs(1)).run().await.unwrap_err();
        assert!(failure.mentions("did not end within 1.0 s"), "{failure}");
        assert!(failure.mentions("nobody answers"), "{failure}");
        assert!(start.elapsed() < Duration::from_secs(8));
        let child = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        assert!(!ProcessId::of(child).is_some_and(|child| child.is_alive()));
    }

    #[tokio::test]
    async fn what_could_lead_elsewhere_is_not_passed_on() {
        let printed = shell("env", Duration::from_secs(9)).run().await.unwrap();
        assert!(printed.contains("PATH="));
        assert!(!printed.contains("CARGO"), "{}", printed);
    }

    #[tokio::test]
    async fn a_secret_that_the_bound_cuts_is_not_shown() {
        let secret = Hidden::new("hunter2hunter2");
        let script = "head -c 16380 /dev/zero | tr '\\0' . >&2; echo $WORD >&2; head -c 16376 /dev/zero | tr '\\0' . >&2; exit 3";
        let failure = shell(script, Duration::from_secs(30))
            .secret_env("WORD", &secret)
            .run()
            .await
            .unwrap_err();
        assert!(!failure.mentions("hunter2"), "{failure}");
        assert!(failure.mentions("....."), "{failure}");
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let missing = Program::new("/no/such/program", Duration::from_secs(9))
            .run()
            .await
            .unwrap_err();
        assert!(missing.mentions("cannot start program"), "{missing}");
        assert!(missing.remedy().unwrap().contains("install program"), "{missing}");
    }

    #[tokio::test]
    async fn only_a_program_that_ran_to_its_end_gives_a_verdict() {
        let limit = Duration::from_secs(30);
        assert!(shell("exit 1", limit).run().await.unwrap_err().is_verdict());
        let killed = shell("kill -KILL $$", limit).run().await.unwrap_err();
        let late = shell("sleep 60", Duration::from_millis(100))
            .run()
            .await
            .unwrap_err();
        let missing = Program::new("/no/such/program", limit).run().await.unwrap_err();
        let closed = Program::new("/etc/passwd", limit).run().await.unwrap_err();
        for failure in [killed, late, missing, closed] {
            assert!(!failure.is_verdict(), "{failure}");
        }
    }
}
