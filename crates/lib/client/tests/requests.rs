//! What the client sends, and what it makes of answers.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use slipway_client::testing::{ReceivedRequest, ScriptedApi, ScriptedReply};
use slipway_client::{Client, ClientError, UnreachableCause};
use slipway_domain::{Instruction, Observation, RolloutId};
use slipway_wire::access::CreatePrincipal;
use slipway_wire::audit::EventQuery;
use slipway_wire::page::{EnvironmentPageQuery, PageQuery};
use slipway_wire::problem::kind;
use slipway_wire::release::{CreateRelease, Source};

const ID: &str = "0198a4e2-7c1b-7f00-8a51-3f0e8d2c9b10";

fn client(server: &ScriptedApi) -> Client {
    slipway_client::builder(&server.url())
        .unwrap()
        .token("slw_test".into())
        .user_agent("slipway-test/1")
        .build()
        .unwrap()
}

fn observation() -> Observation {
    serde_json::from_value(serde_json::json!({
        "host": "web-1", "agent_version": "0.1.0", "clock": "2026-03-01T12:00:00Z", "boot_id": "b", "counter": 5,
        "live": null, "boot_default": null, "report": null, "unsettled": null,
    }))
    .unwrap()
}

fn principal() -> CreatePrincipal {
    CreatePrincipal {
        name: "ci".parse().unwrap(),
        role: slipway_domain::Role::Deployer,
        environment_roles: slipway_domain::EnvironmentRoles::default(),
    }
}

/// Answers the first `n` requests with `first`, the later ones with an empty list.
fn then_empty(n: usize, first: ScriptedReply) -> ScriptedApi {
    let count = AtomicUsize::new(0);
    ScriptedApi::start(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) < n {
            first.clone()
        } else {
            ScriptedReply::json(200, &serde_json::json!({"items": []}))
        }
    })
}

