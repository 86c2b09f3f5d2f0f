//! Whatever way a run ends, nothing of it stays, and nothing else is touched.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::Base;
use rustix::process::{Pid, Signal, kill_process};
use slipway_dev::leftovers;
use slipway_dev::run_dir::MARKER;

/// A `slipway-dev services` in a target folder of its own.
struct Session {
    child: Child,
    id: String,
    folder: PathBuf,
    urls: Vec<String>,
}

impl Session {
    fn start(base: &Base) -> Self {
        let program = base.path().join("debug/slipway-dev");
        if !program.exists() {
            std::fs::create_dir_all(program.parent().unwrap()).unwrap();
            std::fs::copy(env!("CARGO_BIN_EXE_slipway-dev"), &program).unwrap();
        }
        let before = runs(base.path());
        let mut command = Command::new(&program);
        command
            .arg("services")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove(MARKER);
        let mut child = command.spawn().unwrap();
        let urls: Vec<String> = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .take(2)
            .map(Result::unwrap)
            .collect();
        let folder = runs(base.path())
            .into_iter()
            .find(|run| !before.contains(run))
            .unwrap();
        let id = folder
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_start_matches("run-")
            .to_owned();
        Self {
            child,
            id,
            folder,
            urls,
        }
    }

    fn port(&self, service: usize) -> u16 {
        let address = self.urls[service]
            .rsplit('@')
            .next()
            .unwrap()
            .split('/')
            .next()
            .unwrap();
        address.rsplit(':').next().unwrap().parse().unwrap()
    }

    fn answers(&self) -> bool {
        (0..2).all(|service| std::net::TcpStream::connect(("127.0.0.1", self.port(service))).is_ok())
    }

    /// The id of Postgres' shared memory, from the seventh line of its pid file.
    fn shared_memory(&self) -> String {
        let file = std::fs::read_to_string(self.folder.join("postgres/data/postmaster.pid")).unwrap();
        file.lines()
            .nth(6)
            .unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; returns the exit code, or the signal that killed it, and what it said.
    fn end(mut self) -> (Option<i32>, Option<i32>, String) {
        let mut printed = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut printed)
            .unwrap();
        let status = self.child.wait().unwrap();
        (status.code(), status.signal(), printed)
    }
}

fn runs(base: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(base.join("slipway-dev"))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.to_str().unwrap().contains("/run-"))
        .collect()
}

/// Whether the machine still has the segment; the second column of the kernel's table is its id.
fn has_shared_memory(id: &str) -> bool {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    table
        .lines()
        .any(|line| line.split_whitespace().nth(1) == Some(id))
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{what} did not come true"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ctrl_c_and_sigterm_stop_everything_and_remove_the_folder() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let base = Base::new();
        let session = Session::start(&base);
        assert!(session.answers());
        let (id, folder) = (session.id.clone(), session.folder.clone());
        session.signal(signal);
        let (exit, _, printed) = session.end();
        assert_eq!(exit, Some(code), "{printed}");
        let (begun, ended) = (printed.find("stopping: "), printed.find("stopped: "));
        assert!(begun.is_some() && begun < ended, "{printed}");
        assert_eq!(leftovers::find(&id, &folder), []);
        assert!(!folder.exists());
    }
}

#[test]
fn the_next_start_ends_what_a_killed_owner_left_and_leaves_a_living_run_alone() {
    let base = Base::new();
    let living = Session::start(&base);
    let killed = Session::start(&base);
    assert_ne!(living.port(0), killed.port(0));
    let (id, folder) = (killed.id.clone(), killed.folder.clone());
    // Stands for what an agent detaches: the kernel does not end it with its ancestor.
    let mut orphan = Command::new("sleep")
        .arg("300")
        .env(MARKER, &id)
        .process_group(0)
        .spawn()
        .unwrap();
    let mut stranger = Command::new("sleep")
        .arg("300")
        .current_dir(&folder)
        .spawn()
        .unwrap();

    let memory = killed.shared_memory();
    assert!(has_shared_memory(&memory));

    killed.signal(Signal::KILL);
    assert_eq!(killed.end().1, Some(9));
    eventually("the kernel ends what the killed owner had started", || {
        leftovers::find(&id, &folder).len() == 1
    });
    assert!(folder.exists());
    eventually("Postgres gives its shared memory back", || {
        !has_shared_memory(&memory)
    });

    let next = Session::start(&base);
    assert_eq!(
        orphan.wait().unwrap().signal(),
        Some(15),
        "asked to end before it is killed"
    );
    assert!(!folder.exists());
    assert!(
        stranger.try_wait().unwrap().is_none(),
        "a person's process in the folder is not ours to end"
    );
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert!(living.answers() && living.folder.exists());

    next.signal(Signal::INT);
    let (_, _, printed) = next.end();
    assert!(
        printed.contains(&format!("cleaned up after the killed run {id} (1 processes)")),
        "{printed}"
    );
    living.signal(Signal::INT);
    assert_eq!(living.end().0, Some(130));
}
