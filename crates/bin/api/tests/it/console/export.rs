//! The export of the audit log.

use super::*;

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_export_has_every_event_or_breaks_off(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let person = Browser::signed_in(&app, &app.admin).await;
    sqlx::query(
        "INSERT INTO events (number, at, actor_kind, actor_name, kind, cause, hash, seal, seal_key)
         SELECT 1000 + n, now(), 'rules', '', 'test', 'a test', sha256('test'), sha256('test'), 'test'
         FROM generate_series(1, 1200) n",
    )
    .execute(&app.pool)
    .await
    .unwrap();
    let whole = person.get("/audit/export?kind=test").await;
    assert_eq!(whole.status, 200, "{}", whole.text);
    let numbers = whole.text.lines().map(|line| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["number"].as_i64().unwrap()
    });
    assert!(numbers.eq(1001..=2200), "{} lines", whole.text.lines().count());

    let open = person.open(Method::GET, "/audit/export?kind=test", String::new(), &[]);
    let mut body = open.await.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    sqlx::query("UPDATE tokens SET revoked_at = now()")
        .execute(&app.pool)
        .await
        .unwrap();
    assert!(
        body.collect().await.is_err(),
        "a part of the log looks like all of it"
    );
}