#[tokio::test]
async fn every_request_says_who_asks() {
    let server = ScriptedApi::start(|_| ScriptedReply::json(200, &Instruction::Idle));
    let wait = Some(Duration::from_secs(30));
    let told = client(&server).agent_sync(&observation(), wait).await.unwrap();
    assert_eq!(told, Instruction::Idle);
    let request: ReceivedRequest = server.requests().remove(0);
    assert_eq!(request.line(), "POST /api/v1/agent/sync");
    assert_eq!(request.header("authorization"), Some("Bearer slw_test"));
    assert_eq!(request.header("user-agent"), Some("slipway-test/1"));
    assert_eq!(request.header("prefer"), Some("wait=30"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert!(request.body.contains("\"host\":\"web-1\""), "{}", request.body);
}

#[tokio::test]
async fn methods_reach_their_routes() {
    let server = ScriptedApi::start(|_| ScriptedReply::empty(204));
    let client = client(&server);
    let events = EventQuery {
        after: Some(7),
        limit: Some(2),
        ..EventQuery::default()
    };
    // The empty answers are no JSON; only what was asked counts here.
    let _ = client.whoami().await;
    let _ = client
        .rollout_events(
            ID.parse::<RolloutId>().unwrap(),
            &events,
            Some(Duration::from_secs(5)),
        )
        .await;
    let query = EnvironmentPageQuery {
        environment: Some("prod".parse().unwrap()),
        ..EnvironmentPageQuery::default()
    };
    let _ = client.hosts(&query).await;
    let _ = client.releases(&PageQuery::default()).await;
    let _ = client.rollouts(&EnvironmentPageQuery::default()).await;
    let _ = client.new_host_token(&"web-1".parse().unwrap()).await;
    client.retire_host(&"web-1".parse().unwrap()).await.unwrap();
    client.revoke_token(ID.parse().unwrap()).await.unwrap();
    client.disable_principal(&"ci".parse().unwrap()).await.unwrap();
    client.live().await.unwrap();
    client.ready().await.unwrap();
    let requests: Vec<String> = server
        .requests()
        .iter()
        .map(|request| format!("{}?{}", request.line(), request.query))
        .collect();
    assert_eq!(
        requests,
        [
            "GET /api/v1/whoami?".to_owned(),
            format!("GET /api/v1/rollouts/{ID}/events?after=7&limit=2"),
            "GET /api/v1/hosts?environment=prod".to_owned(),
            "GET /api/v1/releases?".to_owned(),
            "GET /api/v1/rollouts?".to_owned(),
            "POST /api/v1/hosts/web-1/token?".to_owned(),
            "DELETE /api/v1/hosts/web-1?".to_owned(),
            format!("DELETE /api/v1/tokens/{ID}?"),
            "DELETE /api/v1/principals/ci?".to_owned(),
            "GET /api/v1/monitoring/live?".to_owned(),
            "GET /api/v1/monitoring/ready?".to_owned(),
        ]
    );
    assert_eq!(server.requests()[1].header("prefer"), Some("wait=5"));
}

#[tokio::test]
async fn a_path_before_the_routes_is_kept() {
    let server = ScriptedApi::start(|_| ScriptedReply::empty(200));
    let url = format!("{}/slipway/", server.url());
    slipway_client::builder(&url)
        .unwrap()
        .build()
        .unwrap()
        .live()
        .await
        .unwrap();
    assert_eq!(server.requests()[0].path, "/slipway/api/v1/monitoring/live");
}

#[tokio::test]
async fn a_problem_is_handed_on() {
    let server = ScriptedApi::start(|_| {
        ScriptedReply::problem(429, kind::TOO_MANY_FAILURES, "too many failed logins")
            .header("retry-after", "7")
    });
    let error = client(&server).create_principal(&principal()).await.unwrap_err();
    assert!(error.is(kind::TOO_MANY_FAILURES) && error.is_retryable() && !error.never_sent());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(error.to_string(), "too many failed logins (request req-1)");
}

#[tokio::test]
async fn a_get_is_tried_again_and_a_post_that_arrived_is_not() {
    for first in [
        ScriptedReply::cut(),
        ScriptedReply::text(502, "text/html", "<h1>Bad Gateway</h1>"),
        ScriptedReply::problem(503, kind::UNAVAILABLE, "the database is away"),
    ] {
        let server = then_empty(2, first.clone());
        client(&server).environments().await.unwrap();
        assert_eq!(server.requests().len(), 3, "{first:?}");

        let server = then_empty(2, first.clone());
        let error = client(&server).create_principal(&principal()).await.unwrap_err();
        assert!(error.is_retryable() && !error.never_sent(), "{error}");
        assert_eq!(posts(&server).len(), 1, "{first:?}");
    }
}

fn posts(server: &ScriptedApi) -> Vec<ReceivedRequest> {
    let mut all = server.requests();
    all.retain(|request| request.method == "POST");
    all
}

#[tokio::test]
async fn a_change_is_sent_again_when_the_server_says_that_it_did_nothing() {
    let away = || ScriptedReply::nothing_done("the database is away").header("retry-after", "0");
    let count = AtomicUsize::new(0);
    let server = ScriptedApi::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        // More often than an address is tried where nobody answers.
        0..8 => away(),
        _ => ScriptedReply::json(
            201,
            &serde_json::json!({"name": "ci", "role": "deployer", "created_at": "2026-03-01T12:00:00Z", "disabled_at": null}),
        ),
    });
    client(&server).create_principal(&principal()).await.unwrap();
    assert_eq!(server.requests().len(), 9);

    let server = ScriptedApi::start(move |_| away());
    let impatient = client(&server).retry_for(Duration::from_millis(500));
    let error = impatient.create_principal(&principal()).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Problem { .. }),
        "nothing is open: {error}"
    );
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test]
async fn trying_again_has_an_end() {
    let server = then_empty(usize::MAX, ScriptedReply::text(502, "text/html", ""));
    let began = std::time::Instant::now();
    let impatient = client(&server).retry_for(Duration::from_secs(1));
    let error = impatient.environments().await.unwrap_err();
    let tries = server.requests().len();
    assert!(tries > 1 && began.elapsed() < Duration::from_secs(20), "{tries}");
    assert_eq!(
        error.to_string(),
        format!(
            "cannot reach {}: the proxy before it answered 502; the proxy runs and the API behind it does not; look at the API's log",
            server.url()
        )
    );
}

