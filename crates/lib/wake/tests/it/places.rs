//! The ways to a server: password, socket, database, sentinels.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use slipway_domain::RolloutId;
use slipway_settings::{RedisServer, RedisSettings, SecretString};
use slipway_testkit::free_port;
use slipway_wake::{Topic, Wake, WakeUp};

use crate::server::{TestRedis, connect, next, silent, up};

async fn works(settings: &RedisSettings) {
    let wake = Wake::connect(Some(settings), "a").unwrap();
    let mut rollouts = wake.subscribe(Topic::Rollouts);
    assert_eq!(next(&mut rollouts).await, WakeUp::Reconnected);
    up(&wake).await;
    let rollout = RolloutId::generate();
    wake.publish_rollout(rollout).await;
    assert_eq!(next(&mut rollouts).await, WakeUp::Rollouts([rollout].into()));
    assert_eq!(wake.count_failure("key", 60).await.count, 1);
}

#[tokio::test]
async fn a_password_opens_and_a_wrong_one_does_not() {
    let redis = TestRedis::start(&["--requirepass", "open sesame"]);
    let mut settings = redis.settings();
    for wrong in [None, Some(SecretString::from("wrong"))] {
        settings.password = wrong;
        let wake = Wake::connect(Some(&settings), "a").unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!wake.is_up());
    }
    settings.password = Some("open sesame".into());
    works(&settings).await;
    settings.username = Some("default".to_owned());
    works_again(&settings).await;
    let wake = Wake::connect(Some(&settings), "a").unwrap();
    assert!(!format!("{wake:?}").contains("sesame"), "{wake:?}");
}

/// Another key, for a server that counted before.
async fn works_again(settings: &RedisSettings) {
    let wake = Wake::connect(Some(settings), "b").unwrap();
    up(&wake).await;
    assert_eq!(wake.count_failure("key", 60).await.count, 1);
}

#[tokio::test]
async fn a_socket_will_do() {
    let redis = TestRedis::start(&[]);
    let settings = RedisSettings {
        server: RedisServer::Unix(redis.socket()),
        ..redis.settings()
    };
    works(&settings).await;
}

#[tokio::test]
async fn databases_are_stacks_apart() {
    let redis = TestRedis::start(&[]);
    let settings = RedisSettings {
        database: 3,
        ..redis.settings()
    };
    works(&settings).await;
    let (here, there) = (connect(&redis, "a"), Wake::connect(Some(&settings), "a").unwrap());
    let mut rollouts = here.subscribe(Topic::Rollouts);
    assert_eq!(next(&mut rollouts).await, WakeUp::Reconnected);
    up(&there).await;
    there.publish_rollout(RolloutId::generate()).await;
    silent(&mut rollouts).await;
    up(&here).await;
    assert_eq!(here.count_failure("key", 60).await.count, 1);
}

struct Sentinel(Child);

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn sentinels_know_where_the_server_is() {
    let redis = TestRedis::start(&["--requirepass", "secret"]);
    let port = free_port();
    let file = redis.folder().join("sentinel.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {} 1\nsentinel auth-pass main secret\n",
        redis.port()
    );
    std::fs::write(&file, text).unwrap();
    let child = Command::new("redis-server")
        .arg(&file)
        .arg("--sentinel")
        .current_dir(redis.folder())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _sentinel = Sentinel(child);
    let absent = ("127.0.0.1".to_owned(), free_port());
    let settings = RedisSettings {
        server: RedisServer::Sentinels {
            master: "main".to_owned(),
            nodes: vec![absent, ("127.0.0.1".to_owned(), port)],
        },
        password: Some("secret".into()),
        ..redis.settings()
    };
    works(&settings).await;
}
