//! Every page, light and dark, on wide and narrow screens: axe-core finds nothing, and nothing runs over the edge.

use std::path::{Path, PathBuf};

use slipway_dev::stack::ENVIRONMENT;
use slipway_wire::fleet::CreateHost;

use super::axe;
use super::browser::{Browser, Eyes};
use super::scene::{Scene, page_of};
use crate::common::rig::checkout;

/// Where pictures are written that docs/console.md shows.
const PICTURES: &str = "docs/pictures";
/// Every page, and the name of its picture.
const PAGES: [(&str, &str); 19] = [
    ("/", "fleet"),
    ("/environments/prod", "environment"),
    ("/environments/prod/preflight?release=2", "preflight"),
    ("/hosts", "hosts"),
    ("/hosts/web-1", "host"),
    ("/releases", "releases"),
    ("/releases/2", "release"),
    ("/releases/2/components", "components"),
    ("/releases/2/vulnerabilities", "vulnerabilities"),
    ("/releases/2/compare/1", "compare"),
    ("/releases/2/start?environment=prod", "start"),
    ("/rollouts", "rollouts"),
    ("/rollouts/2", "rollout"),
    ("/rollouts/2/output", "output"),
    ("/audit", "audit"),
    ("/access", "access"),
    ("/sessions", "sessions"),
    ("/destinations", "destinations"),
    ("/nowhere", "nowhere"),
];
/// Those that docs/console.md shows.
const SHOWN: [&str; 2] = ["fleet", "rollout"];

/// Keeps the picture as output of the test, and renews those of the documents where that is asked for.
async fn keep(browser: &Browser, folder: &Path, name: &str, scheme: &str) {
    let picture = browser.picture().await;
    let file = format!("console-{name}-{scheme}.png");
    std::fs::write(folder.join(&file), &picture).unwrap();
    if SHOWN.contains(&name) && std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(checkout().join(PICTURES).join(&file), &picture).unwrap();
    }
}

fn pictures() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_slipway-dev"))
        .ancestors()
        .nth(2)
        .unwrap();
    let folder = target.join("slipway-dev/pictures");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

async fn overflow(browser: &Browser) -> Vec<String> {
    let wide = "
        const width = document.documentElement.clientWidth;
        const outside = (e) => e.getBoundingClientRect().right > width + 1;
        const scrolls = (e) => e.closest('.scroll, pre, .skip') !== null;
        const bar = document.querySelector('.bar nav');
        if (bar !== null && bar.scrollWidth > bar.clientWidth + 1) return ['entries of the navigation are out of sight'];
        if (document.documentElement.scrollWidth <= width) return [];
        return [...document.querySelectorAll('body *')].filter((e) => outside(e) && !scrolls(e))
            .map((e) => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 60)}`).slice(0, 5);";
    serde_json::from_value(browser.eval(wide).await).unwrap()
}

#[tokio::test]
async fn every_page_is_accessible_in_light_and_dark_and_fits_a_narrow_screen() {
    let scene = Scene::with_hosts(5).await;
    let rollout = scene.start_and_bake().await;
    scene.attach_documents().await;
    let folder = pictures();
    let mut found = Vec::new();
    for dark in [false, true] {
        let eyes = Eyes {
            dark,
            ..Eyes::default()
        };
        let scheme = if dark { "dark" } else { "light" };
        let stranger = scene.driver.open(eyes).await;
        stranger.open("/sign-in").await;
        stranger.see("Sign in").await;
        found.extend(axe::violations(&stranger).await);
        keep(&stranger, &folder, "sign-in", scheme).await;

        let browser = scene.admins(eyes).await;
        assert_eq!(page_of(&rollout), "/rollouts/2");
        browser.open("/rollouts/2").await;
        browser.see("verifying").await;
        for (path, name) in PAGES {
            browser.resize(1280, 900).await;
            browser.open(path).await;
            browser.see("Sign out").await;
            let broken = axe::violations(&browser).await;
            found.extend(
                broken
                    .into_iter()
                    .map(|rule| format!("{path} ({scheme}): {rule}")),
            );
            keep(&browser, &folder, name, scheme).await;
            browser.resize(320, 640).await;
            let wide = overflow(&browser).await;
            found.extend(wide.into_iter().map(|what| format!("{path} at 320 px: {what}")));
        }
        let complaints = browser.complaints().await;
        // The browser tells of the page that is not there.
        let complaints = complaints.into_iter().filter(|said| !said.contains("/nowhere"));
        found.extend(complaints.map(|said| format!("the browser says: {said}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    scene.rig.run.close().await.unwrap();
}

#[tokio::test]
async fn a_thousand_hosts_are_one_small_page() {
    let scene = Scene::new().await;
    let api = &scene.rig.stack.api;
    for number in 0..1000 {
        let host = CreateHost {
            name: format!("edge-{number:04}").parse().unwrap(),
            environment: ENVIRONMENT.parse().unwrap(),
            labels: [("role".to_owned(), "edge".to_owned())].into(),
        };
        api.create_host(&host).await.unwrap();
    }
    let browser = scene.admins(Eyes::default()).await;
    for (path, host) in [
        ("/", "edge-0000"),
        ("/environments/prod", "edge-0000"),
        ("/hosts", "edge-0000"),
        ("/hosts?q=edge-099", "edge-0999"),
    ] {
        browser.open(path).await;
        browser.see(host).await;
        let bytes = browser
            .eval("return performance.getEntriesByType('navigation')[0].decodedBodySize")
            .await;
        let bytes = bytes.as_u64().unwrap();
        assert!(bytes < 200_000, "{path} has {bytes} bytes");
        assert_eq!(axe::violations(&browser).await, Vec::<String>::new(), "{path}");
    }
    scene.rig.run.close().await.unwrap();
}
