//! An API on a database of its own.

mod promised;

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use slipway_api::router::router;
use slipway_api::state::{App, Shared};
use slipway_domain::decide::decide;
use slipway_domain::event::{Actor, NewEvent, chain_hash};
use slipway_domain::{AttemptId, HostId, Observation, PrincipalName, Role, RolloutId, StepId, Timestamp};
use slipway_settings::{ApiSettings, RedisSettings, SettingsSource};
use slipway_store::{AuditKey, EventAuthor, NewToken, Store, TokenHash, TokenOwner};
use slipway_wake::Wake;
use slipway_wire::route;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

pub(crate) const SECRET_KEY: &str = "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f";
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const HASH: &str = "0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d";

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The answer, whose status must be this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }

    /// The problem's kind without its prefix.
    #[track_caller]
    pub(crate) fn kind(&self) -> &str {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{:#}",
            self.body
        );
        self.body["type"]
            .as_str()
            .unwrap()
            .strip_prefix("urn:slipway:problem:")
            .unwrap()
    }

    pub(crate) fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap()
    }

    /// What the problem says of this field.
    #[track_caller]
    pub(crate) fn field(&self, field: &str) -> &str {
        let fields = self.body["fields"]
            .as_array()
            .unwrap_or_else(|| panic!("no fields: {:#}", self.body));
        let found = fields.iter().find(|problem| problem["field"] == field);
        found.unwrap_or_else(|| panic!("no {field}: {:#}", self.body))["detail"]
            .as_str()
            .unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// The API with a database, and a token for each role.
pub(crate) struct TestApp {
    pub(crate) app: App,
    pub(crate) router: Router,
    pub(crate) pool: PgPool,
    pub(crate) stop: CancellationToken,
    pub(crate) admin: String,
}

impl TestApp {
    /// Without Redis.
    pub(crate) async fn new(pool: PgPool) -> Self {
        Self::with(pool, Wake::none(), &[]).await
    }

    /// With the Redis of the tests, in a namespace of its own.
    pub(crate) async fn with_redis(pool: PgPool) -> Self {
        let wake = redis(&pool);
        let app = Self::with(pool, wake, &[]).await;
        for _ in 0..100 {
            if app.app.wake.is_up() {
                return app;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("Redis does not answer");
    }

    pub(crate) async fn with(pool: PgPool, wake: Wake, settings: &[(&str, &str)]) -> Self {
        let base = [
            ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"),
            ("SECRET_KEY", SECRET_KEY),
            ("ADMIN_PASSWORD", PASSWORD),
        ];
        let source = SettingsSource::from_map(base.iter().chain(settings).copied());
        let settings = ApiSettings::from_source(&source).unwrap();
        let stop = CancellationToken::new();
        let store = Store::from_pool(pool.clone());
        let app = Shared::new(&settings, store, wake, stop.clone()).unwrap();
        let key = key();
        app.store
            .ensure_admin(&EventAuthor::new(Actor::Console, &key))
            .await
            .unwrap();
        app.phase.set_checked();
        tokio::spawn(slipway_api::watch::run(Arc::clone(&app), stop.clone()));
        let router = router(&app);
        let mut test = Self {
            app,
            router,
            pool,
            stop,
            admin: String::new(),
        };
        test.admin = test.token_of("admin").await;
        test
    }

    /// A token of a principal that is there.
    pub(crate) async fn token_of(&self, name: &str) -> String {
        let name: PrincipalName = name.parse().unwrap();
        let principal = self.app.store.get_principal_by_name(&name).await.unwrap();
        let token = some_token();
        let new = NewToken {
            owner: TokenOwner::Principal(principal.id),
            label: "test".to_owned(),
            hash: TokenHash::of(&token),
            expires_in_seconds: None,
            parent: None,
            limits: slipway_domain::TokenLimits::default(),
            idle_seconds: None,
        };
        self.app
            .store
            .create_token(&new, &EventAuthor::new(Actor::Console, &key()))
            .await
            .unwrap();
        token
    }

    /// A new principal of this role, named after it, with a token.
    pub(crate) async fn principal(&self, name: &str, role: Role) -> String {
        let key = key();
        let by = EventAuthor::new(Actor::Console, &key);
        self.app
            .store
            .create_principal(&name.parse().unwrap(), role, &by)
            .await
            .unwrap();
        self.token_of(name).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let answer = answer(self.router.clone().oneshot(request).await.unwrap()).await;
        promised::assert_promised(&method, &uri, answer.status, &answer.body);
        answer
    }

    pub(crate) async fn call(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"));
        let request = match &body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        let request = request.unwrap();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let answer = self.send(request).await;
        if answer.status < 300 {
            promised::assert_askable(&method, &uri, body.as_ref());
        }
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &self.admin, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, &self.admin, Some(body)).await
    }

    /// An environment with hosts; gives the hosts' tokens.
    pub(crate) async fn fleet(&self, environment: &str, hosts: &[&str]) -> Vec<String> {
        self.post(route::ENVIRONMENTS, json!({ "name": environment }))
            .await
            .expect(201);
        let mut tokens = Vec::new();
        for host in hosts {
            let made = self
                .post(route::HOSTS, json!({ "name": host, "environment": environment }))
                .await
                .expect(201);
            tokens.push(made.body["token"]["token"].as_str().unwrap().to_owned());
        }
        tokens
    }

    /// A release for these hosts; gives its id.
    pub(crate) async fn release(&self, hosts: &[&str]) -> String {
        let closures: Value = hosts
            .iter()
            .map(|host| (host.to_string(), Value::from(closure(host))))
            .collect();
        let made = self
            .post(route::RELEASES, json!({ "closures": closures }))
            .await
            .expect(201);
        made.body["id"].as_str().unwrap().to_owned()
    }

    /// A rollout; gives its id.
    pub(crate) async fn rollout(&self, environment: &str, hosts: &[&str]) -> String {
        let release = self.release(hosts).await;
        let made = self
            .post(
                route::ROLLOUTS,
                json!({ "environment": environment, "release": release }),
            )
            .await
            .expect(201);
        made.body["id"].as_str().unwrap().to_owned()
    }

    /// What a worker does with the open rollout until nothing changes.
    pub(crate) async fn drive(&self) {
        let (store, key) = (&self.app.store, key());
        let Some(lease) = store.claim_rollouts("w", 60, 10).await.unwrap().pop() else {
            return;
        };
        loop {
            let (snapshot, now) = store.load_snapshot(&lease, &key).await.unwrap();
            assert_eq!(snapshot.swapped, None);
            let changes = decide(&snapshot, now, &mut AttemptId::random);
            if changes.is_empty() {
                return;
            }
            store.apply(&lease, &changes, &key).await.unwrap();
        }
    }

    /// Brings every step, or those of a host, to this state as a worker does: with an attempt, and a sealed event of each.
    pub(crate) async fn bring_steps(&self, host: Option<HostId>, state: &str) {
        let mut tx = slipway_testkit::begin(&self.pool).await;
        let steps: Vec<(Uuid, Uuid, Uuid)> = sqlx::query_as(
            "UPDATE steps SET state = $1, attempt = coalesce(attempt, gen_random_uuid())
             WHERE $2::uuid IS NULL OR host_id = $2 RETURNING id, host_id, rollout_id",
        )
        .bind(state)
        .bind(host.map(HostId::as_uuid))
        .fetch_all(&mut *tx)
        .await
        .unwrap();
        let (mut number, hash, now): (i64, Vec<u8>, Timestamp) =
            sqlx::query_as("SELECT number, hash, now() FROM event_head FOR UPDATE")
                .fetch_one(&mut *tx)
                .await
                .unwrap();
        let mut hash = hash.try_into().unwrap();
        for (step, host, rollout) in steps {
            let event = NewEvent {
                rollout: Some(RolloutId::from_uuid(rollout)),
                step: Some(StepId::from_uuid(step)),
                host: Some(HostId::from_uuid(host)),
                to: Some(state.to_owned()),
                ..NewEvent::new(Actor::Rules, "step.state", "a test")
            };
            number += 1;
            hash = chain_hash(&hash, number, now, &event);
            sqlx::query(
                "INSERT INTO events (number, at, actor_kind, actor_name, kind, rollout_id, step_id, host_id, to_state,
                                     cause, hash, seal, seal_key)
                 VALUES ($1, now(), 'rules', '', 'step.state', $2, $3, $4, $5, 'a test', $6, $7, $8)",
            )
            .bind(number)
            .bind(rollout)
            .bind(step)
            .bind(host)
            .bind(state)
            .bind(hash.as_slice())
            .bind(key().seal(&hash).as_slice())
            .bind(key().fingerprint())
            .execute(&mut *tx)
            .await
            .unwrap();
        }
        sqlx::query("UPDATE event_head SET number = $1, hash = $2")
            .bind(number)
            .bind(hash.as_slice())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn host_id(&self, name: &str) -> HostId {
        self.app
            .store
            .get_host_by_name(&name.parse().unwrap())
            .await
            .unwrap()
            .id
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) async fn answer(response: axum::response::Response) -> Answer {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).unwrap()
    };
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    }
}

