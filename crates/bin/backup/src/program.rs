//! Other people's programs: bounded in time, ended with all their children, their last words kept.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::failure::{Failure, Result};
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
        command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
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

    fn spawn(&mut self) -> Result<(Child, Group)> {
        let cannot = |why: &dyn std::fmt::Display| {
            Failure::new(format!("cannot start {}: {why}", self.name)).cure(format!(
                "install {}; on NixOS the module puts it on the PATH of the units and of the wrapper",
                self.name
            ))
        };
        // setpriv would say it with a status of its own, which would pass for the program's.
        let Some(path) = find(&self.path) else {
            return Err(cannot(&format!("{} is not there", self.path.display())));
        };
        if let Err(errno) = rustix::fs::access(&path, rustix::fs::Access::EXEC_OK) {
            return Err(cannot(&format!(
                "{}: {}",
                path.display(),
                std::io::Error::from(errno)
            )));
        }
        let child = self.command.spawn().map_err(|error| cannot(&error))?;
        let group = Group(
            child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(Pid::from_raw),
        );
        Ok((child, group))
    }

    /// Runs it to its end: what it printed, or a failure when the status is not 0 or the time is over.
    pub(crate) async fn run(mut self) -> Result<String> {
        let (mut child, group) = self.spawn()?;
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        // Beside the rest: what was said is of use above all when the time is over.
        let words = tokio::spawn(last_lines(stderr, std::mem::take(&mut self.secrets)));
        let work = async {
            let read_out = async {
                let mut text = Vec::new();
                if let Some(mut stdout) = stdout {
                    let _ = stdout.read_to_end(&mut text).await;
                }
                String::from_utf8_lossy(&text).into_owned()
            };
            tokio::join!(read_out, child.wait())
        };
        let Ok((stdout, status)) = timeout(self.limit, work).await else {
            group.end(&mut child).await;
            drop(group);
            return Err(Failure::new(format!(
                "{} did not end within {} and was stopped",
                self.name,
                crate::text::duration(self.limit)
            ))
            .said(said_by(words).await)
            .cure(
                "look what it waits for (a server that does not answer, the disk, a lock in the database), or allow it \
                 more time",
            ));
        };
        let status =
            status.map_err(|error| Failure::new(format!("cannot wait for {}: {error}", self.name)))?;
        if status.success() {
            return Ok(stdout);
        }
        Err(self.failed(status, said_by(words).await))
    }

    fn failed(&self, status: ExitStatus, stderr: Vec<String>) -> Failure {
        let how = match status.code() {
            Some(code) => format!("{} ended with status {code}", self.name),
            None => format!("{} was ended by a signal ({status})", self.name),
        };
        let full = stderr.iter().any(|line| line.contains("No space left on device"));
        let failure = Failure::new(how).said(stderr).status(status.code());
        if full {
            failure.cure(crate::failure::NO_ROOM)
        } else {
            failure
        }
    }

    /// Starts it and leaves it running; its stderr goes to `log`.
    pub(crate) fn start(mut self, log: std::fs::File) -> Result<Running> {
        self.command.stdout(Stdio::null()).stderr(log);
        let (child, group) = self.spawn()?;
        Ok(Running { child, group })
    }
}

/// A program that goes on until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    group: Group,
}

impl Running {
    /// Whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal to it alone, and waits up to `limit` for its end.
    pub(crate) async fn stop(mut self, signal: Signal, limit: Duration) {
        if let Some(pid) = self.group.0 {
            let _ = rustix::process::kill_process(pid, signal);
        }
        let _ = timeout(limit, self.child.wait()).await;
    }
}

/// The process group of a program: killed with it.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    /// Asks all of it to end, and waits a little for the first of them.
    async fn end(&self, child: &mut Child) {
        if let Some(pid) = self.0 {
            let _ = kill_process_group(pid, Signal::TERM);
            let _ = timeout(GRACE, child.wait()).await;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// What a program that has ended said. A child of its that lives on may hold its stderr open; that is not waited for.
async fn said_by(words: JoinHandle<Vec<String>>) -> Vec<String> {
    timeout(GRACE, words)
        .await
        .ok()
        .and_then(std::result::Result::ok)
        .unwrap_or_default()
}

async fn last_lines(stderr: Option<tokio::process::ChildStderr>, secrets: Vec<Hidden>) -> Vec<String> {
    let mut kept = std::collections::VecDeque::new();
    let Some(stderr) = stderr else {
        return Vec::new();
    };
    let mut reader = BufReader::new(stderr);
    let mut bytes = Vec::new();
    while reader
        .read_until(b'\n', &mut bytes)
        .await
        .is_ok_and(|read| read > 0)
    {
        let line = String::from_utf8_lossy(&bytes);
        let line = secrets
            .iter()
            .fold(line.trim().to_owned(), |line, secret| secret.scrub(&line));
        if !line.is_empty() {
            kept.push_back(line.chars().take(LINE).collect::<String>());
        }
        if kept.len() > LAST_LINES {
            kept.pop_front();
        }
        bytes.clear();
    }
    kept.into()
}

/// setpriv, where there is one and it may work: the sandbox of a unit forbids it, and there systemd ends what is left.
fn setpriv() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let path = find(Path::new("setpriv"))?;
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

/// Where a program is: in PATH, unless it is a path already.
pub(crate) fn find(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.exists().then(|| program.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
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
        let child = std::fs::read_to_string(&file).unwrap();
        let status = format!("/proc/{}/stat", child.trim());
        // It was killed, but the kernel may not have come to it yet.
        let gone = async {
            while std::fs::read_to_string(&status).is_ok_and(|status| !status.contains(") Z ")) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(5), gone)
            .await
            .expect("the child is gone");
    }

    #[tokio::test]
    async fn what_could_lead_elsewhere_is_not_passed_on() {
        let said = shell("env", Duration::from_secs(9)).run().await.unwrap();
        assert!(said.contains("PATH="));
        assert!(!said.contains("CARGO"), "{}", said);
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
