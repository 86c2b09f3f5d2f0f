//! Each bound, held against real programs that do not keep to it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use slipway_process::output::read;
use slipway_process::{OutputTail, ProcessId, RunLimits, RunOutcome, RunningProgram, capture, run};
use tokio::net::unix::pipe::Receiver;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// Longer than any wait of these tests.
const FAR: Duration = Duration::from_mins(2);
/// What a test's program is given that does not end by itself.
const SHORT: RunLimits = RunLimits {
    run: Duration::from_millis(300),
    grace: Duration::from_millis(200),
    end_leftovers: false,
};

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

/// The process whose number the script wrote to the file.
async fn noted(file: &Path) -> ProcessId {
    let polling = async {
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if let Some(id) = text
                .strip_suffix('\n')
                .and_then(|pid| ProcessId::of(pid.parse().ok()?))
            {
                return id;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(FAR, polling)
        .await
        .expect("the script writes its numbers down")
}

async fn gone(process: &ProcessId) {
    let polling = async {
        while process.is_alive() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(FAR, polling).await.expect("it is ended");
}

/// A shell that does not listen to SIGTERM and starts a child, which starts one itself.
fn family(dir: &Path) -> Command {
    let grandchild = "trap '' TERM; sleep 1000 & echo $! > grandchild; wait; sleep 1000";
    let script = format!(
        "trap '' TERM; sh -c \"{}\" & echo $! > child; echo $$ > leader; wait; sleep 1000",
        grandchild.replace('$', "\\$")
    );
    let mut command = shell(&script);
    command.current_dir(dir);
    command
}

async fn members(dir: &Path) -> Vec<ProcessId> {
    let mut all = Vec::new();
    for name in ["leader", "child", "grandchild"] {
        all.push(noted(&dir.join(name)).await);
    }
    all
}

#[tokio::test]
async fn a_program_that_ignores_sigterm_is_killed_with_its_grandchildren() {
    let dir = tempfile::tempdir().unwrap();
    let running = RunningProgram::spawn(family(dir.path())).unwrap();
    let members = members(dir.path()).await;
    let outcome = running.finish(SHORT, std::future::pending()).await;
    assert!(matches!(outcome, RunOutcome::TimedOut), "{outcome:?}");
    for member in members {
        gone(&member).await;
    }
}

/// A chain in the group of a program: each member starts the next one and ends, and none listens to SIGTERM.
struct Chain {
    dir: tempfile::TempDir,
}

impl Chain {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let hop = "trap '' TERM; test -e stop && exit; echo x >> written; sh hop & ";
        std::fs::write(dir.path().join("hop"), hop).unwrap();
        Self { dir }
    }

    /// The leader, which begins the chain and then does this.
    fn leader(&self, then: &str) -> Command {
        let mut command = shell(&format!("echo $$ > leader; sh hop & {then}"));
        command.current_dir(self.dir.path());
        command
    }

    fn length(&self) -> u64 {
        std::fs::metadata(self.dir.path().join("written")).map_or(0, |file| file.len())
    }

    async fn begun(&self) {
        let polling = async {
            while self.length() < 10 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(FAR, polling).await.expect("it begins");
    }

    /// It began, and it goes on no more.
    async fn expect_end(&self) {
        let at_end = self.length();
        sleep(Duration::from_millis(300)).await;
        assert!(at_end > 0, "it never began");
        assert_eq!(self.length(), at_end, "it goes on");
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        let _ = std::fs::write(self.dir.path().join("stop"), "");
    }
}

/// Until it is told to end.
const IDLE: &str = "trap 'exit' TERM; while :; do sleep 0.01; done";

#[tokio::test]
async fn a_chain_of_short_lives_is_killed_when_its_leader_has_had_its_time() {
    let chain = Chain::new();
    let running = RunningProgram::spawn(chain.leader(IDLE)).unwrap();
    let outcome = running.finish(SHORT, std::future::pending()).await;
    assert!(matches!(outcome, RunOutcome::TimedOut), "{outcome:?}");
    chain.expect_end().await;
}

#[tokio::test]
async fn a_chain_of_short_lives_is_killed_when_its_leader_is_stopped() {
    let chain = Chain::new();
    let running = RunningProgram::spawn(chain.leader(IDLE)).unwrap();
    chain.begun().await;
    running.stop(rustix::process::Signal::TERM, FAR).await;
    chain.expect_end().await;
}

#[tokio::test]
async fn a_chain_of_short_lives_is_killed_as_a_leftover() {
    let chain = Chain::new();
    let limits = RunLimits {
        end_leftovers: true,
        ..FAR.into()
    };
    let enough = "while ! test -e written; do sleep 0.01; done";
    let answer = capture(chain.leader(enough), limits).await;
    assert!(answer.outcome.is_success(), "{answer:?}");
    chain.expect_end().await;
}

#[tokio::test]
async fn a_chain_of_short_lives_is_killed_with_the_group_of_another_s_child() {
    let chain = Chain::new();
    let mut command = chain.leader(IDLE).into_std();
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().unwrap();
    let leader = noted(&chain.dir.path().join("leader")).await;
    // Its parent reaps it at once, and nothing holds the number but the chain.
    let reaping = tokio::task::spawn_blocking(move || child.wait());
    chain.begun().await;
    leader.end_group().await;
    chain.expect_end().await;
    reaping.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_program_that_is_dropped_takes_its_grandchildren_with_it() {
    for asks in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let running = async {
            if asks {
                capture(family(dir.path()), FAR).await.stderr
            } else {
                run(family(dir.path()), FAR).await.1
            }
        };
        let members = tokio::select! {
            printed = running => panic!("it ended: {printed}"),
            members = members(dir.path()) => members,
        };
        for member in members {
            gone(&member).await;
        }
    }
}

#[tokio::test]
async fn a_program_that_closes_its_pipes_is_waited_for_and_bounded() {
    let (outcome, printed) = run(shell("echo on; exec >&- 2>&-; sleep 0.2; exit 3"), FAR).await;
    assert!(
        matches!(outcome, RunOutcome::Exited(status) if status.code() == Some(3)),
        "{outcome:?}"
    );
    assert_eq!(printed, "on\n");
    let answer = capture(shell("exec >&- 2>&-; exec sleep 1000"), SHORT).await;
    assert!(matches!(answer.outcome, RunOutcome::TimedOut), "{answer:?}");
}

#[tokio::test]
async fn a_program_that_prints_without_end_is_bounded() {
    let (outcome, printed) = run(shell("yes; exit 1"), SHORT).await;
    assert!(matches!(outcome, RunOutcome::TimedOut), "{outcome:?}");
    assert!(
        printed.ends_with("y\ny\n") && printed.len() <= 16 * 1024,
        "{}",
        printed.len()
    );
    let answer = capture(shell("exec yes"), FAR).await;
    let RunOutcome::Failed(error) = answer.outcome else {
        panic!("{:?}", answer.outcome);
    };
    assert!(error.to_string().contains("more than 64 MiB"), "{error}");
    assert!(answer.stdout.len() <= 64 * 1024 * 1024);
}

#[tokio::test]
async fn what_a_program_says_when_it_is_told_to_end_is_read() {
    let dir = tempfile::tempdir().unwrap();
    // More than a pipe holds, so it must be read meanwhile.
    let last_words = "head -c 300000 /dev/zero | tr '\\0' x; echo stopped; exit";
    let script = format!("trap \"{last_words}\" TERM; echo $$ > leader; while :; do sleep 0.01; done");
    let (reader, out) = io::pipe().unwrap();
    let mut command = shell(&script);
    command.current_dir(dir.path()).stdout(out);
    let running = RunningProgram::spawn(command).unwrap();
    noted(&dir.path().join("leader")).await;
    let limits = RunLimits { grace: FAR, ..SHORT };
    let mut tail = OutputTail::new(16);
    let reading = read(Receiver::from_owned_fd(reader.into()).unwrap(), |bytes| {
        tail.push(bytes);
        Ok(())
    });
    let outcome = running.finish(limits, reading).await;
    assert!(matches!(outcome, RunOutcome::TimedOut), "{outcome:?}");
    assert_eq!(tail.text(), "xxxxxxxxstopped\n");
}

#[tokio::test]
async fn last_words_are_read_though_the_program_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let script = "trap 'echo stopped; exit' TERM; echo $$ > leader; while :; do sleep 0.01; done";
    let (reader, out) = io::pipe().unwrap();
    let mut command = shell(script);
    command.current_dir(dir.path()).stdout(out);
    let running = RunningProgram::spawn(command).unwrap();
    let leader = noted(&dir.path().join("leader")).await;
    let mut tail = OutputTail::new(16);
    // A reader that is late.
    let reading = async {
        gone(&leader).await;
        sleep(Duration::from_millis(50)).await;
        let reader = Receiver::from_owned_fd(reader.into()).unwrap();
        read(reader, |bytes| {
            tail.push(bytes);
            Ok(())
        })
        .await
    };
    let limits = RunLimits { grace: FAR, ..SHORT };
    let outcome = running.finish(limits, reading).await;
    assert!(matches!(outcome, RunOutcome::TimedOut), "{outcome:?}");
    assert_eq!(tail.text(), "stopped\n");
}

#[tokio::test]
async fn a_grandchild_that_holds_the_output_is_neither_waited_for_nor_ended() {
    let began = Instant::now();
    let answer = capture(shell("sleep 1000 & echo $!"), FAR).await;
    assert!(answer.outcome.is_success(), "{answer:?}");
    assert!(began.elapsed() < FAR / 2);
    let pid = String::from_utf8(answer.stdout).unwrap().trim().parse().unwrap();
    let left = ProcessId::of(pid).unwrap();
    assert!(left.is_alive());
    left.end().await;
}

#[tokio::test]
async fn what_a_program_left_running_is_killed_where_that_is_asked_for() {
    let limits = RunLimits {
        end_leftovers: true,
        ..FAR.into()
    };
    let answer = capture(shell("sleep 1000 & echo $!"), limits).await;
    assert!(answer.outcome.is_success(), "{answer:?}");
    let pid = String::from_utf8(answer.stdout).unwrap().trim().parse().unwrap();
    if let Some(left) = ProcessId::of(pid) {
        gone(&left).await;
    }
}

#[tokio::test]
async fn an_answer_is_kept_whole_and_apart_from_complaints() {
    let script = "head -c 300000 /dev/zero | tr '\\0' x; echo oh >&2";
    let answer = capture(shell(script), FAR).await;
    assert!(answer.outcome.is_success(), "{:?}", answer.outcome);
    assert_eq!((answer.stdout.len(), answer.stderr.as_str()), (300_000, "oh\n"));
}

#[tokio::test]
async fn a_program_that_is_not_there_has_not_run() {
    let (outcome, _) = run(Command::new("/no/such/program"), FAR).await;
    let RunOutcome::Failed(error) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn a_program_is_signalled_until_its_end_was_seen() {
    let mut running =
        RunningProgram::spawn(shell("trap 'exit 7' USR1; while :; do sleep 0.01; done")).unwrap();
    assert!(running.pid().is_some() && running.try_wait().unwrap().is_none());
    // The shell may not have set its trap yet; then the signal ends it all the same.
    running.signal_group(rustix::process::Signal::USR1).unwrap();
    timeout(FAR, running.wait()).await.unwrap().unwrap();
    assert_eq!(running.pid(), None);
    running.signal(rustix::process::Signal::KILL).unwrap();
    running.signal_group(rustix::process::Signal::KILL).unwrap();
}