pub(crate) fn redis(pool: &PgPool) -> Wake {
    let url = std::env::var_os("REDIS_URL").expect("REDIS_URL names the Redis of the tests");
    let source = SettingsSource::from_map([("REDIS_URL", url.into_string().unwrap())]);
    let settings = RedisSettings::from_source(&source).unwrap();
    // The database's name is the same at every run, and counters outlive a run.
    let database = pool.connect_options();
    let namespace = format!("{}-{}", database.get_database().unwrap(), std::process::id());
    Wake::connect(settings.as_ref(), &namespace).unwrap()
}

pub(crate) fn key() -> AuditKey {
    AuditKey::from_bytes(&[0x7f; 32])
}

pub(crate) fn some_token() -> String {
    let id = || AttemptId::random().as_uuid().simple().to_string();
    format!("slw_{}{}", id(), id())
}

pub(crate) fn closure(host: &str) -> String {
    format!("/nix/store/{HASH}-{host}")
}

/// What an agent with nothing to say posts.
pub(crate) fn observation(host: &str) -> Value {
    let observation = Observation {
        host: host.parse().unwrap(),
        agent_version: "1.0.0".to_owned(),
        clock: SystemTime::now().into(),
        boot_id: "b".to_owned(),
        counter: None,
        live: None,
        boot_default: None,
        report: None,
        unsettled: None,
        journal_trouble: None,
        plan: None,
        facts: None,
        overrides: None,
        pending_reboot: None,
    };
    serde_json::to_value(observation).unwrap()
}
