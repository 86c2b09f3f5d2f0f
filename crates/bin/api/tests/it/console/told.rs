//! What pages and answers tell of who decided, how long checks may fail, and who signed.

use axum::http::Method;
use serde_json::{Value, json};
use slipway_domain::{Role, StorePath};
use slipway_release::SignedManifest;
use slipway_release::testing::{Signer, forged_minisign, manifest, now};
use slipway_wire::route;
use sqlx::PgPool;

use super::Browser;
use crate::support::{TestApp, closure, observation};

/// A rollout of one host, and a browser that looks at it.
struct Watched<'a> {
    app: &'a TestApp,
    browser: Browser<'a>,
    rollout: String,
}

impl Watched<'_> {
    async fn shown(&self) -> Value {
        let path = route::fill(route::ROLLOUT, &self.rollout);
        self.app.get(&path).await.expect(200).body
    }

    /// Gives a command, has a worker carry it out, and gives the rollout.
    async fn after(&self, command: &str, by: &str) -> Value {
        let body = json!({ "command": command, "reason": "look at <it>" });
        let commands = route::fill(route::ROLLOUT_COMMANDS, &self.rollout);
        let asked = self.app.call(Method::POST, &commands, by, Some(body)).await;
        assert_ne!(
            asked.expect(202).body["last_command"]["command"],
            command,
            "not before it is done"
        );
        self.app.drive().await;
        self.shown().await
    }

    /// What the page says first: who stopped it, or why it is in its state. Empty where nothing stops it.
    async fn lead(&self) -> String {
        let page = self
            .browser
            .get(&format!("/rollouts/{}", self.rollout))
            .await
            .text;
        let lead = page.split_once("<p class=\"lead\">").map(|(_, lead)| lead);
        let lead = lead.and_then(|lead| lead.split_once("</p>"));
        lead.map_or_else(String::new, |(lead, _)| lead.to_owned())
    }
}

