//! Runs the real binary in a home of its own.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "not every test uses every helper"
)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use slipway_client::testing::{ReceivedRequest, ScriptedApi, ScriptedReply};
use tempfile::TempDir;

pub(crate) const ROLLOUT: &str = "0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10";
pub(crate) const RELEASE: &str = "0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b11";
pub(crate) const TOKEN_ID: &str = "0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b12";
pub(crate) const CLOSURE: &str = "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-nixos-system-web";
pub(crate) const AT: &str = "2026-03-01T12:00:00Z";

/// The binary with nothing of this process's environment but the path.
pub(crate) struct Slipway {
    pub(crate) home: TempDir,
    variables: Vec<(String, String)>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Slipway {
    pub(crate) fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        }
    }

    /// Logged in to this API by environment.
    pub(crate) fn at(server: &ScriptedApi) -> Self {
        Self::new()
            .env("SLIPWAY_URL", &server.url())
            .env("SLIPWAY_TOKEN", "slw_test")
            // An API that never answers shall not be waited for.
            .env("SLIPWAY_RETRY_SECONDS", "2")
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.home.path().join("config/slipway/config.json")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .args(args)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path().join("config"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }

    /// Begins to run; what it prints is kept for the end.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Begins to run on a terminal; the thread gives what the terminal got.
    pub(crate) fn start_on_a_terminal(&self, args: &[&str]) -> (Child, JoinHandle<String>) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let terminal = File::options().read(true).write(true).open(name).unwrap();
        let mut command = self.command(args);
        command
            .env("TERM", "xterm")
            .stdout(terminal.try_clone().unwrap())
            .stderr(terminal);
        let child = command.spawn().unwrap();
        let reader = std::thread::spawn(move || {
            let mut screen = Vec::new();
            // The end of a terminal is an error, not an end of file.
            let _ = File::from(master).read_to_end(&mut screen);
            String::from_utf8_lossy(&screen).into_owned()
        });
        (child, reader)
    }

    pub(crate) fn run_with_stdin(&self, args: &[&str], stdin: &str) -> Ran {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that fails at once does not read it.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap().into()
    }
}

/// What comes in a list after the number that is asked for. Where there is nothing, the answer waits for a moment if it may.
pub(crate) fn news(request: &ReceivedRequest, all: &[Value]) -> ScriptedReply {
    let mut pairs = request.query.split('&');
    let after = pairs.find_map(|pair| pair.strip_prefix("after=")?.parse().ok());
    let news = &all[after.unwrap_or(0).min(all.len())..];
    let reply = ScriptedReply::json(200, &json!({ "items": news }));
    let waits = news.is_empty() && request.header("prefer").is_some();
    reply.after(Duration::from_millis(if waits { 50 } else { 0 }))
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// The one JSON document on stdout.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stderr, "", "{self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The one problem document on stderr.
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(self.stdout, "", "{self:?}");
        serde_json::from_str(&self.stderr).unwrap()
    }
}

pub(crate) fn whoami() -> Value {
    json!({"kind": "principal", "name": "admin", "role": "admin"})
}

pub(crate) fn host(name: &str) -> Value {
    json!({
        "name": name, "environment": "prod", "labels": {"rack": "b2"}, "online": true, "last_seen_at": AT,
        "live": CLOSURE, "boot_default": CLOSURE, "agent_version": "0.1.0", "clock_skew_seconds": 0,
        "report": null, "step": null, "created_at": AT, "retired_at": null,
    })
}

pub(crate) fn environment() -> Value {
    json!({
        "name": "prod", "strategy": {"batch": 2}, "approval_required": false, "hosts": 2,
        "open_rollout": null, "created_at": AT,
    })
}

pub(crate) fn token() -> Value {
    json!({"id": TOKEN_ID, "token": "slw_made", "expires_at": null})
}

/// A rollout of `web-1` (canary) and `web-2`, whose steps are in these states.
pub(crate) fn rollout(state: &str, reason: Option<&str>, steps: [&str; 2]) -> Value {
    let step = |n: usize| {
        json!({
            "host": format!("web-{}", n + 1), "wave": n, "state": steps[n], "since": AT, "attempt": null,
            "failures": 0, "closure": CLOSURE, "prior": null, "reason": null,
        })
    };
    json!({
        "id": ROLLOUT, "environment": "prod", "release": RELEASE, "state": state, "since": AT, "reason": reason,
        "author": "ci", "created_at": AT, "finished_at": null, "strategy": {}, "approver": null,
        "pending_commands": [], "steps": [step(0), step(1)],
    })
}
