//! Rollouts that are started, watched and approved in a browser.

use std::time::Duration;

use slipway_dev::fleet::Variant;
use slipway_dev::stack::approval;
use slipway_dev::stack::hosts::strategy;
use slipway_domain::RolloutState;
use slipway_wire::page::EnvironmentPageQuery;

use super::browser::{Browser, Eyes};
use super::scene::{Scene, page_of};

const BOUND: Duration = Duration::from_mins(2);

/// Says whether the page was loaded again since.
async fn mark(browser: &Browser) {
    browser.eval("window.same = true").await;
}

async fn is_marked(browser: &Browser) -> bool {
    browser.eval("return window.same === true").await == true
}

/// The numbers of the events that the page shows, the newest first.
async fn events(browser: &Browser) -> Vec<String> {
    let numbers = browser
        .eval("return [...document.querySelectorAll('#events tbody th')].map((number) => number.textContent.trim())")
        .await;
    serde_json::from_value(numbers).unwrap()
}

#[tokio::test]
async fn a_rollout_is_started_and_watched_to_its_end_while_each_replica_dies_once() {
    let scene = Scene::new().await;
    let stack = &scene.rig.stack;
    // So that it is still open when the last replica has died.
    approval::require(stack, true).await.unwrap();
    let ada = approval::approver(stack, "ada").await.unwrap();
    let browser = scene.admins(Eyes::default()).await;
    browser.open("/releases/latest/start?environment=prod").await;
    browser.see("2 hosts, at most 2 out at once").await;
    browser.see("web-1").await;
    browser.click("form.start button.primary").await;
    browser.see("Rollout #2").await;
    assert_eq!(browser.path().await, "/rollouts/2");
    mark(&browser).await;

    browser.see("Waits for an approval").await;

    // The page follows one of them, whichever.
    for replica in &stack.control_plane.replicas {
        let run = &scene.rig.run;
        run.supervisor.kill(replica).await.unwrap();
        run.supervisor.start_again(replica).unwrap();
        stack.control_plane.wait_ready(run, replica).await.unwrap();
    }
    let rollouts = stack
        .api
        .rollouts(&EnvironmentPageQuery::default())
        .await
        .unwrap();
    let open = rollouts.items.iter().find(|one| one.number == Some(2)).unwrap();
    let plans = approval::planned(&stack.api, open.id).await.unwrap();
    approval::approve(&ada, open.id, plans.digest).await.unwrap();
    browser.see_within("succeeded", BOUND).await;
    assert!(is_marked(&browser).await, "the page was loaded again");

    // It missed nothing: a fresh page shows the same events.
    let followed = events(&browser).await;
    browser.open("/rollouts/2").await;
    let fresh = events(&browser).await;
    assert!(fresh.len() > 5, "{fresh:?}");
    assert_eq!(followed, fresh);
    let done = stack.api.rollout(open.id).await.unwrap();
    assert_eq!(done.summary.state, RolloutState::Succeeded);
    scene.rig.run.close().await.unwrap();
}

#[tokio::test]
async fn an_approver_reads_the_plan_and_approves_it_and_its_author_cannot() {
    let scene = Scene::new().await;
    let stack = &scene.rig.stack;
    approval::require(stack, true).await.unwrap();
    let token = approval::approver_token(stack, "ada").await.unwrap();
    let rollout = scene.start(strategy(0, 2)).await;
    approval::planned(&stack.api, rollout.summary.id).await.unwrap();

    // Whoever started it is told why it is not theirs to approve.
    let author = scene.admins(Eyes::default()).await;
    author.open(&page_of(&rollout)).await;
    author.see("Waits for an approval").await;
    assert!(
        !author.text().await.contains("Approve this plan"),
        "{}",
        author.text().await
    );

    let ada = scene.driver.open(Eyes::default()).await;
    ada.sign_in(&token).await;
    ada.see("pending approval").await;
    ada.open(&page_of(&rollout)).await;
    ada.see("slipway-demo").await;
    mark(&ada).await;
    ada.press("Approve this plan…").await;
    ada.fill("details[open] [name=reason]", "read it").await;
    ada.press("Approve this plan").await;
    ada.see_within("succeeded", BOUND).await;
    ada.see("Approved by").await;
    ada.see("ada").await;
    assert_eq!(scene.rig.versions().await, ["v2", "v2"]);
    // The other page heard of it too.
    author.see_within("succeeded", BOUND).await;
    scene.rig.run.close().await.unwrap();
}

/// A release that fails is gone back from by itself, and the page says why, without a click.
#[tokio::test]
async fn a_release_that_fails_is_seen_to_go_back_with_its_reason() {
    let scene = Scene::new().await;
    let bad = scene.rig.publish(&[("v3", Variant::Fails)]).await.remove(0);
    let browser = scene.admins(Eyes::default()).await;
    let rollout = scene.rig.start(&bad, strategy(1, 1)).await;
    browser.open(&page_of(&rollout)).await;
    browser.see_within("reverted", BOUND).await;
    let done = scene.rig.finish(rollout).await;
    let reason = done.summary.reason.unwrap();
    browser.see(reason.split(':').next().unwrap()).await;
    scene.rig.run.close().await.unwrap();
}
