//! What releases change on hosts: kept once, shown once, and approved by its digest.

use axum::http::Method;
use serde_json::{Value, json};
use slipway_domain::host_plan::{HostPlan, PlanEntry, PlannedChange, section};
use slipway_domain::{AttemptId, Role};
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::{Answer, HASH, TestApp, key, observation};

fn plan(units: usize) -> HostPlan {
    let mut plan = HostPlan::default();
    let unit = |n: usize| PlanEntry::new(format!("unit-{n:05}.service"), PlannedChange::Restart);
    plan.put(section::UNITS, (0..units).map(unit));
    plan
}

/// A rollout of both hosts that waits for an approval, and the tokens of its hosts and its approver.
struct Waiting {
    app: TestApp,
    hosts: Vec<String>,
    approver: String,
    rollout: String,
}

impl Waiting {
    async fn new(pool: PgPool) -> Self {
        let app = TestApp::new(pool).await;
        let hosts = app.fleet("prod", &["web-1", "web-2"]).await;
        let environment = route::fill(route::ENVIRONMENT, "prod");
        let asks = json!({ "approval_required": true });
        app.call(Method::PATCH, &environment, &app.admin, Some(asks))
            .await
            .expect(200);
        let deployer = app.principal("d", Role::Deployer).await;
        let approver = app.principal("p", Role::Approver).await;
        let body = json!({ "environment": "prod", "release": app.release(&["web-1", "web-2"]).await });
        let made = app
            .call(Method::POST, route::ROLLOUTS, &deployer, Some(body))
            .await;
        let rollout = made.expect(201).body["id"].as_str().unwrap().to_owned();
        Self {
            app,
            hosts,
            approver,
            rollout,
        }
    }

    async fn sync(&self, host: usize, report: Value, plan: Option<&HostPlan>) -> Value {
        let mut seen = observation(&format!("web-{}", host + 1));
        seen["report"] = report;
        if let Some(plan) = plan {
            seen["plan"] = serde_json::to_value(plan).unwrap();
        }
        let told = self
            .app
            .call(Method::POST, route::AGENT_SYNC, &self.hosts[host], Some(seen));
        told.await.expect(200).body
    }

    /// The host fetches, and says what would change there.
    async fn stage(&self, host: usize, plan: &HostPlan) -> Value {
        self.sync(host, Value::Null, None).await;
        self.app.drive().await;
        let told = self.sync(host, Value::Null, None).await;
        assert_eq!(told["do"], "stage", "{told}");
        let report = json!({
            "attempt": told["attempt"], "phase": "staged", "prior": null, "verdict": null, "message": null,
            "plan": {
                "digest": plan.digest(), "from": format!("/nix/store/{HASH}-old"),
                "bytes_before": 1000, "bytes_after": 2000 + host, "bytes_new": 10,
            },
        });
        self.sync(host, report.clone(), Some(&plan.clone().cut())).await;
        self.app.drive().await;
        report
    }

    async fn plans(&self) -> Value {
        let path = route::fill(route::ROLLOUT_HOST_PLANS, &self.rollout);
        self.app.get(&path).await.expect(200).body
    }

