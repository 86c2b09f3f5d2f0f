//! Destinations of messages: made, tested, replayed and deleted on their pages.

use slipway_domain::Role;

use super::*;

/// The value that no page may show again.
const PATH: &str = "T00-B00-a-secret-path";

async fn form(person: &Browser<'_>, to: &str, fields: &str) -> Got {
    let secret = person.get("/destinations").await.hidden("secret");
    let form = format!("secret={secret}&{fields}");
    person.post(to, &form, &[]).await
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_webhook_is_made_and_its_secret_and_address_are_shown_once_at_most(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let person = Browser::signed_in(&app, &app.admin).await;
    let fields = |name: &str| {
        format!(
            "do=standard&once=1&name={name}&url=https://hooks.example.org/{PATH}&environments=prod&messages=host.stuck"
        )
    };
    let refused = form(&person, "/destinations", &fields("No+Name")).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(
        refused.text.contains("value=\"No Name\"") && refused.text.contains("value=\"host.stuck\""),
        "what was typed is gone: {}",
        refused.text
    );
    assert!(!refused.text.contains(PATH), "{}", refused.text);

    // Sent twice, it makes one thing.
    for _ in 0..2 {
        let made = form(&person, "/destinations", &fields("on-call")).await;
        assert_eq!(made.status, 200, "{}", made.text);
        assert!(made.text.contains("whsec_"), "{}", made.text);
    }
    for page in ["/destinations", "/destinations/on-call", "/audit"] {
        let got = person.get(page).await;
        assert_eq!(got.status, 200, "{page}: {}", got.text);
        assert!(
            !got.text.contains("whsec_") && !got.text.contains(PATH),
            "{page}: {}",
            got.text
        );
    }
    let one = person.get("/destinations/on-call").await;
    for part in [
        "hooks.example.org",
        "host.stuck",
        "prod",
        "enabled",
        "Send a test",
    ] {
        assert!(one.text.contains(part), "no {part}: {}", one.text);
    }

    let changed = form(
        &person,
        "/destinations/on-call",
        "do=update&environments=&messages=rollout.failed+rollout.paused",
    )
    .await;
    assert_eq!(
        changed.header("location"),
        "/destinations/on-call",
        "{}",
        changed.text
    );
    let now = app.get("/api/v1/destinations/on-call").await.expect(200).body;
    assert_eq!(now["messages"], json!(["rollout.failed", "rollout.paused"]));
    assert_eq!(now["environments"], json!([]));
    let wrong = form(&person, "/destinations/on-call", "do=update&messages=nonsense").await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    assert!(wrong.text.contains("nonsense"), "{}", wrong.text);

    let kept = form(&person, "/destinations/on-call", "do=delete&confirm=other").await;
    assert_eq!(kept.status, 422, "{}", kept.text);
    let gone = form(&person, "/destinations/on-call", "do=delete&confirm=on-call").await;
    assert_eq!(gone.header("location"), "/destinations", "{}", gone.text);
    assert_eq!(person.get("/destinations/on-call").await.status, 404);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_is_dead_is_shown_and_sent_again(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let person = Browser::signed_in(&app, &app.admin).await;
    let made = form(
        &person,
        "/destinations",
        &format!("do=slack&name=chat&url=https://hooks.example.org/{PATH}"),
    )
    .await;
    assert_eq!(made.header("location"), "/destinations/chat", "{}", made.text);
    // No worker is there that could send it.
    for _ in 0..2 {
        let tested = form(&person, "/destinations/chat", "do=test").await;
        assert_eq!(
            tested.header("location"),
            "/destinations/chat#deliveries",
            "{}",
            tested.text
        );
    }
    sqlx::query(
        "UPDATE deliveries SET last_error = '<b>answered 500</b>', attempts = 9,
                state = 'dead', finished_at = now()",
    )
    .execute(&app.pool)
    .await
    .unwrap();
    let dead = person.get("/destinations/chat?state=dead").await;
    assert_eq!(dead.text.matches(">Replay…<").count(), 2, "{}", dead.text);
    assert!(
        dead.text.contains("&lt;b&gt;answered 500") && dead.text.contains("Replay what is dead…"),
        "{}",
        dead.text
    );
    let list = person.get("/destinations").await;
    assert!(
        list.text.contains("chat") && !list.text.contains(PATH),
        "{}",
        list.text
    );

    let listed = app
        .get("/api/v1/destinations/chat/deliveries")
        .await
        .expect(200)
        .body;
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    let again = form(&person, &format!("/destinations/chat/{id}"), "do=replay").await;
    assert_eq!(again.status, 303, "{}", again.text);
    let state = async |id: &str| {
        let found = app
            .get(&format!("/api/v1/deliveries/{id}"))
            .await
            .expect(200)
            .body;
        found["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(&id).await, "waiting");
    let twice = form(&person, &format!("/destinations/chat/{id}"), "do=replay").await;
    assert_eq!(twice.status, 409, "{}", twice.text);
    let rest = form(&person, "/destinations/chat", "do=replay").await;
    assert_eq!(rest.status, 303, "{}", rest.text);
    let one = app.get("/api/v1/destinations/chat").await.expect(200).body;
    assert_eq!((&one["dead"], &one["waiting"]), (&json!(0), &json!(2)));

    for (what, enabled) in [("disable", false), ("enable", true)] {
        let done = form(&person, "/destinations/chat", &format!("do={what}")).await;
        assert_eq!(done.status, 303, "{}", done.text);
        let one = app.get("/api/v1/destinations/chat").await.expect(200).body;
        assert_eq!(one["enabled"], enabled);
    }
    // An address to which only forms go leads to the page of the form.
    let led = person.get(&format!("/destinations/chat/{id}")).await;
    assert_eq!(led.header("location"), "/destinations/chat");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn destinations_are_for_admins(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let approver = app.principal("grace", Role::Approver).await;
    let admin = Browser::signed_in(&app, &app.admin).await;
    let person = Browser::signed_in(&app, &approver).await;
    assert!(admin.get("/").await.text.contains("href=\"/destinations\""));
    assert!(!person.get("/").await.text.contains("href=\"/destinations\""));
    assert_eq!(person.get("/destinations").await.status, 403);
    let secret = person.get("/").await.hidden("secret");
    let refused = person
        .post(
            "/destinations",
            &format!("secret={secret}&do=email&name=x&recipients=a@example.org"),
            &[],
        )
        .await;
    assert_eq!(refused.status, 403, "{}", refused.text);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_destination_that_fails_shows_it_and_what_waits_says_for_what(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let person = Browser::signed_in(&app, &app.admin).await;
    let made = form(
        &person,
        "/destinations",
        &format!("do=slack&name=chat&url=https://hooks.example.org/{PATH}"),
    )
    .await;
    assert_eq!(made.header("location"), "/destinations/chat", "{}", made.text);
    for _ in 0..2 {
        form(&person, "/destinations/chat", "do=test").await;
    }
    // Nothing was tried yet, so nothing fails.
    for page in ["/destinations", "/destinations/chat"] {
        let got = person.get(page).await.text;
        assert!(
            got.contains("enabled") && !got.contains("failing"),
            "{page}: {got}"
        );
    }
    // Both of one rollout: the first one was tried, and the second one waits for it.
    sqlx::query("UPDATE deliveries SET lane = 'a rollout'")
        .execute(&app.pool)
        .await
        .unwrap();
    sqlx::query(
        "UPDATE deliveries SET attempts = 3, last_error = '<b>no such host</b>', next_at = now() + interval '150 s',
                message = jsonb_set(jsonb_set(message, '{type}', '\"rollout.started\"'), '{data,rollout_number}', '7')
         WHERE seq = (SELECT min(seq) FROM deliveries)",
    )
    .execute(&app.pool)
    .await
    .unwrap();
    for page in ["/destinations", "/destinations/chat"] {
        let got = person.get(page).await.text;
        assert!(
            got.contains("failing</span> &lt;b&gt;no such host") && !got.contains("enabled</span>"),
            "{page}: {got}"
        );
    }
    let one = person.get("/destinations/chat").await.text;
    assert!(one.contains("waits for rollout.started of rollout #7"), "{one}");
    assert_eq!(one.matches("next try <time").count(), 1, "{one}");
    assert!(one.contains(">in 2m</time>"), "{one}");
    let api = app.get("/api/v1/destinations/chat").await.expect(200).body;
    assert_eq!(api["failing"], "<b>no such host</b>");
    let listed = app
        .get("/api/v1/destinations/chat/deliveries")
        .await
        .expect(200)
        .body;
    let earlier = &listed["items"][0]["waits_for"];
    assert_eq!(
        (&earlier["id"], &earlier["kind"], &earlier["rollout_number"]),
        (&listed["items"][1]["id"], &json!("rollout.started"), &json!(7)),
        "{listed}"
    );
    assert!(listed["items"][1].get("waits_for").is_none(), "{listed}");

    sqlx::query("UPDATE deliveries SET state = 'delivered', finished_at = now() WHERE attempts = 3")
        .execute(&app.pool)
        .await
        .unwrap();
    let one = person.get("/destinations/chat").await.text;
    assert!(
        !one.contains("failing") && !one.contains("waits for rollout"),
        "{one}"
    );
}
