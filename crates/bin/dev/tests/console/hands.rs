//! People who press: twice at once, by keyboard alone, without the script, on a narrow screen.

use slipway_dev::stack::hosts::strategy;
use slipway_domain::RolloutState;

use slipway_wire::page::EnvironmentPageQuery;

use super::browser::{ENTER, Eyes};
use super::scene::{Scene, page_of};

#[tokio::test]
async fn two_tabs_abort_at_once_and_the_second_is_told() {
    let scene = Scene::new().await;
    let rollout = scene.start_and_bake().await;
    let browser = scene.admins(Eyes::default()).await;
    let first = browser.tab().await;
    let second = browser.new_tab().await;
    for tab in [&first, &second] {
        browser.switch_to(tab).await;
        browser.open(&page_of(&rollout)).await;
        browser.press("Abort…").await;
        browser.fill("details[open] [name=reason]", "too early").await;
    }
    browser.switch_to(&first).await;
    browser.press("Abort").await;
    let done = scene.rig.finish(rollout).await;
    assert_eq!(done.summary.state, RolloutState::Aborted);
    browser.see("aborted").await;

    // What was typed stays until it is sent, and then the page says why nothing was done.
    browser.switch_to(&second).await;
    browser.press("Abort").await;
    browser.see("a rollout that is aborted cannot take abort").await;
    browser.see("aborted").await;
    assert_eq!(scene.rig.versions().await, ["v1", "v1"]);
    scene.rig.run.close().await.unwrap();
}

#[tokio::test]
async fn a_person_with_a_keyboard_alone_signs_in_and_aborts() {
    let scene = Scene::new().await;
    let rollout = scene.start_and_bake().await;
    let browser = scene.driver.open(Eyes::default()).await;
    browser.open(&page_of(&rollout)).await;
    browser.see("Sign in").await;
    // The field of the token has the focus.
    let token = scene.admin();
    let letters: Vec<String> = token.chars().map(String::from).collect();
    let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
    browser.keys(&letters).await;
    browser.keys(&[ENTER]).await;
    browser.see("Rollout #2").await;
    assert_eq!(browser.path().await, "/rollouts/2");

    browser.tab_to("Skip to the content").await;
    browser.keys(&[ENTER]).await;
    browser.tab_to("Abort…").await;
    browser.keys(&[ENTER]).await;
    browser.tab_to("reason").await;
    browser.keys(&["n", "o"]).await;
    browser.tab_to("Abort").await;
    browser.keys(&[ENTER]).await;
    let done = scene.rig.finish(rollout).await;
    assert_eq!(done.summary.state, RolloutState::Aborted);
    browser.see("aborted").await;
    scene.rig.run.close().await.unwrap();
}

#[tokio::test]
async fn everything_works_without_the_script_on_a_phone() {
    let scene = Scene::new().await;
    let browser = scene.admins(Eyes::phone()).await;
    browser.open("/releases/latest/start?environment=prod").await;
    browser.click("form.start button.primary").await;
    browser.see("Rollout #2").await;
    let api = &scene.rig.stack.api;
    let open = api.rollouts(&EnvironmentPageQuery::default()).await.unwrap();
    let open = open.items.iter().find(|one| one.number == Some(2)).unwrap();
    let done = scene.rig.finish(api.rollout(open.id).await.unwrap()).await;
    assert_eq!(done.summary.state, RolloutState::Succeeded);
    browser.open("/rollouts/2").await;
    browser.see("succeeded").await;

    // Back again, and then no further.
    let mut slow = strategy(1, 1);
    slow.bake_seconds = 600;
    slow.limits.deadman_seconds = 1200;
    let rollout = scene.start_previous(slow).await;
    browser.open(&page_of(&rollout)).await;
    browser.press("Abort…").await;
    browser.fill("details[open] [name=reason]", "not now").await;
    browser.press("Abort").await;
    let done = scene.rig.finish(rollout).await;
    assert_eq!(done.summary.state, RolloutState::Aborted);
    browser.press("Sign out").await;
    browser.see("Sign in").await;
    scene.rig.run.close().await.unwrap();
}
