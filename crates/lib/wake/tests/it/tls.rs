//! TLS and passwords that do not fit, and what people are told.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use slipway_settings::{RedisServer, RedisSettings, RedisTls};
use slipway_wake::{Topic, Wake, WakeUp};
use tempfile::TempDir;
use tracing_subscriber::fmt::MakeWriter;

use crate::cluster::{Authority, MEMBERS, NAME, Part, TestCluster};
use crate::server::{TestRedis, connect, down, next, up, wait_until};

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// What is logged of a connection that cannot be made, once it says what is expected, or after some tries.
async fn complaint(settings: &RedisSettings, words: &[&str]) -> String {
    let mut said = String::new();
    // On a busy machine a server may at first not answer in time.
    for _ in 0..5 {
        let log = Log::default();
        let writer = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_ansi(false)
            .finish();
        // The connection is made on this thread as well.
        let _guard = tracing::subscriber::set_default(writer);
        let wake = Wake::connect(Some(settings), "a").unwrap();
        wait_until("a complaint", Duration::from_secs(15), async || {
            log.text().contains("cannot reach Redis").then_some(())
        })
        .await;
        assert!(!wake.is_up());
        said = log.text();
        if words.iter().all(|word| said.contains(word)) {
            break;
        }
    }
    said
}

fn tls(settings: &mut RedisSettings) -> &mut RedisTls {
    settings.tls.as_mut().unwrap()
}

async fn one_member() -> TestCluster {
    let mut cluster = TestCluster::stopped();
    // As servers are that let only in who shows a certificate.
    let file = cluster.path("ha-1/redis.conf");
    let text = fs::read_to_string(&file).unwrap();
    let strict = text.replace("tls-auth-clients optional", "tls-auth-clients yes");
    assert_ne!(strict, text);
    fs::write(&file, strict).unwrap();
    cluster.run(Part::Redis, 0);
    cluster.run(Part::Sentinel, 0);
    let wake = Wake::connect(Some(&cluster.direct(0)), "a").unwrap();
    up(&wake).await;
    cluster
}

#[tokio::test]
async fn what_does_not_fit_is_told_with_its_cure() {
    let cluster = one_member().await;
    let other = TempDir::new().unwrap();
    Authority::new().issue(other.path(), vec!["other".to_owned()]);
    let foreign_key = fs::read_to_string(other.path().join("key.pem")).unwrap();

    let mut cases = Vec::new();
    let mut case = |words, change: &dyn Fn(&mut RedisSettings)| {
        let mut settings = cluster.direct(0);
        change(&mut settings);
        cases.push((words, settings));
    };
    case(
        ["UnknownIssuer", "; REDIS_TLS_CA must name a file"],
        &|settings| {
            tls(settings).ca = Some(other.path().join("authority.pem"));
        },
    );
    case(["not valid for name", "; set REDIS_TLS_NAME to"], &|settings| {
        tls(settings).name = Some("else.internal".to_owned());
    });
    case(
        [
            "CertificateRequired",
            "set REDIS_TLS_CERTIFICATE and REDIS_TLS_KEY_FILE",
        ],
        &|settings| {
            tls(settings).identity = None;
        },
    );
    case(
        [
            "UnknownCA",
            "; it does not know the authority of REDIS_TLS_CERTIFICATE",
        ],
        &|settings| {
            tls(settings).identity = Some((other.path().join("certificate.pem"), foreign_key.clone().into()));
        },
    );
    case(["", "; check REDIS_USER, REDIS_PASSWORD"], &|settings| {
        settings.password = Some("wrong-password-canary".into());
    });
    case(
        ["", "; if it takes connections with TLS only, set REDIS_TLS=on"],
        &|settings| {
            settings.tls = None;
        },
    );
    let sentinel = |port| RedisServer::Sentinels {
        master: "shop".to_owned(),
        nodes: vec![(cluster.address(0), port)],
    };
    case(["", "for a Sentinel, REDIS_SENTINEL_PASSWORD"], &|settings| {
        settings.server = sentinel(cluster.port(Part::Sentinel));
        settings.sentinel_password = Some("wrong-password-canary".into());
    });
    case(
        [
            "gives an answer that no Sentinel gives",
            "REDIS_SENTINELS names Sentinels",
        ],
        &|settings| {
            settings.server = sentinel(cluster.port(Part::Redis));
            settings.sentinel_password = settings.password.clone();
        },
    );
    case(
        ["knows no primary `blog`", "set REDIS_SENTINEL_MASTER to the name"],
        &|settings| {
            settings.server = RedisServer::Sentinels {
                master: "blog".to_owned(),
                nodes: vec![(cluster.address(0), cluster.port(Part::Sentinel))],
            };
            settings.sentinel_password = settings.password.clone();
        },
    );
    let plain = TestRedis::start(&[]);
    up(&connect(&plain, "a")).await;
    case(
        ["does not answer", "; if it speaks no TLS on this port"],
        &|settings| {
            let tls = settings.tls.take();
            *settings = RedisSettings {
                tls,
                ..plain.settings()
            };
        },
    );

    for ([problem, cure], settings) in cases {
        let said = complaint(&settings, &[problem, cure]).await;
        assert!(said.contains(problem) && said.contains(cure), "{problem}: {said}");
        assert!(!said.contains("canary"), "{said}");
    }
}