    async fn approve(&self, plan: &Value) -> Answer {
        let path = route::fill(route::ROLLOUT_COMMANDS, &self.rollout);
        let body = json!({ "command": "approve", "plan": plan });
        self.app
            .call(Method::POST, &path, &self.approver, Some(body))
            .await
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn hosts_with_one_plan_are_shown_as_one_and_approved_by_its_digest(pool: PgPool) {
    let waiting = Waiting::new(pool).await;
    let plan = plan(10_000);
    let unknown = waiting.plans().await;
    assert_eq!(unknown["unknown"].as_array().unwrap().len(), 2);
    let reports = [waiting.stage(0, &plan).await, waiting.stage(1, &plan).await];
    let shown = waiting.plans().await;
    assert_eq!(shown["state"], "pending_approval");
    assert_eq!(shown["unknown"], json!([]));
    let plans = shown["plans"].as_array().unwrap();
    assert_eq!(plans.len(), 1);
    assert_eq!(plans[0]["digest"], json!(plan.digest()));
    let hosts = plans[0]["hosts"].as_array().unwrap();
    assert_eq!(
        (hosts.len(), &hosts[1]["report"]["bytes_after"]),
        (2, &json!(2001))
    );
    let units = &plans[0]["plan"]["sections"]["units"];
    let listed = units["entries"].as_array().unwrap().len() as u64;
    assert_eq!(units["cut"]["entries"].as_u64().unwrap() + listed, 10_000);
    assert!(listed < 1000);
    let kept: HostPlan = serde_json::from_value(plans[0]["plan"].clone()).unwrap();
    assert_eq!(kept.digest(), plan.digest());
    let alone = route::fill(route::HOST_PLAN, plan.digest());
    assert_eq!(waiting.app.get(&alone).await.expect(200).body, plans[0]["plan"]);

    let digest = &shown["digest"];
    assert_ne!(*digest, unknown["digest"]);
    let refused = waiting.approve(&unknown["digest"]).await.expect(409);
    for named in [&unknown["digest"], digest] {
        assert!(
            refused.detail().contains(named.as_str().unwrap()),
            "{}",
            refused.detail()
        );
    }
    assert!(
        refused.detail().contains("look at it again"),
        "{}",
        refused.detail()
    );
    waiting.approve(digest).await.expect(202);
    waiting.app.drive().await;
    let shown = waiting.plans().await;
    assert_eq!((&shown["approved"], &shown["state"]), (digest, &json!("rolling")));
    let told = waiting.sync(0, reports[0].clone(), None).await;
    assert_eq!(
        (&told["do"], &told["approved_plan"]),
        (&json!("activate"), &json!(plan.digest()))
    );

    let release = shown["release"].as_str().unwrap();
    let of_release = route::fill(route::RELEASE_HOST_PLANS, release);
    let of_release = waiting.app.get(&of_release).await.expect(200).body;
    assert_eq!(of_release["plans"], shown["plans"]);
    let report = waiting.app.app.store.verify_chain(&key()).await.unwrap();
    assert_eq!(report.problem, None);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_approval_waits_until_every_host_that_is_online_has_said_what_would_change(pool: PgPool) {
    let waiting = Waiting::new(pool).await;
    waiting.sync(1, Value::Null, None).await;
    waiting.stage(0, &plan(1)).await;
    let digest = waiting.plans().await["digest"].clone();
    let refused = waiting.approve(&digest).await.expect(409);
    assert!(
        refused.detail().contains("web-2 still fetches"),
        "{}",
        refused.detail()
    );
    sqlx::query("UPDATE hosts SET last_seen_at = now() - interval '1 hour' WHERE name = 'web-2'")
        .execute(&waiting.app.pool)
        .await
        .unwrap();
    waiting.approve(&digest).await.expect(202);
}

/// Otherwise a host could show people another plan than the one that the others carry out.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_plan_is_only_kept_under_the_digest_of_what_it_says(pool: PgPool) {
    let waiting = Waiting::new(pool).await;
    let (told, shown) = (plan(2), plan(3));
    waiting.sync(0, Value::Null, None).await;
    waiting.app.drive().await;
    let stage = waiting.sync(0, Value::Null, None).await;
    let report = |attempt: &Value| {
        json!({
            "attempt": attempt, "phase": "staged", "prior": null, "verdict": null, "message": null,
            "plan": {
                "digest": told.digest(), "from": format!("/nix/store/{HASH}-old"),
                "bytes_before": 1, "bytes_after": 1, "bytes_new": 1,
            },
        })
    };
    waiting.sync(0, report(&stage["attempt"]), Some(&shown)).await;
    // Nor is one of an attempt that nobody asked for.
    waiting
        .sync(0, report(&json!(AttemptId::random())), Some(&told))
        .await;
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM host_plans")
        .fetch_one(&waiting.app.pool)
        .await
        .unwrap();
    assert_eq!(kept, 0);
    let path = route::fill(route::HOST_PLAN, told.digest());
    waiting.app.get(&path).await.expect(404);
}

/// Otherwise one host could fill the database, and nobody could ever approve the plan that he has looked at.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_that_says_another_plan_each_time_is_heard_once(pool: PgPool) {
    let waiting = Waiting::new(pool).await;
    let mut report = waiting.stage(0, &plan(1)).await;
    waiting.stage(1, &plan(1)).await;
    let seen = waiting.plans().await;
    for units in 2..20 {
        let other = plan(units);
        report["plan"]["digest"] = json!(other.digest());
        waiting.sync(0, report.clone(), Some(&other)).await;
        waiting.app.drive().await;
    }
    assert_eq!(waiting.plans().await, seen);
    waiting.approve(&seen["digest"]).await.expect(202);
}

/// Nor does it help a host to be quick, before a worker looks.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_attempt_brings_one_plan(pool: PgPool) {
    let waiting = Waiting::new(pool).await;
    waiting.sync(0, Value::Null, None).await;
    waiting.app.drive().await;
    let told = waiting.sync(0, Value::Null, None).await;
    for units in 1..20 {
        let plan = plan(units);
        let report = json!({
            "attempt": told["attempt"], "phase": "staged", "prior": null, "verdict": null, "message": null,
            "plan": {
                "digest": plan.digest(), "from": format!("/nix/store/{HASH}-old"),
                "bytes_before": 1, "bytes_after": 1, "bytes_new": 1,
            },
        });
        waiting.sync(0, report, Some(&plan)).await;
    }
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM host_plans")
        .fetch_one(&waiting.app.pool)
        .await
        .unwrap();
    assert_eq!(kept, 1);
    // The newest one is what a worker takes.
    waiting.app.drive().await;
    waiting.stage(1, &plan(1)).await;
    let plans = waiting.plans().await;
    let taken = plan(19).digest();
    assert!(
        plans["plans"]
            .as_array()
            .unwrap()
            .iter()
            .any(|shared| shared["digest"] == json!(taken)),
        "{plans}"
    );
    waiting
        .app
        .get(&route::fill(route::HOST_PLAN, taken))
        .await
        .expect(200);
}

