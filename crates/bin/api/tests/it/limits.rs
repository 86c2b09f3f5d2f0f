//! Roles of single environments and limits of tokens, as somebody who wants more than they were given.

use axum::http::Method;
use serde_json::{Value, json};
use slipway_api::access::{Does, Subjects};
use slipway_api::auth::Access;
use slipway_api::router::{Endpoint, endpoints};
use slipway_domain::{Role, TokenCommand};
use slipway_wire::route;
use sqlx::PgPool;

use crate::support::{Answer, TestApp, closure};
use crate::times::in_days;

mod chains;
mod reads;

/// An environment each for `dev-1`, `dev-2` and `prod-1`, with something of everything.
struct World {
    app: TestApp,
    release: String,
    rollout: String,
    freeze: String,
}

impl World {
    async fn new(pool: PgPool) -> Self {
        let app = TestApp::new(pool).await;
        app.fleet("dev", &["dev-1", "dev-2"]).await;
        app.fleet("prod", &["prod-1"]).await;
        let release = app.release(&["prod-1"]).await;
        let body = json!({ "environment": "prod", "release": release });
        let rollout = app.post(route::ROLLOUTS, body).await.expect(201).body;
        let body = json!({ "until": in_days(1), "reason": "audit" });
        let freeze = app
            .post("/api/v1/environments/prod/freezes", body)
            .await
            .expect(201)
            .body;
        let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
        Self {
            release,
            rollout: id(&rollout),
            freeze: id(&freeze),
            app,
        }
    }

    /// A token of admin with these limits.
    async fn token(&self, limits: Value) -> String {
        let made = self
            .app
            .post(route::TOKENS, json!({ "label": "x", "limits": limits }))
            .await
            .expect(201);
        made.body["token"].as_str().unwrap().to_owned()
    }

