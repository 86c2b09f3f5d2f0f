//! What real switch scripts print, followed by the real CLI while replicas and agents are killed.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use common::rig::{Rig, reasons};
use secrecy::ExposeSecret as _;
use slipway_dev::fleet::Variant;
use slipway_dev::stack::hosts::strategy;
use slipway_domain::RolloutState;
use slipway_wire::output::{Output, OutputQuery};
use slipway_wire::rollout::Rollout;
use tokio::process::Command;

fn slipway(rig: &Rig, args: &[&str]) -> Command {
    let mut command = Command::new(&rig.stack.binaries.cli);
    command
        .args(args)
        .env("SLIPWAY_URL", rig.stack.nginx.api_url())
        .env("SLIPWAY_CA_FILE", &rig.stack.nginx.ca)
        .env("SLIPWAY_TOKEN", rig.stack.admin_token.expose_secret())
        .env("SLIPWAY_RETRY_SECONDS", "60")
        .kill_on_drop(true);
    command
}

async fn printed(rig: &Rig, rollout: &Rollout) -> Vec<Output> {
    let (mut all, mut query) = (Vec::new(), OutputQuery::default());
    loop {
        let page = rig
            .stack
            .api
            .rollout_output(rollout.summary.id, &query, None)
            .await
            .unwrap();
        all.extend(page.items);
        match page.next {
            Some(next) => query.after = Some(next.parse().unwrap()),
            None => return all,
        }
    }
}

#[tokio::test]
async fn the_cli_follows_what_scripts_print_while_everything_is_killed() {
    let rig = Rig::new(2).await;
    let variants = [("v1", Variant::Works), ("v2", Variant::Prints)];
    let closures = rig.publish(&variants).await;
    let first = rig.roll_out(&closures[0], strategy(0, 2)).await;
    assert_eq!(
        first.summary.state,
        RolloutState::Succeeded,
        "{}",
        reasons(&first)
    );
    let second = rig.start(&closures[1], strategy(0, 2)).await;
    let number = second.summary.number.unwrap().to_string();
    let watching = slipway(&rig, &["rollout", "watch", &number, "--logs"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    // In the middle of the scripts, each agent and then each replica is killed and begins again.
    while printed(&rig, &second).await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for host in &rig.stack.hosts {
        rig.run.supervisor.kill(&host.agent()).await.unwrap();
        rig.run.supervisor.start_again(&host.agent()).unwrap();
    }
    for replica in &rig.stack.control_plane.replicas {
        rig.run.supervisor.kill(replica).await.unwrap();
        rig.run.supervisor.start_again(replica).unwrap();
    }
    let ended = rig.finish(second).await;
    assert_eq!(
        ended.summary.state,
        RolloutState::Succeeded,
        "{}",
        reasons(&ended)
    );
    let shown = watching.wait_with_output().await.unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(!shown.contains('\u{1b}'), "no escape reaches the terminal");

    // What the CLI showed is what is kept, each line once and in order.
    let lines = by_job(&shown);
    let kept = printed(&rig, &ended).await;
    for host in &rig.stack.hosts {
        let of_job: Vec<&Output> = kept
            .iter()
            .filter(|piece| piece.host == host.name && piece.job == "activate-1")
            .collect();
        let texts: Vec<&str> = of_job.iter().flat_map(|piece| piece.text.lines()).collect();
        let bytes: usize = of_job.iter().map(|piece| piece.text.len()).sum();
        let shown = &lines[&format!("{} activate-1", host.name)];
        let without_marks: Vec<&str> = shown
            .iter()
            .copied()
            .filter(|line| !line.contains("left out"))
            .collect();
        assert_eq!(without_marks, texts, "{}", host.name);
        assert_eq!(
            shown[..7],
            [
                "step 1",
                "step 2",
                "step 3",
                "step 4",
                "step 5",
                "step 6",
                "line 1 of a flood that nobody wants to read to its end, since it says nothing"
            ]
        );
        assert!(
            shown.last().unwrap().ends_with("the service is running"),
            "{shown:?}"
        );
        let skipped: u64 = of_job.iter().map(|piece| piece.skipped).sum();
        assert!(skipped > 1_000_000, "{skipped}");
        assert!(bytes <= 64 * 1024, "{bytes}");
    }

    let found = slipway(
        &rig,
        &[
            "rollout", "logs", &number, "--search", "STEP 3", "--host", "web-2",
        ],
    )
    .output()
    .await
    .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let (at, line) = found.split_once(' ').unwrap();
    assert_eq!(line, "web-2 activate-1 | step 3\n");
    let of_piece = kept.iter().filter(|piece| piece.text.contains("step 3"));
    assert!(
        of_piece
            .map(|piece| piece.at.format("%Y-%m-%dT%H:%M:%SZ").to_string())
            .any(|kept| kept == at),
        "{at}"
    );
    rig.run.close().await.unwrap();
}

/// The lines of each job, without their times.
fn by_job(shown: &str) -> BTreeMap<String, Vec<&str>> {
    let mut lines: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (_, line) in shown.lines().filter_map(|line| line.split_once(' ')) {
        if let Some((who, text)) = line.split_once(" | ") {
            lines.entry(who.to_owned()).or_default().push(text);
        }
    }
    lines
}
