//! What to start: program, arguments, environment, account, and how it is stopped.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

use crate::programs;
use crate::run_dir::{MARKER, RunDir};
use crate::service_user::ServiceUser;

/// Variables that every process may see. All others are left out, so that a person's exported `DATABASE_URL`,
/// for example, does not reach the run.
const INHERITED: [&str; 6] = ["PATH", "LANG", "LC_ALL", "LOCALE_ARCHIVE", "TZ", "RUST_BACKTRACE"];

/// A process to start.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Unique in the run; also the name of its log.
    pub name: String,
    /// The program, found by [`programs::find`] or absolute.
    pub program: PathBuf,
    /// Its arguments. Nothing secret may stand here: every user of the machine can read them.
    pub args: Vec<OsString>,
    /// Variables beyond the inherited ones.
    pub env: Vec<(OsString, OsString)>,
    /// Written to its standard input, which is closed after it; none means `/dev/null`.
    pub stdin: Option<String>,
    /// The account it runs under; none means ours.
    pub user: Option<ServiceUser>,
    /// What asks it to stop.
    pub stop_signal: Signal,
    /// The signal that the kernel sends it when we die without stopping it, without `SIG`.
    pub death_signal: &'static str,
    /// Higher layers are stopped first.
    pub layer: u8,
    /// Whether the whole environment of this process is handed on.
    pub inherit_all: bool,
    /// Whether it writes where we write, instead of to a log.
    pub foreground: bool,
    /// Whether its standard output goes to a file of its own instead of the log.
    pub capture: bool,
    /// Its working directory; none means the run's folder.
    pub directory: Option<PathBuf>,
    /// The file of the network namespace that it runs in; none means ours.
    pub network: Option<PathBuf>,
}

impl Spec {
    /// A process named `name` that is stopped with SIGTERM.
    #[must_use]
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: None,
            user: None,
            stop_signal: Signal::TERM,
            death_signal: "KILL",
            layer: 0,
            inherit_all: false,
            foreground: false,
            capture: false,
            directory: None,
            network: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets many variables.
    #[must_use]
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(self, pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        pairs
            .into_iter()
            .fold(self, |spec, (name, value)| spec.env(name, value))
    }

    /// Text for its standard input.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// Runs it under another account.
    #[must_use]
    pub fn user(mut self, user: Option<&ServiceUser>) -> Self {
        self.user = user.cloned();
        self
    }

    /// Stops it with `signal` instead of SIGTERM.
    #[must_use]
    pub fn stop_signal(mut self, signal: Signal) -> Self {
        self.stop_signal = signal;
        self
    }

    /// Has the kernel send it `signal` instead of KILL when we die without stopping it.
    #[must_use]
    pub fn death_signal(mut self, signal: &'static str) -> Self {
        self.death_signal = signal;
        self
    }

    /// Hands our whole environment on, as a build tool needs.
    #[must_use]
    pub fn inherit_all(mut self) -> Self {
        self.inherit_all = true;
        self
    }

    /// For a tool a person watches: our environment, our standard output and error.
    #[must_use]
    pub fn foreground(mut self) -> Self {
        self.foreground = true;
        self.inherit_all()
    }

    /// Runs it in `directory` instead of the run's folder.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Runs it in another network namespace.
    #[must_use]
    pub fn network(mut self, namespace: impl Into<PathBuf>) -> Self {
        self.network = Some(namespace.into());
        self
    }

    /// Puts it in a layer; all of a higher layer end before any of a lower one is asked to.
    #[must_use]
    pub fn layer(mut self, layer: u8) -> Self {
        self.layer = layer;
        self
    }

    /// The real command: `setpriv` drops rights if asked, makes the kernel kill the process when we die, and
    /// then becomes the program.
    pub fn command(&self, run: &RunDir) -> Result<Command> {
        let setpriv = programs::find("setpriv")?;
        let mut command = match &self.network {
            None => Command::new(setpriv),
            Some(namespace) => {
                let mut command = Command::new(programs::find("nsenter")?);
                let mut network = OsString::from("--net=");
                network.push(namespace);
                command.arg(network).arg("--").arg(setpriv);
                command
            }
        };
        command.args(["--pdeathsig", self.death_signal]);
        if let Some(user) = &self.user {
            command.args(["--reuid", &user.uid.to_string(), "--regid", &user.gid.to_string()]);
            command.args(["--clear-groups", "--no-new-privs"]);
        }
        command.arg("--").arg(&self.program).args(&self.args);
        if !self.inherit_all {
            command.env_clear();
            let kept = INHERITED
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?)));
            command.envs(kept);
            command
                .env("HOME", run.path().join("home"))
                .env("TMPDIR", run.path().join("tmp"));
        }
        command.env(MARKER, run.marker());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.directory.as_deref().unwrap_or(run.path()));
        Ok(command)
    }
}