#[tokio::test]
async fn certificates_may_be_for_one_name_and_not_for_the_addresses_that_sentinels_tell() {
    let mut cluster = TestCluster::stopped();
    let authority = Authority::new();
    for member in MEMBERS {
        authority.issue(&cluster.path(member), vec![NAME.to_owned()]);
    }
    authority.issue(&cluster.path("."), vec!["client".to_owned()]);
    for member in 0..3 {
        cluster.run(Part::Redis, member);
        cluster.run(Part::Sentinel, member);
    }
    let mut settings = cluster.settings();
    tls(&mut settings).name = Some(NAME.to_owned());
    let wake = Wake::connect(Some(&settings), "a").unwrap();
    let mut rollouts = wake.subscribe(Topic::Rollouts);
    assert_eq!(next(&mut rollouts).await, WakeUp::Reconnected);
    tls(&mut settings).name = None;
    let said = complaint(&settings, &["not valid for name"]).await;
    assert!(said.contains("not valid for name"), "{said}");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_told_before_anything_begins() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let authority = Authority::new();
    authority.issue(folder.path(), vec!["client".to_owned()]);
    let key = fs::read_to_string(path("key.pem")).unwrap();
    fs::write(path("empty.pem"), "").unwrap();
    authority.issue(folder.path(), vec!["client".to_owned()]);
    let redis = TestRedis::stopped(&[]);
    for (ca, identity, words) in [
        (
            "missing.pem",
            None,
            "REDIS_TLS_CA: @/missing.pem cannot be read; let the process's user read it",
        ),
        (
            "empty.pem",
            None,
            "REDIS_TLS_CA: @/empty.pem has no certificate that can be read",
        ),
        ("key.pem", None, "REDIS_TLS_CA: @/key.pem has no certificate"),
        (
            "authority.pem",
            Some("key.pem"),
            "REDIS_TLS_CERTIFICATE: @/key.pem has no certificate",
        ),
        (
            "authority.pem",
            Some("certificate.pem"),
            "REDIS_TLS_KEY is not the key of @/certificate.pem",
        ),
    ] {
        let settings = RedisSettings {
            tls: Some(RedisTls {
                ca: Some(path(ca)),
                name: None,
                identity: identity.map(|name| (path(name), key.clone().into())),
            }),
            ..redis.settings()
        };
        let error = Wake::connect(Some(&settings), "a").unwrap_err().to_string();
        let words = words.replace('@', &folder.path().display().to_string());
        assert!(error.contains(&words), "{error}");
        assert!(!error.contains(key.lines().nth(1).unwrap()), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_became_a_replica_is_left_when_it_refuses_a_write() {
    let redis = TestRedis::start(&[]);
    let wake = connect(&redis, "a");
    up(&wake).await;
    let primary = TestRedis::start(&[]);
    up(&connect(&primary, "a")).await;
    let mut plain = crate::server::plain(&redis).await;
    let mut command = redis::cmd("REPLICAOF");
    command.arg("127.0.0.1").arg(primary.port());
    command.query_async::<()>(&mut plain).await.unwrap();
    assert_eq!(wake.count_failure("key", 60).await.count, 1);
    down(&wake).await;
    let mut command = redis::cmd("REPLICAOF");
    command.arg("NO").arg("ONE");
    command.query_async::<()>(&mut plain).await.unwrap();
    up(&wake).await;
    assert_eq!(wake.count_failure("other", 60).await.count, 1);
}