    /// A good request of this route about `prod`; none for one about whoever asks.
    fn about_prod(&self, endpoint: &Endpoint) -> Option<(String, Option<Value>)> {
        let Self {
            release,
            rollout,
            freeze,
            ..
        } = self;
        let path = |value: &str| route::fill(&endpoint.path, value);
        let start = json!({ "environment": "prod", "release": release });
        let manifest = "{}";
        let closures = json!({ "closures": { "prod-1": closure("prod-1") } });
        let (path, body) = match (endpoint.method.as_str(), endpoint.path.as_str()) {
            ("GET", route::ENVIRONMENTS | route::FLEET)
            | (
                _,
                route::LOGIN
                | route::OIDC
                | route::OIDC_FINISH
                | route::WHOAMI
                | route::TOKENS
                | route::TOKEN
                | route::AGENT_SYNC
                | route::AGENT_MANIFEST
                | route::AGENT_OUTPUT
                | route::HEALTH
                | route::LIVE
                | route::READY
                | route::OPENAPI,
            ) => return None,
            ("GET", route::PRINCIPALS | route::RELEASES | route::EVENTS | route::AUDIT_VERIFY) => {
                (path(""), None)
            }
            ("POST", route::PRINCIPALS) => (path(""), Some(json!({ "name": "eve", "role": "admin" }))),
            ("DELETE", route::PRINCIPAL) => (path("grace"), None),
            ("POST", route::ENVIRONMENTS) => (path(""), Some(json!({ "name": "new" }))),
            ("PATCH", route::ENVIRONMENT) => (path("prod"), Some(json!({ "approval_required": false }))),
            (_, route::ENVIRONMENT) => (path("prod"), None),
            (_, route::ENVIRONMENT_FREEZES) => {
                (path("prod"), Some(json!({ "until": in_days(1), "reason": "x" })))
            }
            (_, route::FREEZE) => (path(freeze), None),
            ("GET", route::HOSTS) => (format!("{}?environment=prod", route::HOSTS), None),
            ("GET", route::FLEET_HOSTS | route::FLEET_STANDINGS) => {
                (format!("{}?environment=prod", path("")), None)
            }
            ("POST", route::HOSTS) => (path(""), Some(json!({ "name": "prod-2", "environment": "prod" }))),
            ("PATCH", route::HOST) => (path("prod-1"), Some(json!({ "environment": "dev" }))),
            (_, route::HOST) => (path("prod-1"), None),
            (_, route::HOST_ADOPT) => (
                path("prod-1"),
                Some(json!({ "drift": format!("sha256:{}", "0".repeat(64)), "reason": "x" })),
            ),
            (_, route::PREFLIGHT) => (format!("{}?release={release}", path("prod")), None),
            (_, route::HOST_RESTORE | route::HOST_TOKEN) => (path("prod-1"), Some(json!({}))),
            ("POST", route::RELEASES) => (path(""), Some(closures)),
            ("POST", route::SIGNED_RELEASES) => (
                path(""),
                Some(json!({ "manifest": manifest, "signatures": ["x"] })),
            ),
            ("POST", route::RELEASE_ATTACHMENTS) => {
                (path(release), Some(json!({ "kind": "sbom", "document": "{}" })))
            }
            (_, route::RELEASE_DOCUMENT) => (format!("{}?kind=sbom", path(release)), None),
            ("POST", route::RELEASE_KEEP) => (path(release), Some(json!({ "reason": "x" }))),
            (
                "GET",
                route::RELEASE
                | route::RELEASE_MANIFEST
                | route::RELEASE_HOST_PLANS
                | route::RELEASE_ATTACHMENTS
                | route::RELEASE_COMPONENTS
                | route::RELEASE_VULNERABILITIES,
            )
            | (_, route::RELEASE_KEEP) => (path(release), None),
            (_, route::DRAFTS) => (path(""), Some(json!({}))),
            (_, route::DRAFT_CLOSURES) => (path(release), Some(closures)),
            (_, route::DRAFT_SEAL) => (path(release), Some(json!({ "hosts": 1 }))),
            ("GET", route::ROLLOUTS) => (format!("{}?environment=prod", route::ROLLOUTS), None),
            (_, route::ROLLOUTS | route::ROLLOUT_PLANS) => (path(""), Some(start)),
            (_, route::ROLLOUT_COMMANDS) => (path(rollout), Some(json!({ "command": "abort" }))),
            (
                _,
                route::ROLLOUT | route::ROLLOUT_HOST_PLANS | route::ROLLOUT_EVENTS | route::ROLLOUT_OUTPUT,
            ) => (path(rollout), None),
            (_, route::HOST_PLAN) => (path(&format!("sha256:{}", "0".repeat(64))), None),
            // A route of somebody else's: it says nothing of its subject, or the next line is to be written.
            _ if endpoint.subject == Subjects::Everything => (
                endpoint.path.replace("{id}", release).replace("{name}", "prod"),
                Some(json!({})),
            ),
            (method, path) => panic!("say here what a request of {method} {path} about prod is"),
        };
        Some((path, body))
    }

    async fn ask(&self, endpoint: &Endpoint, token: &str) -> Option<Answer> {
        let (path, body) = self.about_prod(endpoint)?;
        Some(self.app.call(endpoint.method.clone(), &path, token, body).await)
    }
}

fn what(endpoint: &Endpoint, answer: &Answer) -> String {
    format!(
        "{} {}: {} {:#}",
        endpoint.method, endpoint.path, answer.status, answer.body
    )
}

