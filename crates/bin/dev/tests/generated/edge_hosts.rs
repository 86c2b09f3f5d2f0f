//! What clients of an edge host see when one of the hosts behind it dies, freezes, or has no stack.

use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::Signal;
use slipway_dev::ports::loopback;
use tokio::net::TcpStream;

use crate::edge::{App, Fleet, Outcome};

/// For so long a host that did not answer is passed over (nix/contract.nix, `hostOutSeconds`).
const OUT: Duration = Duration::from_secs(5);
/// Within this one that is back gets requests again.
const BACK: Duration = Duration::from_secs(15);

fn statuses(outcomes: &[Outcome]) -> Vec<u16> {
    let mut all: Vec<u16> = outcomes.iter().map(|outcome| outcome.status).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Requests that a host may cost in that time: the first, and one each time that it is asked again.
fn asked_at_most(began: Instant) -> usize {
    let periods = began.elapsed().as_secs() / OUT.as_secs();
    2 + usize::try_from(periods).unwrap()
}

async fn nginx_starts(app: &App, port: u16) {
    let supervisor = &app.host.run.supervisor;
    supervisor.start_again("nginx").unwrap();
    let ready = async || TcpStream::connect(loopback(port)).await.is_ok();
    supervisor
        .wait_ready("nginx", Duration::from_secs(15), ready)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_host_that_is_killed_costs_no_request() {
    let fleet = Fleet::start().await;
    let [one, _] = &fleet.apps;
    assert_eq!(statuses(&fleet.asks(&Method::GET, 20).await), [200]);
    one.host.run.supervisor.kill("nginx").await.unwrap();
    for method in [Method::GET, Method::POST] {
        assert_eq!(statuses(&fleet.asks(&method, 100).await), [200], "{method}");
    }
    nginx_starts(one, one.port).await;
    fleet.until_it_answers(0, BACK).await;
    assert_eq!(fleet.carried_out_twice(), [""; 0]);
}

/// Nothing was sent to it yet when the handshake takes too long, so a POST is asked of the other one as well.
#[tokio::test]
async fn a_frozen_host_costs_one_request_the_time_to_connect() {
    let fleet = Fleet::start().await;
    let [one, _] = &fleet.apps;
    let supervisor = &one.host.run.supervisor;
    supervisor.signal("nginx", Signal::STOP).unwrap();
    let began = Instant::now();
    for method in [Method::POST, Method::GET] {
        let outcomes = fleet.asks(&method, 100).await;
        assert_eq!(statuses(&outcomes), [200], "{method}");
        let slow = outcomes
            .iter()
            .filter(|outcome| outcome.took > Duration::from_secs(1));
        assert!(slow.count() <= asked_at_most(began), "{method}");
        assert!(
            outcomes
                .iter()
                .all(|outcome| outcome.took < Duration::from_secs(4))
        );
    }
    supervisor.signal("nginx", Signal::CONT).unwrap();
    fleet.until_it_answers(0, BACK).await;
    assert_eq!(fleet.carried_out_twice(), [""; 0]);
}

#[tokio::test]
async fn a_host_without_a_stack_draws_no_traffic() {
    let fleet = Fleet::start().await;
    let [one, two] = &fleet.apps;
    one.stack_stops().await;
    let began = Instant::now();
    // It fails faster than the other one answers, so it is the less busy one.
    assert_eq!(statuses(&fleet.asks(&Method::GET, 200).await), [200]);
    // A POST that was sent is not sent again, and counts nevertheless.
    let posts = fleet.asks(&Method::POST, 200).await;
    let lost = posts.iter().filter(|outcome| outcome.status == 502).count();
    assert!(lost <= asked_at_most(began), "{lost} of 200 were lost");
    assert_eq!(
        posts.iter().filter(|outcome| outcome.status == 200).count(),
        200 - lost
    );
    assert_eq!(two.requests(), 400 - lost);
    one.stack_starts().await;
    fleet.until_it_answers(0, BACK).await;
    assert_eq!(fleet.carried_out_twice(), [""; 0]);
}

#[tokio::test]
async fn a_stack_that_takes_no_requests_draws_no_traffic() {
    let fleet = Fleet::start().await;
    let [one, _] = &fleet.apps;
    one.says(503);
    let began = Instant::now();
    assert_eq!(statuses(&fleet.asks(&Method::GET, 300).await), [200]);
    assert!(
        one.requests() <= asked_at_most(began),
        "it got {} of 300 requests",
        one.requests()
    );
    one.says(200);
    fleet.until_it_answers(0, BACK).await;
    assert_eq!(fleet.carried_out_twice(), [""; 0]);
}

/// As with a database that is away. Then no host is passed over: what they say is the answer, and the first that
/// recovers answers at once.
#[tokio::test]
async fn where_every_stack_refuses_its_own_answer_stands() {
    let fleet = Fleet::start().await;
    for app in &fleet.apps {
        app.says(503);
    }
    for method in [Method::GET, Method::POST] {
        for outcome in fleet.asks(&method, 50).await {
            assert_eq!(
                (outcome.status, outcome.body.as_str()),
                (503, "the stack"),
                "{method}"
            );
        }
    }
    fleet.apps[1].says(200);
    assert_eq!(statuses(&fleet.asks(&Method::GET, 50).await), [200]);
    assert_eq!(fleet.carried_out_twice(), [""; 0]);
}

#[tokio::test]
async fn with_no_host_left_the_edge_says_so_and_recovers_with_the_first() {
    let fleet = Fleet::start().await;
    for app in &fleet.apps {
        app.stack_stops().await;
    }
    for method in [Method::GET, Method::POST] {
        for outcome in fleet.asks(&method, 20).await {
            assert_eq!(outcome.status, 502, "{method}");
            assert!(
                outcome.body.contains("no replica of the service"),
                "{method}: {}",
                outcome.body
            );
        }
    }
    fleet.apps[1].stack_starts().await;
    assert_eq!(statuses(&fleet.asks(&Method::GET, 50).await), [200]);
    assert_eq!(fleet.carried_out_twice(), [""; 0]);
}
