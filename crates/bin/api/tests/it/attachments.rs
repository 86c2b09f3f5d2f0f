//! What is attached to releases: kept as it was, in versions, and read as text of somebody else.

mod bounds;

use axum::http::Method;
use serde_json::{Value, json};
use slipway_api::error::MAX_DOCUMENT_BODY_BYTES;
use slipway_domain::Role;
use slipway_wire::attachment::{KEPT_VERSIONS, MAX_DOCUMENT_BYTES};
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::{Answer, TestApp};

/// A bill of materials with so many components, one of which has markup for a name.
fn sbom(components: usize) -> String {
    let mut all: Vec<Value> = (0..components)
        .map(|n| json!({ "name": format!("lib-{n:03}"), "version": "1.0" }))
        .collect();
    all.push(json!({ "name": "<script>alert(1)</script>", "version": "\u{202e}2" }));
    json!({ "bomFormat": "CycloneDX", "specVersion": "1.6", "components": all }).to_string()
}

fn report() -> String {
    let found = |id: &str, severity: &str| {
        json!({ "vulnerability": { "id": id, "severity": severity, "fix": { "versions": ["2.0"] } },
                "artifact": { "name": "openssl", "version": "1.0" } })
    };
    json!({ "matches": [found("CVE-2026-2", "Low"), found("CVE-2026-1", "Critical"), found("CVE-2026-3", "odd")],
            "descriptor": { "name": "grype", "version": "0.90.0" } })
    .to_string()
}

struct World {
    app: TestApp,
    release: String,
}

impl World {
    async fn new(pool: PgPool) -> Self {
        let app = TestApp::new(pool).await;
        app.fleet("prod", &["web-1"]).await;
        let release = app.release(&["web-1"]).await;
        Self { app, release }
    }

    async fn attach(&self, kind: &str, document: &str) -> Answer {
        let to = route::fill(route::RELEASE_ATTACHMENTS, 1);
        self.app
            .post(&to, json!({ "kind": kind, "document": document }))
            .await
    }