/// The body of a signed release is read before anybody knows what it is about.
fn is_read_first(endpoint: &Endpoint, answer: &Answer) -> bool {
    endpoint.path == route::SIGNED_RELEASES && answer.status == 422
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_token_of_one_environment_or_host_sees_and_changes_nothing_of_another(pool: PgPool) {
    let world = World::new(pool).await;
    let head = async || world.app.app.store.event_head().await.unwrap().number;
    for limits in [json!({ "environments": ["dev"] }), json!({ "hosts": ["dev-1"] })] {
        let token = world.token(limits.clone()).await;
        let before = head().await;
        for endpoint in endpoints() {
            let Some(answer) = world.ask(&endpoint, &token).await else {
                continue;
            };
            if limits.get("hosts").is_some()
                && (endpoint.method.as_str(), &*endpoint.path) == ("GET", route::ENVIRONMENT)
            {
                // Which environments there are is no secret of a host.
                continue;
            }
            assert!(
                answer.status == 403 || is_read_first(&endpoint, &answer),
                "{limits}: {}",
                what(&endpoint, &answer)
            );
        }
        assert_eq!(head().await, before, "{limits}: something was changed");
        let shown = world
            .app
            .call(Method::GET, route::ENVIRONMENTS, &token, None)
            .await
            .expect(200)
            .body;
        if limits.get("environments").is_some() {
            let names: Vec<&Value> = shown["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| &item["name"])
                .collect();
            assert_eq!(names, ["dev"]);
        }
        for list in [route::HOSTS, route::ROLLOUTS] {
            let whole = world.app.call(Method::GET, list, &token, None).await.expect(403);
            assert!(
                whole.detail().contains("ask for the list of one environment"),
                "{}",
                whole.detail()
            );
        }
        // What is not there is refused like what may not be seen.
        let hidden = world
            .app
            .call(Method::GET, "/api/v1/hosts/prod-1", &token, None)
            .await
            .expect(403);
        let missing = world
            .app
            .call(Method::GET, "/api/v1/hosts/nobody", &token, None)
            .await
            .expect(403);
        assert_eq!(hidden.body["detail"], missing.body["detail"]);
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_limited_token_does_what_it_was_made_for(pool: PgPool) {
    let world = World::new(pool).await;
    let app = &world.app;
    let limits = json!({ "environments": ["dev"], "commands": ["release", "start", "abort"] });
    let ci = world.token(limits.clone()).await;
    let who = app
        .call(Method::GET, route::WHOAMI, &ci, None)
        .await
        .expect(200)
        .body;
    assert_eq!(who["limits"]["environments"], limits["environments"]);
    let post = async |path: &str, body: Value| app.call(Method::POST, path, &ci, Some(body)).await;
    let body = json!({ "closures": { "dev-1": closure("dev-1"), "dev-2": closure("dev-2") } });
    let release = post(route::RELEASES, body).await.expect(201).body;
    let both = json!({ "closures": { "dev-1": closure("dev-1"), "prod-1": closure("prod-1") } });
    post(route::RELEASES, both).await.expect(403);
    let start = json!({ "environment": "dev", "release": release["id"] });
    post(route::ROLLOUT_PLANS, start.clone()).await.expect(200);
    let one = world.token(json!({ "hosts": ["dev-1"] })).await;
    let refused = app
        .call(Method::POST, route::ROLLOUTS, &one, Some(start.clone()))
        .await
        .expect(403);
    assert!(
        refused.detail().contains("limited to the hosts dev-1"),
        "{}",
        refused.detail()
    );
    let mut overriding = start.clone();
    overriding["override_freeze"] = json!("x");
    post(route::ROLLOUTS, overriding).await.expect(403);
    let rollout = post(route::ROLLOUTS, start).await.expect(201).body;
    let id = rollout["id"].as_str().unwrap();
    for path in [
        route::fill(route::ROLLOUT, id),
        route::fill(route::ROLLOUT_EVENTS, id),
        route::fill(route::RELEASE, release["id"].as_str().unwrap()),
        format!("{}?environment=dev", route::HOSTS),
        format!("{}?environment=dev", route::ROLLOUTS),
        route::fill(route::ENVIRONMENT, "dev"),
        route::fill(route::HOST, "dev-2"),
    ] {
        app.call(Method::GET, &path, &ci, None).await.expect(200);
    }
    let commands = route::fill(route::ROLLOUT_COMMANDS, id);
    for (command, status) in [
        ("pause", 403),
        ("revert", 403),
        ("override_freeze", 403),
        ("abort", 202),
    ] {
        let body = json!({ "command": command, "reason": "x" });
        let answer = post(&commands, body).await.expect(status);
        if status == 403 {
            assert!(
                answer.detail().contains("limited to the"),
                "{command}: {}",
                answer.detail()
            );
        }
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_token_of_some_commands_gives_no_other(pool: PgPool) {
    let world = World::new(pool).await;
    for may in [TokenCommand::Start, TokenCommand::Abort, TokenCommand::Token] {
        let token = world.token(json!({ "commands": [may] })).await;
        for endpoint in endpoints() {
            let Some(answer) = world.ask(&endpoint, &token).await else {
                continue;
            };
            let expected = match endpoint.does {
                Does::Read => true,
                Does::Undeclared => false,
                Does::Asked => may == TokenCommand::Abort,
                Does::Command(command) => command == may,
            };
            assert_eq!(
                answer.status != 403,
                expected,
                "{may}: {}",
                what(&endpoint, &answer)
            );
        }
    }
    for command in TokenCommand::ALL {
        let used = endpoints()
            .iter()
            .any(|endpoint| endpoint.does == Does::Command(*command));
        let asked = !matches!(
            command,
            TokenCommand::Approve
                | TokenCommand::Pause
                | TokenCommand::Resume
                | TokenCommand::Revert
                | TokenCommand::Abort
                | TokenCommand::OverrideFreeze
                | TokenCommand::Token
        );
        assert_eq!(used, asked, "{command}");
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_role_of_one_environment_is_worth_nothing_in_another(pool: PgPool) {
    let world = World::new(pool).await;
    let app = &world.app;
    let body = json!({ "name": "dora", "role": "viewer", "environment_roles": { "dev": "admin" } });
    let made = app.post(route::PRINCIPALS, body).await.expect(201).body;
    assert_eq!(made["environment_roles"], json!({ "dev": "admin" }));
    let dora = app.token_of("dora").await;
    for endpoint in endpoints() {
        let Some(answer) = world.ask(&endpoint, &dora).await else {
            continue;
        };
        let reads = endpoint.access == Access::Role(Role::Viewer);
        assert!(
            (answer.status != 403) == reads || is_read_first(&endpoint, &answer),
            "{}",
            what(&endpoint, &answer)
        );
    }
    let post = async |path: &str, body: Value| app.call(Method::POST, path, &dora, Some(body)).await;
    post(route::HOSTS, json!({ "name": "dev-3", "environment": "dev" }))
        .await
        .expect(201);
    post(
        "/api/v1/environments/dev/freezes",
        json!({ "until": in_days(1), "reason": "x" }),
    )
    .await
    .expect(201);
    post(route::TOKENS, json!({ "label": "x", "principal": "admin" }))
        .await
        .expect(403);
    // A host must not be taken out of her environment into one that is not hers, nor the other way.
    let moved = app.call(
        Method::PATCH,
        "/api/v1/hosts/dev-3",
        &dora,
        Some(json!({ "environment": "prod" })),
    );
    let moved = moved.await.expect(403);
    assert!(
        moved
            .detail()
            .contains("takes the role admin in the environment `prod`"),
        "{}",
        moved.detail()
    );
    // An approver of one environment approves nothing in another.
    let body = json!({ "name": "grace", "role": "deployer", "environment_roles": { "dev": "approver" } });
    app.post(route::PRINCIPALS, body).await.expect(201);
    let grace = app.token_of("grace").await;
    let commands = route::fill(route::ROLLOUT_COMMANDS, &world.rollout);
    for command in ["approve", "override_freeze"] {
        let body = json!({ "command": command, "reason": "x" });
        let refused = app
            .call(Method::POST, &commands, &grace, Some(body))
            .await
            .expect(403);
        assert!(
            refused.detail().contains("takes the role approver"),
            "{}",
            refused.detail()
        );
    }
    // Nor is a release of an environment made page by page by whom it is not open to.
    let body = json!({ "name": "noor", "role": "deployer", "environment_roles": { "prod": "viewer" } });
    app.post(route::PRINCIPALS, body).await.expect(201);
    let noor = app.token_of("noor").await;
    let draft = app
        .call(Method::POST, route::DRAFTS, &noor, Some(json!({})))
        .await
        .expect(201);
    let pages = route::fill(route::DRAFT_CLOSURES, draft.body["id"].as_str().unwrap());
    for (host, status) in [("prod-1", 403), ("dev-1", 201)] {
        let page = json!({ "closures": { host: closure(host) } });
        app.call(Method::POST, &pages, &noor, Some(page))
            .await
            .expect(status);
    }
    for (role, bad, said) in [
        (
            "viewer",
            json!({ "nowhere": "admin" }),
            "there is no environment `nowhere`",
        ),
        ("viewer", json!({ "dev": "root" }), "root"),
        (
            "admin",
            json!({ "dev": "viewer" }),
            "an admin can give anybody any role",
        ),
    ] {
        let body = json!({ "name": "eve", "role": role, "environment_roles": bad });
        let refused = app.post(route::PRINCIPALS, body).await;
        assert!(
            [400, 422].contains(&refused.status) && refused.body.to_string().contains(said),
            "{:#}",
            refused.body
        );
    }
}
