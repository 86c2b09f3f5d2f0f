//! Windows, freezes, and the times of rollouts.

use axum::http::Method;
use chrono::TimeDelta;
use serde_json::{Value, json};
use slipway_domain::{Role, Timestamp};
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::TestApp;

const FREEZES: &str = "/api/v1/environments/prod/freezes";
const PROD: &str = "/api/v1/environments/prod";

/// This far from now, by this machine's clock, which is the database's too.
pub(crate) fn in_days(days: i64) -> Timestamp {
    let now = std::time::SystemTime::now();
    Timestamp::from(now) + TimeDelta::days(days)
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn windows_are_shown_and_bad_ones_refused_with_the_cure(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let patch = async |windows: Value| {
        let body = json!({ "windows": windows });
        app.call(Method::PATCH, PROD, &app.admin, Some(body)).await
    };
    let set = patch(json!(["MON-thu 9:00-16:00 europe/berlin"]))
        .await
        .expect(200)
        .body;
    assert_eq!(set["windows"], json!(["mon-thu 09:00-16:00 Europe/Berlin"]));
    for (bad, status, field, said) in [
        (
            json!(["sun 25-31 mar 02:10-02:50 Europe/Berlin"]),
            422,
            "windows[0]",
            "never opens within two years",
        ),
        (
            json!(["00:00-24:00 UTC", "30 feb 09:00-10:00 UTC"]),
            422,
            "windows[1]",
            "give days that come",
        ),
        (
            json!(["09:00-09:00 UTC"]),
            400,
            "windows[0]",
            "for a whole day write 00:00-24:00",
        ),
        (
            json!(["09:00-10:00 Mars/Base"]),
            400,
            "windows[0]",
            "`Mars/Base` is not a time zone",
        ),
        (
            json!(["09:00-10:00"]),
            400,
            "windows[0]",
            "has no time zone: add one",
        ),
        (
            json!(vec!["09:00-10:00 UTC"; 33]),
            422,
            "windows",
            "use at most 32",
        ),
    ] {
        let refused = patch(bad).await.expect(status);
        assert!(refused.field(field).contains(said), "{:#}", refused.body);
    }
    let made = app.post(
        route::ENVIRONMENTS,
        json!({ "name": "new", "windows": ["30 feb 09:00-10:00 UTC"] }),
    );
    assert!(made.await.expect(422).field("windows[0]").contains("never opens"));
    let gone = patch(json!([])).await.expect(200).body;
    assert_eq!((gone.get("windows"), gone.get("hold")), (None, None));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_freeze_takes_an_approver_a_reason_and_times_that_make_sense(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let deployer = app.principal("dora", Role::Deployer).await;
    let approver = app.principal("grace", Role::Approver).await;
    let good = json!({ "until": in_days(3), "reason": "audit" });
    let refused = app
        .call(Method::POST, FREEZES, &deployer, Some(good.clone()))
        .await
        .expect(403);
    assert!(
        refused.detail().contains("takes the role approver"),
        "{}",
        refused.detail()
    );
    let same = in_days(3);
    for (bad, field, said) in [
        (
            json!({ "until": in_days(-1), "reason": "x" }),
            "until",
            "is not after its beginning",
        ),
        (
            json!({ "from": same, "until": same, "reason": "x" }),
            "until",
            "give a later end",
        ),
        (
            json!({ "from": in_days(3), "until": in_days(2), "reason": "x" }),
            "until",
            "give a later end",
        ),
        (
            json!({ "from": in_days(-3), "until": in_days(-2), "reason": "x" }),
            "until",
            "is in the past",
        ),
        (
            json!({ "until": in_days(400), "reason": "x" }),
            "until",
            "more than 366 days",
        ),
        (
            json!({ "from": in_days(400), "until": in_days(401), "reason": "x" }),
            "from",
            "freeze when it is nearer",
        ),
        (
            json!({ "until": in_days(1), "reason": " " }),
            "reason",
            "it is empty",
        ),
        (json!({ "until": in_days(1), "reason": "a\nb" }), "reason", ""),
    ] {
        let refused = app
            .call(Method::POST, FREEZES, &approver, Some(bad))
            .await
            .expect(422);
        assert!(refused.field(field).contains(said), "{:#}", refused.body);
    }
    app.post("/api/v1/environments/nobody/freezes", good.clone())
        .await
        .expect(404);
    let made = app
        .call(Method::POST, FREEZES, &approver, Some(good))
        .await
        .expect(201)
        .body;
    assert_eq!((&made["by"], &made["reason"]), (&json!("grace"), &json!("audit")));
    let environment = app.get(PROD).await.body;
    assert_eq!(environment["freezes"], json!([made]));
    assert_eq!(environment["hold"]["until"], made["until"]);
    let path = route::fill(route::FREEZE, made["id"].as_str().unwrap());
    app.call(Method::DELETE, &path, &deployer, None).await.expect(403);
    app.call(Method::DELETE, &path, &approver, None).await.expect(204);
    let again = app.call(Method::DELETE, &path, &approver, None).await.expect(404);
    assert!(again.detail().contains("or it is over"), "{}", again.detail());
    assert_eq!(app.get(PROD).await.body.get("hold"), None);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_says_when_it_begins_and_who_overrode_what(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let release = app.release(&["web-1"]).await;
    let deployer = app.principal("dora", Role::Deployer).await;
    let approver = app.principal("grace", Role::Approver).await;
    app.post(FREEZES, json!({ "until": in_days(3), "reason": "audit" }))
        .await
        .expect(201);
    let body = |more: Value| {
        let mut body = json!({ "environment": "prod", "release": release });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let start = async |token: &str, more: Value| {
        app.call(Method::POST, route::ROLLOUTS, token, Some(body(more)))
            .await
    };
    for (bad, field, said) in [
        (
            json!({ "not_before": in_days(-1) }),
            "not_before",
            "is in the past",
        ),
        (
            json!({ "not_before": in_days(400) }),
            "not_before",
            "more than 366 days ahead",
        ),
        (
            json!({ "override_freeze": " " }),
            "override_freeze",
            "it is empty",
        ),
    ] {
        let refused = start(&approver, bad).await.expect(422);
        assert!(refused.field(field).contains(said), "{:#}", refused.body);
    }
    let refused = start(&deployer, json!({ "override_freeze": "x" }))
        .await
        .expect(403);
    assert!(
        refused.detail().contains("takes the role approver"),
        "{}",
        refused.detail()
    );
    let planned = app
        .post(route::ROLLOUT_PLANS, body(json!({})))
        .await
        .expect(200)
        .body;
    assert!(
        planned["hold"]["why"]
            .as_str()
            .unwrap()
            .contains("by admin: audit"),
        "{planned:#}"
    );

    let at = in_days(1);
    let made = start(&deployer, json!({ "not_before": at }))
        .await
        .expect(201)
        .body;
    assert_eq!(
        made["not_before"]
            .as_str()
            .unwrap()
            .parse::<Timestamp>()
            .unwrap()
            .timestamp(),
        at.timestamp()
    );
    let commands = route::fill(route::ROLLOUT_COMMANDS, made["id"].as_str().unwrap());
    let command = json!({ "command": "override_freeze", "reason": "a hole that is used" });
    app.call(Method::POST, &commands, &deployer, Some(command.clone()))
        .await
        .expect(403);
    let bare = json!({ "command": "override_freeze" });
    let refused = app
        .call(Method::POST, &commands, &approver, Some(bare))
        .await
        .expect(422);
    assert!(refused.field("reason").contains("say why it cannot wait"));
    let taken = app
        .call(Method::POST, &commands, &approver, Some(command))
        .await
        .expect(202)
        .body;
    assert_eq!(taken["pending_commands"], json!(["override_freeze"]));
}
