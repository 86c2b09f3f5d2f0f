//! Releases with a signed manifest.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use slipway_domain::{HostName, Role, StorePath};
use slipway_release::testing::{Signer, manifest, now};
use slipway_release::{MAX_NUMBER, Manifest, SignedManifest};
use slipway_wire::route;
use sqlx::PgPool;

use crate::once::{send, send_as};
use crate::support::{TestApp, closure};

fn of(number: u64, hosts: &[&str]) -> Manifest {
    let closures: Vec<(&str, StorePath)> = hosts
        .iter()
        .map(|host| (*host, closure(host).parse().unwrap()))
        .collect();
    let hosts: Vec<(&str, &StorePath)> = closures.iter().map(|(host, path)| (*host, path)).collect();
    manifest(number, now(), &hosts)
}

fn body(signed: &SignedManifest) -> Value {
    serde_json::to_value(signed).unwrap()
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_signed_release_is_kept_byte_for_byte_and_handed_to_its_hosts_alone(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let tokens = app.fleet("prod", &["web-1", "web-2"]).await;
    let signer = Signer::new();
    let manifest = of(3, &["web-1"]);
    let signed = signer.sign(&manifest);
    let made = app.post(route::SIGNED_RELEASES, body(&signed)).await.expect(201);
    assert_eq!(made.body["id"], manifest.id.to_string());
    assert_eq!(made.body["manifest"]["number"], 3);
    assert_eq!(made.body["manifest"]["digest"], signed.digest().to_string());
    assert_eq!(made.body["closures"], json!({ "web-1": closure("web-1") }));

    let kept = app
        .get(&route::fill(route::RELEASE_MANIFEST, manifest.id))
        .await
        .expect(200);
    assert_eq!(kept.body, body(&signed));
    let path = route::fill(route::AGENT_MANIFEST, manifest.id);
    let own = app.call(Method::GET, &path, &tokens[0], None).await.expect(200);
    assert_eq!(own.body, body(&signed));
    app.call(Method::GET, &path, &tokens[1], None).await.expect(404);
    app.get(&path).await.expect(403);

    let unsigned = app.release(&["web-2"]).await;
    let refused = app
        .get(&route::fill(route::RELEASE_MANIFEST, &unsigned))
        .await
        .expect(404);
    assert!(
        refused.detail().starts_with("the release #") && refused.detail().contains("docs/trust.md says how"),
        "{}",
        refused.detail()
    );
    app.get(&route::fill(route::RELEASE_MANIFEST, manifest.id))
        .await
        .expect(200);

    // The instruction names it, by its bytes.
    app.post(
        route::ROLLOUTS,
        json!({ "environment": "prod", "release": manifest.id }),
    )
    .await
    .expect(201);
    let host: HostName = "web-1".parse().unwrap();
    app.bring_steps(Some(app.host_id(host.as_str()).await), "staging")
        .await;
    let told = app
        .call(
            Method::POST,
            route::AGENT_SYNC,
            &tokens[0],
            Some(crate::support::observation("web-1")),
        )
        .await
        .expect(200);
    assert_eq!(told.body["do"], "stage", "{}", told.body);
    let named = json!({ "release": manifest.id, "digest": signed.digest() });
    assert_eq!(told.body["manifest"], named);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_manifest_that_cannot_be_is_refused_with_its_cure(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1", "web-2"]).await;
    app.fleet("staging", &["web-8"]).await;
    let signer = Signer::new();
    let first = of(5, &["web-1"]);
    app.post(route::SIGNED_RELEASES, body(&signer.sign(&first)))
        .await
        .expect(201);

    let good = signer.sign(&of(6, &["web-1"]));
    let cut = SignedManifest {
        manifest: good.manifest[..100].to_owned(),
        ..good.clone()
    };
    let twice = SignedManifest {
        signatures: vec![good.signatures[0].clone(); 2],
        ..good.clone()
    };
    let unsigned = SignedManifest {
        signatures: vec![],
        ..good.clone()
    };
    let mut elsewhere = of(6, &["web-1"]);
    elsewhere.environment = "nowhere".parse().unwrap();
    for (signed, status, said) in [
        (cut, 422, "cut short"),
        (twice, 422, "signed twice"),
        (unsigned, 422, "not signed"),
        (
            signer.sign(&of(6, &["web-1", "web-8"])),
            422,
            "for the environment `prod`",
        ),
        (signer.sign(&of(6, &["web-9"])), 422, "web-9"),
        (signer.sign(&elsewhere), 404, "nowhere"),
        (signer.sign(&of(5, &["web-1"])), 409, "number 5 already"),
        (
            signer.sign(&Manifest {
                number: 9,
                ..first.clone()
            }),
            409,
            "registered already",
        ),
    ] {
        let answer = app
            .post(route::SIGNED_RELEASES, body(&signed))
            .await
            .expect(status);
        assert!(answer.detail().contains(said), "{said}: {}", answer.body);
    }
    // Numbers are an environment's own.
    let mut other = of(1, &["web-8"]);
    other.environment = "staging".parse().unwrap();
    app.post(route::SIGNED_RELEASES, body(&signer.sign(&other)))
        .await
        .expect(201);

    // No rollout of an expired one, and none elsewhere, also where its host has gone since.
    let mut late = of(7, &["web-1"]);
    (late.created, late.expires) = (now() - Duration::from_hours(2), now() - Duration::from_hours(1));
    app.post(route::SIGNED_RELEASES, body(&signer.sign(&late)))
        .await
        .expect(201);
    let refused = app
        .post(
            route::ROLLOUTS,
            json!({ "environment": "prod", "release": late.id }),
        )
        .await
        .expect(409);
    assert!(refused.detail().contains("expired at"), "{}", refused.body);
    let moved = json!({ "environment": "staging" });
    app.call(
        Method::PATCH,
        &route::fill(route::HOST, "web-1"),
        &app.admin,
        Some(moved),
    )
    .await
    .expect(200);
    let refused = app
        .post(
            route::ROLLOUTS,
            json!({ "environment": "staging", "release": first.id }),
        )
        .await
        .expect(409);
    assert!(
        refused.detail().contains("for the environment `prod`"),
        "{}",
        refused.body
    );
}

/// Nobody here knows who signed a manifest, so only what hosts took can pass a number.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn numbers_are_used_up_by_what_hosts_committed_and_not_by_what_was_registered(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1", "web-2"]).await;
    let (signer, stranger) = (Signer::new(), Signer::new());
    let register = async |signer: &Signer, number: u64| {
        let signed = signer.sign(&of(number, &["web-1", "web-2"]));
        app.post(route::SIGNED_RELEASES, body(&signed)).await
    };
    register(&stranger, MAX_NUMBER).await.expect(201);
    let second = register(&signer, 5).await.expect(201).body["id"].clone();
    register(&signer, 1).await.expect(201);

    let rollout = json!({ "environment": "prod", "release": second });
    app.post(route::ROLLOUTS, rollout).await.expect(201);
    let one =
        "UPDATE steps SET state = 'committed' WHERE host_id = (SELECT id FROM hosts WHERE name = 'web-2')";
    sqlx::query(one).execute(&app.pool).await.unwrap();
    let passed = register(&signer, 4).await.expect(409);
    for part in ["number 4", "committed the number 5", "higher number"] {
        assert!(passed.detail().contains(part), "{}", passed.detail());
    }
    register(&signer, 6).await.expect(201);
}

/// The manifest names the release, so it is another one only with another manifest or other signatures.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_signed_release_that_is_sent_again_is_made_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let manifest = of(3, &["web-1"]);
    let signed = Signer::new().sign(&manifest);
    let first = send(&app, route::SIGNED_RELEASES, "k", &body(&signed))
        .await
        .expect(201);
    let head = app.app.store.event_head().await.unwrap().number;
    // Also under another key: whoever lost the answer may have lost the key too.
    for key in ["k", "k-2"] {
        let again = send(&app, route::SIGNED_RELEASES, key, &body(&signed)).await;
        assert_eq!(again.expect(201).body, first.body, "{key}");
    }
    assert_eq!(app.app.store.event_head().await.unwrap().number, head);

    let by_another_key = Signer::new().sign(&manifest);
    let other = body(&by_another_key);
    let keyless = app.post(route::SIGNED_RELEASES, body(&signed)).await;
    for told in [
        keyless,
        app.post(route::SIGNED_RELEASES, other.clone()).await,
        send(&app, route::SIGNED_RELEASES, "k", &other).await,
        send(&app, route::SIGNED_RELEASES, "k-3", &other).await,
    ] {
        let told = told.expect(409);
        assert!(told.detail().contains("registered already"), "{}", told.detail());
    }
    let kept = app
        .get(&route::fill(route::RELEASE_MANIFEST, manifest.id))
        .await
        .expect(200);
    assert_eq!(kept.body, body(&signed));
    // Somebody else is not told that it is theirs.
    let stranger = app.principal("other", Role::Deployer).await;
    send_as(&app, &stranger, route::SIGNED_RELEASES, "k", &body(&signed))
        .await
        .expect(409);
}

