//! Sessions that end, a database that is away, and a browser whose clock is wrong.

use std::time::Duration;

use serde_json::json;
use slipway_dev::postgres;
use slipway_wire::page::PageQuery;

use super::browser::Eyes;
use super::scene::{Scene, page_of};

#[tokio::test]
async fn a_session_that_ends_says_so_on_the_open_page_and_leads_back_to_it() {
    let scene = Scene::new().await;
    let rollout = scene.start_and_bake().await;
    let browser = scene.admins(Eyes::default()).await;
    browser.open(&page_of(&rollout)).await;
    browser.see("Rollout #2").await;
    let api = &scene.rig.stack.api;
    let tokens = api.tokens(&PageQuery::default()).await.unwrap().items;
    let session = tokens
        .iter()
        .find(|token| token.label.starts_with("console"))
        .unwrap();
    api.revoke_token(session.id).await.unwrap();
    browser.see("The session is over.").await;
    browser.press("Sign in").await;
    browser.fill("input[name=token]", &scene.admin()).await;
    browser.press("Sign in").await;
    browser.see("Rollout #2").await;
    assert_eq!(browser.path().await, page_of(&rollout));
    scene.rig.run.close().await.unwrap();
}

#[tokio::test]
async fn while_the_database_is_away_pages_say_so_and_come_back_by_themselves() {
    let scene = Scene::new().await;
    let rollout = scene.start_and_bake().await;
    let browser = scene.admins(Eyes::default()).await;
    browser.open(&page_of(&rollout)).await;
    browser.eval("window.same = true").await;
    let open = browser.tab().await;
    let supervisor = &scene.rig.run.supervisor;
    supervisor
        .stop(&[postgres::NAME.to_owned()], Duration::from_secs(10))
        .await;
    browser.see("The control plane cannot be reached.").await;
    // What is opened meanwhile says so too.
    let fresh = browser.new_tab().await;
    browser.switch_to(&fresh).await;
    browser.open(&page_of(&rollout)).await;
    browser.see("database").await;

    supervisor.start_again(postgres::NAME).unwrap();
    browser.see("Rollout #2").await;
    browser.switch_to(&open).await;
    let begin = std::time::Instant::now();
    while browser.text().await.contains("cannot be reached") {
        assert!(
            begin.elapsed() < Duration::from_mins(1),
            "the page does not come back"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(browser.eval("return window.same === true").await, true);
    scene.rig.run.close().await.unwrap();
}

#[tokio::test]
async fn a_wrong_clock_in_the_browser_changes_no_age() {
    let scene = Scene::new().await;
    let browser = scene.admins(Eyes::default()).await;
    let tomorrow = "
        const right = Date;
        const ahead = 86400000;
        window.Date = class extends right {
            constructor(...args) { if (args.length) { super(...args); } else { super(right.now() + ahead); } }
            static now() { return right.now() + ahead; }
        };";
    browser
        .devtools(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": tomorrow }),
        )
        .await;
    browser.open("/hosts/web-1").await;
    browser.see("s ago").await;
    // The script counts each age anew within a second.
    let all = "[...document.querySelectorAll('time[data-ago], time[data-since]')]";
    browser
        .eval(&format!(
            "{all}.forEach((time) => (time.textContent = 'not counted'))"
        ))
        .await;
    browser.see_no("not counted").await;
    let ages = browser
        .eval(&format!("return {all}.map((time) => time.textContent)"))
        .await;
    let ages: Vec<String> = serde_json::from_value(ages).unwrap();
    assert!(!ages.is_empty());
    assert!(
        ages.iter().all(|age| !age.contains('h') && !age.contains('d')),
        "{ages:?}"
    );
    scene.rig.run.close().await.unwrap();
}