/// One host that is online, in an environment that pauses for failures.
async fn pausing_fleet(app: &TestApp) {
    let token = app.fleet("prod", &["web-1"]).await.remove(0);
    let seen = Some(observation("web-1"));
    app.call(Method::POST, route::AGENT_SYNC, &token, seen)
        .await
        .expect(200);
    let environment = route::fill(route::ENVIRONMENT, "prod");
    let pauses = json!({ "strategy": { "on_failure": "pause" } });
    app.call(Method::PATCH, &environment, &app.admin, Some(pauses))
        .await
        .expect(200);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_that_was_stopped_tells_who_did_it_when_and_why(pool: PgPool) {
    let app = TestApp::new(pool).await;
    pausing_fleet(&app).await;
    let ada = app.principal("ada", Role::Deployer).await;
    for commands in [
        &[
            ("pause", &ada, "paused", ["pause", "ada"], "Paused by ada <time"),
            // It ends no pause, and the page shows it elsewhere.
            (
                "override_freeze",
                &app.admin,
                "paused",
                ["pause", "ada"],
                "Paused by ada <time",
            ),
            ("resume", &app.admin, "staging", ["resume", "admin"], ""),
            ("abort", &ada, "aborted", ["abort", "ada"], "Aborted by ada <time"),
        ][..],
        &[(
            "revert",
            &ada,
            "reverted",
            ["revert", "ada"],
            "Reverted by ada <time",
        )],
    ] {
        let watched = Watched {
            app: &app,
            browser: Browser::signed_in(&app, &app.admin).await,
            rollout: app.rollout("prod", &["web-1"]).await,
        };
        assert!(watched.shown().await.get("last_command").is_none());
        for (command, by, state, [last, who], words) in commands {
            let now = watched.after(command, by).await;
            assert_eq!(now["state"], *state);
            let done = &now["last_command"];
            assert_eq!((&done["command"], &done["by"]), (&json!(last), &json!(who)));
            assert_eq!(done["reason"], "look at <it>");
            assert!(done["at"].is_string(), "{done}");
            let lead = watched.lead().await;
            if words.is_empty() {
                assert_eq!(lead, "", "nobody stops it now");
            } else {
                assert!(lead.starts_with(words), "{command}: {lead}");
                assert!(lead.ends_with("</time>: look at &lt;it&gt;"), "{command}: {lead}");
            }
        }
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_that_a_rule_stopped_names_nobody_who_gave_an_earlier_command(pool: PgPool) {
    let app = TestApp::new(pool).await;
    pausing_fleet(&app).await;
    let watched = Watched {
        app: &app,
        browser: Browser::signed_in(&app, &app.admin).await,
        rollout: app.rollout("prod", &["web-1"]).await,
    };
    let ada = app.principal("ada", Role::Deployer).await;
    watched.after("pause", &ada).await;
    watched.after("resume", &ada).await;
    app.bring_steps(None, "stuck").await;
    app.drive().await;
    let now = watched.shown().await;
    assert_eq!(
        (&now["state"], &now["last_command"]["command"]),
        (&json!("paused"), &json!("resume"))
    );
    let lead = watched.lead().await;
    assert_eq!(lead, now["reason"].as_str().unwrap());
    assert!(lead.contains("web-1") && !lead.contains("ada"), "{lead}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn while_checks_fail_the_time_that_is_left_is_told(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    let rollout = app.rollout("prod", &["web-1"]).await;
    app.bring_steps(None, "verifying").await;
    let began = async |seconds: i32| {
        sqlx::query("UPDATE steps SET since = now() - make_interval(secs => $1)")
            .bind(f64::from(seconds))
            .execute(&app.pool)
            .await
            .unwrap();
    };
    let says = async |message: Option<&str>| {
        sqlx::query(
            "UPDATE hosts SET report = jsonb_build_object('attempt', (SELECT attempt FROM steps), 'phase', 'verifying',
                 'prior', NULL, 'verdict', NULL, 'message', $1::text)",
        )
        .bind(message)
        .execute(&app.pool)
        .await
        .unwrap();
    };
    let left = async || {
        let path = route::fill(route::ROLLOUT, &rollout);
        let step = app.get(&path).await.expect(200).body["steps"][0].clone();
        step["checks_seconds_left"].as_u64()
    };
    began(22).await;
    says(None).await;
    assert_eq!(left().await, None, "nothing fails");
    says(Some("the checks do not pass yet: web answered 500")).await;
    let seconds = left().await.unwrap();
    assert!((30..=38).contains(&seconds), "{seconds}");
    let browser = Browser::signed_in(&app, &app.admin).await;
    let page = browser.get("/rollouts/1").await.text;
    assert!(
        page.contains(" s left: the checks do not pass yet: web answered 500"),
        "{page}"
    );
    // Later the next failing round ends it, or it bakes already: nobody here knows.
    began(61).await;
    assert_eq!(left().await, None);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_release_tells_who_signed_it_and_whether_its_hosts_trust_that_key(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1", "web-2"]).await;
    let path: StorePath = closure("web-1").parse().unwrap();
    let (signer, other) = (Signer::new(), Signer::new());
    let said = manifest(3, now(), &[("web-1", &path)]);
    let mut good = signer.sign(&said);
    good.signatures.extend(other.sign(&said).signatures);
    // Nobody checks it at its registration: only the hosts know whom they trust.
    let forged = SignedManifest {
        signatures: good.signatures.clone(),
        ..Signer::new().sign(&manifest(4, now(), &[("web-1", &path)]))
    };
    // The id of a key of minisign is in each of its signatures, so anybody can write it.
    let by_id = SignedManifest {
        signatures: vec![forged_minisign(0xE762_0F18_42B4_E81F)],
        ..Signer::new().sign(&manifest(5, now(), &[("web-1", &path)]))
    };
    for signed in [&good, &forged, &by_id] {
        let body = serde_json::to_value(signed).unwrap();
        app.post(route::SIGNED_RELEASES, body).await.expect(201);
    }
    let browser = Browser::signed_in(&app, &app.admin).await;
    let told = async |number: u32| {
        let release = app
            .get(&route::fill(route::RELEASE, number))
            .await
            .expect(200)
            .body;
        let signatures = release["manifest"]["signatures"].clone();
        (signatures, browser.get(&format!("/releases/{number}")).await.text)
    };
    let key = signer.keys().as_slice()[0].to_string();
    let name = key.strip_prefix("ssh key ").unwrap();
    let (signatures, page) = told(1).await;
    assert_eq!(
        signatures[0],
        json!({ "key": name, "algorithm": "ssh-ed25519", "fits": true, "trusted_by": 0 })
    );
    assert!(
        page.contains(name) && page.contains("unknown key: no host reports that it trusts this key"),
        "{page}"
    );
    sqlx::query(
        "INSERT INTO host_facts (host_id, facts)
         SELECT id, jsonb_build_object('release_keys', jsonb_build_array($1::text, 'minisign key E7620F1842B4E81F'))
         FROM hosts WHERE name = 'web-1'",
    )
    .bind(&key)
    .execute(&app.pool)
    .await
    .unwrap();
    let (signatures, page) = told(1).await;
    let trusted_by = [0, 1].map(|place| signatures[place]["trusted_by"].as_u64());
    assert_eq!(trusted_by, [Some(1), Some(0)], "each by itself");
    assert_eq!(badge(&page, "trusted by 1 host"), "good");
    let (signatures, page) = told(2).await;
    assert_eq!(signatures[0]["fits"], false);
    assert_eq!(badge(&page, "does not fit the manifest"), "bad");
    assert!(!page.contains("trusted by"), "{page}");
    let (signatures, page) = told(3).await;
    assert_eq!(
        signatures[0],
        json!({ "key": "E7620F1842B4E81F", "algorithm": "minisign", "trusted_by": 1 })
    );
    let words = "names a key that 1 host trusts; only that host can check it";
    assert_eq!(badge(&page, words), "idle");
    assert!(!page.contains("trusted by"), "{page}");
}

/// The tone of the badge that says this.
fn badge<'a>(page: &'a str, words: &str) -> &'a str {
    let Some((before, _)) = page.split_once(words) else {
        panic!("no {words}: {page}");
    };
    let (_, tone) = before.rsplit_once("class=\"badge ").unwrap();
    tone.split_once('"').unwrap().0
}