/// Whoever writes to the database can change what is handed out, and the audit log tells.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_manifest_that_was_changed_in_the_database_is_found(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    app.fleet("prod", &["web-1"]).await;
    let signer = Signer::new();
    let manifest = of(3, &["web-1"]);
    app.post(route::SIGNED_RELEASES, body(&signer.sign(&manifest)))
        .await
        .expect(201);
    let report = app.get(route::AUDIT_VERIFY).await.expect(200);
    assert_eq!(report.body["whole"], true, "{}", report.body);
    for (change, back) in [
        (
            "UPDATE release_manifests SET number = 99",
            "UPDATE release_manifests SET number = 3",
        ),
        (
            "UPDATE release_manifests SET manifest = manifest || 'x'",
            "SELECT 1",
        ),
    ] {
        sqlx::query(change).execute(&pool).await.unwrap();
        let report = app.get(route::AUDIT_VERIFY).await.expect(200);
        assert_eq!(report.body["whole"], false, "{change}");
        let refused = app
            .post(
                route::ROLLOUTS,
                json!({ "environment": "prod", "release": manifest.id }),
            )
            .await
            .expect(409);
        assert!(
            refused.detail().contains("changed the database by hand"),
            "{}",
            refused.body
        );
        sqlx::query(back).execute(&pool).await.unwrap();
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_manifest_of_three_thousand_hosts_is_taken(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let names: Vec<String> = (0..3000).map(|n| format!("web-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let signed = Signer::new().sign(&of(1, &names));
    assert!(signed.manifest.len() > 400_000);
    // It is read whole: what is refused are its hosts.
    let answer = app.post(route::SIGNED_RELEASES, body(&signed)).await.expect(422);
    assert!(answer.detail().contains("of 3000 fields"), "{}", answer.detail());
}
