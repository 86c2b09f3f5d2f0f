//! Pages of a large fleet.

use super::*;

/// A page stays below this, whatever the fleet.
const MOST_BYTES: usize = 200_000;

/// A thousand hosts with long names and labels, of which each has something to say.
async fn thousand(pool: &PgPool) {
    let made = sqlx::query(
        "INSERT INTO hosts (id, name, environment_id, labels, last_seen_at, live, journal_trouble)
         SELECT gen_random_uuid(), 'web-' || lpad(n::text, 4, '0') || '-frankfurt-am-main', e.id,
                '{\"role\": \"frontend\", \"rack\": \"r12-u34\", \"owner\": \"payments\"}', now(),
                '/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-nixos-system-web-' || n || '-26.05.20261130.abcdef0',
                CASE WHEN n % 2 = 0 THEN 'it was damaged and is kept as journal.damaged' END
         FROM generate_series(1, 1000) n, environments e",
    );
    made.execute(pool).await.unwrap();
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_page_of_a_thousand_hosts_is_below_200_kilobytes(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &[]).await;
    thousand(&app.pool).await;
    let person = Browser::signed_in(&app, &app.admin).await;
    for page in [
        "/",
        "/hosts",
        "/hosts?page=10",
        "/hosts?q=payments",
        "/environments/prod",
    ] {
        let got = person.get(page).await;
        assert_eq!(got.status, 200, "{page}: {}", got.text);
        assert!(got.text.len() < MOST_BYTES, "{page} has {} bytes", got.text.len());
    }
    let first = person.get("/hosts").await;
    assert!(first.text.contains("1000 hosts, page 1 of 10"), "{}", first.text);
    assert!(
        first.text.contains("web-0002") && !first.text.contains("web-0001"),
        "the worst first"
    );
    let last = person.get("/hosts?page=10").await;
    assert!(last.text.contains("web-0999"), "{}", last.text);
    let tiles = person.get("/environments/prod").await;
    assert_eq!(tiles.text.matches("class=\"tile ").count(), 1000);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_token_with_limits_sees_its_hosts_on_the_first_page(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1", "web-2"]).await;
    app.fleet("test", &["web-3"]).await;
    for (limits, shown) in [
        (json!({ "environments": ["test"] }), &["web-3"][..]),
        (json!({ "hosts": ["web-2"] }), &["web-2"]),
        (
            json!({ "environments": ["prod"], "hosts": ["web-1", "web-3"] }),
            &["web-1"],
        ),
    ] {
        let made = app
            .post(route::TOKENS, json!({ "label": "x", "limits": limits }))
            .await
            .expect(201);
        let person = Browser::signed_in(&app, made.body["token"].as_str().unwrap()).await;
        let got = person.get("/").await;
        for host in ["web-1", "web-2", "web-3"] {
            assert_eq!(
                got.text.contains(&format!("href=\"/hosts/{host}\"")),
                shown.contains(&host),
                "{limits}: {host}: {}",
                got.text
            );
        }
    }
}
