//! Releases and rollouts by their numbers, names and places.

mod limited;

use axum::http::Method;
use serde_json::{Value, json};
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::{Answer, TestApp, closure};

/// Characters of an id that no two ids made within a millisecond share.
const ENOUGH: usize = 23;

fn text<'a>(made: &'a Value, field: &str) -> &'a str {
    made[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field}: {made:#}"))
}

async fn release(app: &TestApp, host: &str, name: Option<&str>) -> Value {
    let mut body = json!({ "closures": { host: closure(host) }, "source": { "rev": "4f2c1d9abc0123" } });
    if let Some(name) = name {
        body["name"] = json!(name);
    }
    app.post(route::RELEASES, body).await.expect(201).body
}

async fn start(app: &TestApp, environment: &str, release: &str) -> Answer {
    app.post(
        route::ROLLOUTS,
        json!({ "environment": environment, "release": release }),
    )
    .await
}

/// Ends the open rollout, as if a worker had brought it there.
async fn finish(app: &TestApp, state: &str) {
    sqlx::query("UPDATE rollouts SET state = $1, finished_at = now() WHERE finished_at IS NULL")
        .bind(state)
        .execute(&app.pool)
        .await
        .unwrap();
}

/// The number of the release that this means.
async fn number_of(app: &TestApp, reference: &str) -> u64 {
    let found = app.get(&route::fill(route::RELEASE, reference)).await.expect(200);
    found.body["number"].as_u64().unwrap()
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn every_form_of_a_reference_finds_the_same_one_on_every_route(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    release(&app, "web-1", None).await;
    let made = release(&app, "web-1", Some("v1.4.0")).await;
    assert_eq!((&made["number"], &made["name"]), (&json!(2), &json!("v1.4.0")));
    let id = text(&made, "id");
    let label = json!({ "id": id, "number": 2, "name": "v1.4.0", "rev": "4f2c1d9abc0123" });
    let references = [
        id,
        &id[..ENOUGH],
        &id[..ENOUGH].to_uppercase(),
        "2",
        "%232",
        "v1.4.0",
        "latest",
        "latest@prod",
    ];
    for reference in references {
        let found = app.get(&route::fill(route::RELEASE, reference)).await.expect(200);
        assert_eq!(found.body["id"], id, "{reference}");
        let plans = app
            .get(&route::fill(route::RELEASE_HOST_PLANS, reference))
            .await
            .expect(200);
        assert_eq!(plans.body["release_label"], label);
        let keep = app
            .post(&route::fill(route::RELEASE_KEEP, reference), json!({}))
            .await;
        keep.expect(200);
        let asked = format!("/api/v1/environments/prod/preflight?release={reference}");
        assert_eq!(app.get(&asked).await.expect(200).body["release"], id);
        let planned = app
            .post(
                route::ROLLOUT_PLANS,
                json!({ "environment": "prod", "release": reference.replace("%23", "#") }),
            )
            .await
            .expect(200);
        assert_eq!(planned.body["release_label"], label, "{reference}");
    }
    let listed = app.get(route::RELEASES).await.expect(200).body;
    assert_eq!(
        (&listed["items"][0]["number"], &listed["items"][0]["name"]),
        (&json!(2), &json!("v1.4.0"))
    );

    let first = start(&app, "prod", "v1.4.0").await.expect(201).body;
    assert_eq!((&first["number"], &first["release_label"]), (&json!(1), &label));
    let environment = app.get(&route::fill(route::ENVIRONMENT, "prod")).await.body;
    assert_eq!(environment["open_rollout_number"], 1);
    finish(&app, "succeeded").await;
    let environment = app.get(&route::fill(route::ENVIRONMENT, "prod")).await.body;
    assert_eq!(environment["release"], label);
    let second = app
        .post(route::ROLLOUTS, json!({ "environment": "prod", "release": "1" }))
        .await
        .expect(201)
        .body;
    let (first, id) = (text(&first, "id"), text(&second, "id"));
    for reference in [id, &id[..ENOUGH], "2", "latest", "latest@prod"] {
        let found = app.get(&route::fill(route::ROLLOUT, reference)).await.expect(200);
        assert_eq!(found.body["id"], id, "{reference}");
        let plans = app
            .get(&route::fill(route::ROLLOUT_HOST_PLANS, reference))
            .await
            .expect(200);
        assert_eq!(plans.body["rollout_number"], 2);
        let events = app
            .get(&route::fill(route::ROLLOUT_EVENTS, reference))
            .await
            .expect(200);
        assert_eq!(events.body["items"][0]["rollout"], id);
        app.post(
            &route::fill(route::ROLLOUT_COMMANDS, reference),
            json!({ "command": "pause" }),
        )
        .await
        .expect(202);
    }
    for reference in ["1", "previous", "previous@prod"] {
        let found = app.get(&route::fill(route::ROLLOUT, reference)).await.expect(200);
        assert_eq!(found.body["id"], first, "{reference}");
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_means_none_or_several_is_told(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let one = release(&app, "web-1", None).await;
    let two = release(&app, "web-1", Some("v2")).await;
    let get = async |route: &str, reference: &str| app.get(&route::fill(route, reference)).await;
    let short = &text(&one, "id")[..4];
    let several = get(route::RELEASE, short).await.expect(422);
    assert_eq!(
        several.detail(),
        format!("several releases begin with `{short}`; give more of the id, or a number")
    );
    let said: Vec<&str> = several.body["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| text(field, "detail"))
        .collect();
    assert_eq!(
        said,
        [
            format!("#2 v2 (4f2c1d9abc), {}", text(&two, "id")),
            format!("#1 (4f2c1d9abc), {}", text(&one, "id"))
        ]
    );
    for (route, reference, status, said) in [
        (
            route::RELEASE,
            "9",
            404,
            "there is no release `#9`; `slipway release list`",
        ),
        (route::RELEASE, "v3", 404, "there is no release `v3`"),
        (route::RELEASE, "ffff", 404, "there is no release `ffff`"),
        (
            route::RELEASE,
            "latest@nowhere",
            404,
            "there is no environment `nowhere`",
        ),
        (
            route::RELEASE,
            "previous@prod",
            404,
            "`prod` ran no other release before; see",
        ),
        (
            route::RELEASE,
            "previous",
            422,
            "`previous` needs an environment, such as previous@prod",
        ),
        (
            route::RELEASE,
            "012",
            400,
            "`012` is no release: give its number such as 12, its name",
        ),
        (route::RELEASE, "9223372036854775808", 404, "there is no release"),
        (
            route::ROLLOUT,
            "9",
            404,
            "there is no rollout `#9`; `slipway rollout list`",
        ),
        (route::ROLLOUT, "v2", 400, "`v2` is no rollout: give its number"),
        (
            route::ROLLOUT,
            "latest",
            404,
            "there was no rollout yet; start one",
        ),
        (
            route::ROLLOUT_EVENTS,
            "latest@prod",
            404,
            "`prod` had no rollout yet; start one: slipway rollout start prod",
        ),
    ] {
        let answer = get(route, reference).await.expect(status);
        assert!(answer.detail().contains(said), "{reference}: {:#}", answer.body);
        // Nobody typed a field.
        assert!(!answer.detail().starts_with("id: "), "{:#}", answer.body);
    }
    let refused = start(&app, "prod", "V1").await.expect(400);
    assert!(
        refused.field("release").contains("`V1` is no release"),
        "{:#}",
        refused.body
    );
    start(&app, "prod", "v3").await.expect(404);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn latest_and_previous_are_what_an_environment_could_run_and_ran(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1", "web-2"]).await;
    app.fleet("dev", &["dev-1"]).await;
    for _ in 0..3 {
        app.release(&["web-1", "web-2"]).await;
    }
    release(&app, "dev-1", None).await;
    assert_eq!(number_of(&app, "latest").await, 4);
    assert_eq!(number_of(&app, "latest@prod").await, 3);
    app.get("/api/v1/releases/previous@prod").await.expect(404);
    let run = async |reference: &str, state: &str, hosts: &[&str]| {
        let body = json!({ "environment": "prod", "release": reference, "hosts": hosts });
        let made = app.post(route::ROLLOUTS, body).await.expect(201).body;
        finish(&app, state).await;
        made["release_label"]["number"].as_u64().unwrap()
    };
    assert_eq!(run("1", "succeeded", &[]).await, 1);
    let none = app.get("/api/v1/releases/previous@prod").await.expect(404);
    assert_eq!(
        none.detail(),
        "`prod` ran no other release before #1; see `slipway rollout list --env prod`"
    );
    let one = app.get("/api/v1/rollouts/previous").await.expect(404);
    assert!(
        one.detail().starts_with("there was no rollout before the newest"),
        "{one:?}"
    );
    assert_eq!(run("2", "succeeded", &[]).await, 2);
    assert_eq!(number_of(&app, "previous@prod").await, 1);
    // What went back, what failed and what went to some hosts alone was not what the environment ran.
    run("latest", "reverted", &[]).await;
    run("3", "failed", &[]).await;
    run("3", "succeeded", &["web-1"]).await;
    assert_eq!(number_of(&app, "previous@prod").await, 1);
    // All hosts by name are the whole environment.
    assert_eq!(run("latest", "succeeded", &["web-1", "web-2"]).await, 3);
    assert_eq!(number_of(&app, "previous@prod").await, 2);
    // The same once more changes nothing, and going back twice comes back.
    run("3", "succeeded", &[]).await;
    assert_eq!(run("previous", "succeeded", &[]).await, 2);
    assert_eq!(run("previous", "succeeded", &[]).await, 3);
    // A host that left takes its releases along.
    app.call(Method::DELETE, "/api/v1/hosts/dev-1", &app.admin, None)
        .await
        .expect(204);
    app.get("/api/v1/releases/latest@dev").await.expect(404);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_name_is_given_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    release(&app, "web-1", Some("v1")).await;
    let body = |name: &str| json!({ "closures": { "web-1": closure("web-1") }, "name": name });
    let taken = app.post(route::RELEASES, body("v1")).await.expect(409);
    assert_eq!(taken.detail(), "the release name `v1` is taken; choose another");
    for (wrong, said) in [
        ("V1", "lower-case letters"),
        ("12", "can be read as a number"),
        ("latest", "latest or previous"),
        ("beef", "the beginning of an id"),
        ("v 1", "lower-case letters"),
        ("", "1 to 63"),
    ] {
        let refused = app.post(route::RELEASES, body(wrong)).await.expect(400);
        assert!(
            refused.field("name").contains(said),
            "{wrong}: {:#}",
            refused.body
        );
    }
    // Page by page it is the same: the name counts once the draft is sealed.
    let draft = app
        .post(route::DRAFTS, json!({ "name": "v2" }))
        .await
        .expect(201)
        .body;
    let path = |route| route::fill(route, text(&draft, "id"));
    app.post(
        &path(route::DRAFT_CLOSURES),
        json!({ "closures": { "web-1": closure("web-1") } }),
    )
    .await
    .expect(201);
    let sealed = app
        .post(&path(route::DRAFT_SEAL), json!({ "hosts": 1 }))
        .await
        .expect(201)
        .body;
    assert_eq!(sealed["name"], "v2");
    app.post(route::RELEASES, body("v2")).await.expect(409);
    let audit = app.get(route::AUDIT_VERIFY).await.expect(200).body;
    assert_eq!(audit["whole"], true, "{audit}");
    for (change, back) in [
        (
            "UPDATE releases SET name = 'v9' WHERE name = 'v1'",
            "UPDATE releases SET name = 'v1' WHERE name = 'v9'",
        ),
        (
            "ALTER TABLE releases ALTER seq SET GENERATED BY DEFAULT; UPDATE releases SET seq = 99 WHERE name = 'v1'",
            "UPDATE releases SET seq = 1 WHERE name = 'v1'",
        ),
    ] {
        sqlx::raw_sql(change).execute(&app.pool).await.unwrap();
        let audit = app.get(route::AUDIT_VERIFY).await.expect(200).body;
        assert_eq!(audit["whole"], false, "{change}");
        sqlx::raw_sql(back).execute(&app.pool).await.unwrap();
        let audit = app.get(route::AUDIT_VERIFY).await.expect(200).body;
        assert_eq!(audit["whole"], true, "{back}: {audit}");
    }
}