    async fn get(&self, route: &str, query: &str) -> Answer {
        let path = route::fill(route, &self.release);
        self.app.get(&format!("{path}{query}")).await
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn documents_are_kept_as_they_were_and_a_newer_one_is_another_version(pool: PgPool) {
    let world = World::new(pool).await;
    let nothing = world.get(route::RELEASE_COMPONENTS, "").await.expect(404);
    assert!(
        nothing.detail().contains("bill of materials"),
        "{}",
        nothing.detail()
    );
    let (first, second) = (sbom(2), format!(" {} ", sbom(120)));
    let one = world.attach("sbom", &first).await.expect(200).body;
    assert_eq!(
        (&one["version"], &one["format"], &one["entries"]),
        (&json!(1), &json!("CycloneDX 1.6"), &json!(3))
    );
    assert_eq!(
        world.attach("sbom", &first).await.expect(200).body,
        one,
        "the same changes nothing"
    );
    let two = world.attach("sbom", &second).await.expect(200).body;
    assert_eq!((&two["version"], &two["by"]), (&json!(2), &json!("admin")));
    for (query, text) in [("&version=1", &first), ("&version=2", &second), ("", &second)] {
        let found = world
            .get(route::RELEASE_DOCUMENT, &format!("?kind=sbom{query}"))
            .await
            .expect(200);
        assert_eq!(found.body["document"], **text);
    }
    world
        .get(route::RELEASE_DOCUMENT, "?kind=sbom&version=3")
        .await
        .expect(404);
    let list = world.get(route::RELEASE_ATTACHMENTS, "").await.expect(200).body;
    assert_eq!(list["items"], json!([one, two]));

    let events = world
        .app
        .get(&format!("{}?kind=release.attached", route::EVENTS))
        .await
        .expect(200)
        .body;
    let causes: Vec<&str> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["cause"].as_str().unwrap())
        .collect();
    assert_eq!(causes.len(), 2, "{causes:?}");
    for (cause, attached) in causes.iter().zip([&one, &two]) {
        assert!(
            cause.contains("release #1") && cause.contains(attached["digest"].as_str().unwrap()),
            "{cause}"
        );
    }

    // Whoever changes the text in the database is found out.
    sqlx::query("UPDATE release_attachments SET document = document || ' ' WHERE version = 2")
        .execute(&world.app.pool)
        .await
        .unwrap();
    let changed = world.get(route::RELEASE_COMPONENTS, "").await.expect(409);
    assert!(
        changed.detail().contains("by hand") && changed.detail().contains(two["digest"].as_str().unwrap()),
        "{}",
        changed.detail()
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_first_version_and_the_newest_are_kept_of_each_kind(pool: PgPool) {
    let world = World::new(pool).await;
    world.attach("vulnerabilities", &report()).await.expect(200);
    let last = KEPT_VERSIONS + 3;
    for n in 1..=last {
        let attached = world.attach("sbom", &sbom(n as usize)).await.expect(200).body;
        assert_eq!(attached["version"], n);
    }
    let list = world.get(route::RELEASE_ATTACHMENTS, "").await.expect(200).body;
    let kept: Vec<(String, u64)> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let kind = one["kind"].as_str().unwrap().to_owned();
            (kind, one["version"].as_u64().unwrap())
        })
        .collect();
    let newest = (4..=u64::from(last)).map(|version| ("sbom".to_owned(), version));
    let expected: Vec<_> = std::iter::once(("sbom".to_owned(), 1))
        .chain(newest)
        .chain([("vulnerabilities".to_owned(), 1)])
        .collect();
    assert_eq!(kept, expected);
    world
        .get(route::RELEASE_DOCUMENT, "?kind=sbom&version=2")
        .await
        .expect(404);
}

/// Whoever sends a document as long as may be has it read by the api, and not refused by the proxy before it. There are those of
/// the containers, of the modules, and of the stack for development.
#[test]
fn the_proxies_take_what_the_api_takes() {
    for (config, before, after) in [
        (
            include_str!("../../../../../deploy/compose/nginx.conf"),
            "client_max_body_size ",
            "m;",
        ),
        (
            include_str!("../../../../../nix/contract.nix"),
            "ownBodyMiB = ",
            ";",
        ),
        (
            include_str!("../../../dev/src/nginx_conf.rs"),
            "client_max_body_size ",
            "m;",
        ),
    ] {
        let limits = config.split(before).skip(1).map(|rest| {
            let (limit, _) = rest.split_once(after).unwrap();
            limit.parse::<usize>().unwrap()
        });
        let limits: Vec<usize> = limits.collect();
        assert!(!limits.is_empty(), "no {before}");
        for limit in limits {
            assert!(limit * 1024 * 1024 > MAX_DOCUMENT_BODY_BYTES, "{before}{limit}");
        }
    }
    // The modules and the containers give this limit to the domains of Slipway's own api.
    for nix in [
        include_str!("../../../../../modules/control-plane.nix"),
        include_str!("../../../../../nix/containers/slipway.nix"),
    ] {
        assert!(nix.contains("contract.proxy.ownBodyMiB"));
    }
}

/// An earlier version took any list of objects for a report of vulnix.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_document_that_this_version_does_not_take_is_told_of_with_its_cure(pool: PgPool) {
    let world = World::new(pool).await;
    world.attach("vulnerabilities", &report()).await.expect(200);
    sqlx::query(
        "UPDATE release_attachments SET document = '[{}]',
                digest = 'sha256:' || encode(sha256(convert_to('[{}]', 'UTF8')), 'hex')",
    )
    .execute(&world.app.pool)
    .await
    .unwrap();
    let refused = world.get(route::RELEASE_VULNERABILITIES, "").await.expect(409);
    let detail = refused.detail();
    assert!(
        detail.starts_with("version 1 of the report of vulnerabilities cannot be read: it is a list")
            && detail.ends_with("; attach another"),
        "{detail}"
    );
    world
        .get(route::RELEASE_DOCUMENT, "?kind=vulnerabilities")
        .await
        .expect(200);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn entries_are_searched_counted_and_shown_in_pages(pool: PgPool) {
    let world = World::new(pool).await;
    world.attach("sbom", &sbom(120)).await.expect(200);
    world.attach("vulnerabilities", &report()).await.expect(200);
    let found = world
        .get(route::RELEASE_COMPONENTS, "?text=LIB+1.0&skip=100&limit=500")
        .await
        .expect(200)
        .body;
    assert_eq!(found["total"], 120);
    assert_eq!(found["items"].as_array().unwrap().len(), 20);
    assert_eq!(found["items"][0]["name"], "lib-100");
    let all = world
        .get(route::RELEASE_VULNERABILITIES, "")
        .await
        .expect(200)
        .body;
    let ids: Vec<&str> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["CVE-2026-1", "CVE-2026-2", "CVE-2026-3"], "the worst first");
    let counts: Vec<u64> = all["attachment"]["severities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["vulnerabilities"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [1, 0, 0, 1, 1]);
    let low = world
        .get(route::RELEASE_VULNERABILITIES, "?text=low")
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&low["total"], &low["items"][0]["fixed_in"]),
        (&json!(1), &json!("2.0"))
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_document_that_is_none_is_refused_with_its_field(pool: PgPool) {
    let world = World::new(pool).await;
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let long = sbom(0) + &" ".repeat(MAX_DOCUMENT_BYTES);
    for (kind, document, said) in [
        ("sbom", "{", "cannot be read"),
        ("sbom", "{}", "bomFormat"),
        ("sbom", &*report(), "attach it as one (`vulnerabilities`)"),
        ("vulnerabilities", &*sbom(1), "attach it as a bill of materials"),
        ("sbom", &*deep, "more than 64 deep"),
        ("sbom", &*long, "attach at most 8388608"),
    ] {
        let refused = world.attach(kind, document).await.expect(422);
        assert!(
            refused.field("document").contains(said),
            "{said}: {:#}",
            refused.body
        );
    }
    let huge = "x".repeat(MAX_DOCUMENT_BODY_BYTES);
    assert_eq!(
        world.attach("sbom", &huge).await.expect(413).kind(),
        "body-too-large"
    );
    world.attach("notes", "{}").await.expect(400);
    let list = world.get(route::RELEASE_ATTACHMENTS, "").await.expect(200).body;
    assert_eq!(list["items"], json!([]));

    let viewer = world.app.principal("watcher", Role::Viewer).await;
    let to = route::fill(route::RELEASE_ATTACHMENTS, 1);
    let body = json!({ "kind": "sbom", "document": sbom(1) });
    world
        .app
        .call(Method::POST, &to, &viewer, Some(body))
        .await
        .expect(403);
}