static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[tokio::test]
async fn whoever_waits_for_long_is_told_once() {
    let server = then_empty(
        3,
        ScriptedReply::problem(503, kind::UNAVAILABLE, "away").header("retry-after", "2"),
    );
    let builder = slipway_client::builder(&server.url()).unwrap();
    let patient = builder.on_wait(|text| TOLD.lock().unwrap().push(text.to_owned()));
    patient.build().unwrap().environments().await.unwrap();
    let expected = format!("{} cannot answer now; trying again for up to 90 s", server.url());
    assert_eq!(*TOLD.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn a_post_that_never_arrived_is_tried_again() {
    let port = ScriptedApi::start(|_| ScriptedReply::empty(200)).port();
    let later = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        ScriptedApi::start_on(port, |_| {
            ScriptedReply::json(
                201,
                &serde_json::json!({"name": "ci", "role": "deployer", "created_at": "2026-03-01T12:00:00Z", "disabled_at": null}),
            )
        })
    });
    let client = slipway_client::builder(&format!("http://127.0.0.1:{port}"));
    let client = client.unwrap().build().unwrap();
    let made = client.create_principal(&principal()).await.unwrap();
    assert_eq!(made.name.as_str(), "ci");
    assert_eq!(later.join().unwrap().requests().len(), 1);
}