/// Somebody with the database could otherwise have a host carry out what nobody approved.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_plan_that_was_swapped_after_the_approval_stops_the_rollout(pool: PgPool) {
    let waiting = Waiting::new(pool).await;
    for host in [0, 1] {
        waiting.stage(host, &plan(1)).await;
    }
    let digest = waiting.plans().await["digest"].clone();
    waiting.approve(&digest).await.expect(202);
    waiting.app.drive().await;
    let (plan, approved) = (plan(1).digest(), digest.as_str().unwrap());
    let none = "sha256:".to_owned() + &"0".repeat(64);
    let plans = |digest: &str| {
        format!("UPDATE steps SET plan = jsonb_set(plan, '{{digest}}', to_jsonb('{digest}'::text))")
    };
    let approval =
        |table: &str, column: &str, digest: &str| format!("UPDATE {table} SET {column} = {digest}");
    let approved = format!("'{approved}'");
    for (swap, undo, told) in [
        (plans(&none), plans(&plan.to_string()), "idle"),
        (
            approval("rollouts", "approved_plan", "NULL"),
            approval("rollouts", "approved_plan", &approved),
            "idle",
        ),
        // What the host is told was decided before.
        (
            approval("rollout_commands", "plan", "NULL"),
            approval("rollout_commands", "plan", &approved),
            "activate",
        ),
    ] {
        let store = &waiting.app.app.store;
        sqlx::query(&swap).execute(&waiting.app.pool).await.unwrap();
        let lease = store.claim_rollouts("w", 60, 10).await.unwrap().remove(0);
        let swapped = store.load_snapshot(&lease, &key()).await.unwrap().0.swapped;
        assert!(swapped.is_some(), "{swap}");
        assert_eq!(waiting.sync(0, Value::Null, None).await["do"], told, "{swap}");
        sqlx::query(&undo).execute(&waiting.app.pool).await.unwrap();
        let swapped = store.load_snapshot(&lease, &key()).await.unwrap().0.swapped;
        assert_eq!(swapped, None, "{undo}");
    }
}
