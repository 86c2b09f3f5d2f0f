//! The table of metrics in the documentation, against what the running programs answer.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use common::Base;
use common::metrics::{documented, shown};
use slipway_dev::fleet::Member;
use slipway_dev::nix::Signing;
use slipway_dev::run::Run;
use slipway_dev::stack::binaries::Binaries;
use slipway_dev::stack::hosts::{DevHost, strategy};
use slipway_dev::stack::{DevStack, ENVIRONMENT};
use slipway_domain::{DestinationKind, RolloutState};
use slipway_wire::message::{Confidential, CreateDestination};
use slipway_wire::release::{CreateRelease, Source};
use slipway_wire::rollout::CreateRollout;

const BOUND: Duration = Duration::from_mins(2);

/// The text of one metrics listener.
async fn scrape(port: u16) -> String {
    slipway_client::install_crypto_provider();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .timeout(BOUND);
    let url = format!("http://127.0.0.1:{port}/metrics");
    let answer = client.build().unwrap().get(url).send().await.unwrap();
    answer.error_for_status().unwrap().text().await.unwrap()
}

/// A whole rollout, so that every state is passed.
async fn roll_out(run: &Run, checkout: &Path, stack: &DevStack) {
    let service = &stack.binaries.demo_service;
    let member = |host: &DevHost| host.member(run, service, "v1", 200);
    let members: Vec<Member> = stack.hosts.iter().map(member).collect();
    let nix = &stack.nix;
    let paths = nix
        .build(run, &checkout.join("nix/demo"), &members)
        .await
        .unwrap();
    nix.publish(run, &paths, Signing::Signed).await.unwrap();
    nix.forget_built(run, &paths).await.unwrap();
    let closures = stack.hosts.iter().zip(&paths);
    let release = CreateRelease {
        closures: closures
            .map(|(host, path)| (host.name.to_string(), path.display().to_string()))
            .collect(),
        source: Source::default(),
        message: None,
        name: None,
    };
    let request = CreateRollout {
        environment: ENVIRONMENT.parse().unwrap(),
        release: stack.api.create_release(&release).await.unwrap().id.into(),
        strategy: Some(strategy(0, 1)),
        hosts: Vec::new(),
        reboot: false,
        not_before: None,
        override_freeze: None,
    };
    let rollout = stack.api.create_rollout(&request).await.unwrap().summary.id;
    let end = Instant::now() + BOUND;
    loop {
        let state = stack.api.rollout(rollout).await.unwrap().summary.state;
        if state.is_terminal() {
            assert_eq!(state, RolloutState::Succeeded);
            return;
        }
        assert!(Instant::now() < end, "the rollout does not end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn every_metric_is_in_the_table_and_every_one_of_the_table_is_there() {
    let base = Base::new();
    let run = Run::create(base.path()).unwrap();
    let folder = Path::new(env!("CARGO_BIN_EXE_slipway-dev")).parent().unwrap();
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let binaries = Binaries::in_folder(folder).unwrap();
    let mut stack = DevStack::start(&run, binaries, &|_| ()).await.unwrap();
    stack.add_hosts(&run, &checkout, 1).await.unwrap();
    roll_out(&run, &checkout, &stack).await;
    // So that a failed login was counted.
    let stranger = slipway_dev::stack::client(&stack.nginx, Some("slw_nobody".to_owned().into())).unwrap();
    stranger.all_hosts(None).await.unwrap_err();

    // So that a message was tried. There is no such receiver.
    let destination = CreateDestination {
        name: "nobody".parse().unwrap(),
        kind: DestinationKind::Standard,
        url: Some(Confidential::new("https://no-such-name.invalid/".to_owned())),
        room: None,
        token: None,
        recipients: Vec::new(),
        environments: Vec::new(),
        messages: Vec::new(),
    };
    stack.api.create_destination(&destination).await.unwrap();
    stack.api.test_destination(&destination.name).await.unwrap();

    let table = documented(&checkout.join("docs/metrics.md"));
    // Both workers are asked: one of them drove the rollout.
    let end = Instant::now() + BOUND;
    loop {
        let mut found: BTreeMap<&str, BTreeSet<_>> = BTreeMap::new();
        for (name, port) in &stack.control_plane.metrics {
            let program = if name.starts_with("api") { "api" } else { "worker" };
            found
                .entry(program)
                .or_default()
                .extend(shown(&scrape(*port).await));
        }
        found.insert("agent", shown(&scrape(stack.hosts[0].metrics).await));
        let differences: Vec<String> = found
            .iter()
            .flat_map(|(program, found)| {
                let wanted = &table[*program];
                let missing = wanted
                    .difference(found)
                    .map(move |m| format!("{program} lacks {m:?}"));
                let new = found
                    .difference(wanted)
                    .map(move |m| format!("{program}: {m:?} is not in the table"));
                missing.chain(new)
            })
            .collect();
        if differences.is_empty() {
            break;
        }
        // The first look at the fleet and presence come within 10 s.
        assert!(Instant::now() < end, "{}", differences.join("\n"));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    run.close().await.unwrap();
}