#[tokio::test]
async fn nobody_there_is_told_with_address_and_cause() {
    let port = ScriptedApi::start(|_| ScriptedReply::empty(200)).port();
    for (url, cause, expected) in [
        (
            format!("http://127.0.0.1:{port}"),
            UnreachableCause::Refused,
            "connection refused",
        ),
        (
            "http://nowhere.invalid".to_owned(),
            UnreachableCause::Dns,
            "has no address",
        ),
    ] {
        let client = slipway_client::builder(&url).unwrap().build().unwrap();
        let error = client.agent_sync(&observation(), None).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&url) && text.contains(expected), "{text}");
        assert!(error.never_sent() && error.is_retryable(), "{text}");
        match error {
            ClientError::Unreachable { cause: found, .. } => assert_eq!(found, cause),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_slow_answer_ends_at_its_limit_which_grows_with_the_wait() {
    let slow = || {
        ScriptedApi::start(|_| ScriptedReply::json(200, &Instruction::Idle).after(Duration::from_millis(900)))
    };
    let with_limit = |server: &ScriptedApi| {
        let builder = slipway_client::builder(&server.url()).unwrap();
        builder
            .request_timeout(Duration::from_millis(200))
            .retry_for(Duration::ZERO)
            .build()
            .unwrap()
    };
    let server = slow();
    let error = with_limit(&server).whoami().await.unwrap_err();
    assert!(error.to_string().contains("did not come in time"), "{error}");
    assert_eq!(server.requests().len(), 1);

    let server = slow();
    let wait = Some(Duration::from_secs(1));
    with_limit(&server)
        .agent_sync(&observation(), wait)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_token_does_not_follow_a_redirect() {
    let other = ScriptedApi::start(|_| ScriptedReply::empty(200));
    let url = other.url();
    let server = ScriptedApi::start(move |_| ScriptedReply::empty(307).header("location", &url));
    let error = client(&server).create_principal(&principal()).await.unwrap_err();
    assert!(
        error.to_string().contains("redirects are not followed"),
        "{error}"
    );
    assert_eq!(other.requests().len(), 0);
}

#[tokio::test]
async fn an_answer_that_is_none_of_ours_is_told_by_its_address() {
    for reply in [
        ScriptedReply::text(200, "text/html", "<h1>Welcome to nginx!</h1>"),
        ScriptedReply::text(404, "text/html", "<h1>Not Found</h1>"),
        ScriptedReply::json(418, &serde_json::json!({"teapot": true})),
    ] {
        let server = ScriptedApi::start(move |_| reply.clone());
        let error = client(&server).whoami().await.unwrap_err();
        let expected = format!("{}/api/v1/whoami answered ", server.url());
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn a_server_that_says_it_is_down_is_an_answer() {
    let health = serde_json::json!({"status": "down", "version": "0.1.0", "dependencies": {}});
    let server = ScriptedApi::start(move |_| ScriptedReply::json(503, &health));
    let health = client(&server).health().await.unwrap();
    assert_eq!(health.status, slipway_wire::monitoring::Status::Down);
    assert!(client(&server).ready().await.is_err());
}

#[test]
fn a_client_does_not_show_its_token() {
    let server = ScriptedApi::start(|_| ScriptedReply::empty(200));
    assert!(!format!("{:?}", client(&server)).contains("slw_"));
}

const DRAFT: &str = ID;
const CLOSURE: &str = "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-nixos-system-web";

/// Keeps drafts, and loses the first page; what it seals is what was sent, with `changed` in place of one host's closure.
fn drafts(changed: Option<&'static str>) -> ScriptedApi {
    let lost = AtomicBool::new(false);
    let kept = Mutex::new(serde_json::Map::new());
    ScriptedApi::start(move |request| match request.path.rsplit('/').next() {
        Some("closures") if !lost.swap(true, Ordering::Relaxed) => ScriptedReply::cut(),
        Some("closures") => {
            let page: serde_json::Value = serde_json::from_str(&request.body).unwrap();
            kept.lock()
                .unwrap()
                .extend(page["closures"].as_object().unwrap().clone());
            ScriptedReply::json(201, &serde_json::json!({"id": DRAFT, "hosts": 0}))
        }
        Some("seal") => {
            let mut closures = kept.lock().unwrap().clone();
            if let Some(changed) = changed {
                closures["web-7"] = changed.into();
            }
            let release = serde_json::json!({
                "id": DRAFT, "closures": closures, "source": {}, "message": null, "author": "ci",
                "created_at": "2026-03-01T12:00:00Z",
            });
            ScriptedReply::json(201, &release)
        }
        _ => ScriptedReply::json(201, &serde_json::json!({"id": DRAFT, "hosts": 0})),
    })
}

fn long_release(hosts: usize) -> CreateRelease {
    CreateRelease {
        closures: (0..hosts)
            .map(|n| (format!("web-{n}"), CLOSURE.to_owned()))
            .collect(),
        source: Source::default(),
        message: Some("many".to_owned()),
        name: None,
    }
}

#[tokio::test]
async fn a_long_release_is_written_page_by_page_and_a_lost_page_again() {
    let server = drafts(None);
    let made = client(&server).create_release(&long_release(2500)).await.unwrap();
    assert_eq!(made.closures.len(), 2500);
    let requests: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| (request.path, request.body))
        .collect();
    let pages: Vec<usize> = requests
        .iter()
        .filter(|(path, _)| path.ends_with("/closures"))
        .map(|(_, body)| {
            let page: serde_json::Value = serde_json::from_str(body).unwrap();
            page["closures"].as_object().unwrap().len()
        })
        .collect();
    assert_eq!(
        pages,
        [1000, 1000, 1000, 500],
        "the first page was lost and sent again"
    );
    let (path, body) = requests.last().unwrap();
    assert_eq!(
        (path.as_str(), body.as_str()),
        (&*format!("/api/v1/drafts/{DRAFT}/seal"), r#"{"hosts":2500}"#)
    );
}

#[tokio::test]
async fn a_draft_that_was_changed_in_the_database_is_told_when_it_is_sealed() {
    let server = drafts(Some("/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-another"));
    let error = client(&server)
        .create_release(&long_release(1001))
        .await
        .unwrap_err();
    let told = error.to_string();
    assert!(matches!(error, ClientError::BadAnswer { .. }), "{told}");
    assert!(
        told.contains(DRAFT) && told.contains("other closures than were sent"),
        "{told}"
    );
}

#[tokio::test]
async fn all_hosts_are_asked_for_page_by_page() {
    let server = ScriptedApi::start(|request| {
        let host = |name: &str| {
            serde_json::json!({
                "name": name, "environment": "prod", "labels": {}, "online": true, "last_seen_at": null, "live": null,
                "boot_default": null, "agent_version": null, "clock_skew_seconds": null, "report": null, "step": null,
                "created_at": "2026-03-01T12:00:00Z", "retired_at": null,
            })
        };
        ScriptedReply::json(
            200,
            &if request.query.contains("after=web-1") {
                serde_json::json!({"items": [host("web-2")]})
            } else {
                serde_json::json!({"items": [host("web-1")], "next": "web-1"})
            },
        )
    });
    let client = slipway_client::builder(&server.url()).unwrap().build().unwrap();
    let environment = "prod".parse().unwrap();
    let hosts = client.all_hosts(Some(&environment)).await.unwrap();
    let names: Vec<_> = hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["web-1", "web-2"]);
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.query.contains("environment=prod&"))
    );
    // The same page for ever.
    let stuck =
        ScriptedApi::start(|_| ScriptedReply::json(200, &serde_json::json!({"items": [], "next": "web-1"})));
    let client = slipway_client::builder(&stuck.url()).unwrap().build().unwrap();
    assert!(client.all_hosts(None).await.unwrap().is_empty());
    assert_eq!(stuck.requests().len(), 2);
}
