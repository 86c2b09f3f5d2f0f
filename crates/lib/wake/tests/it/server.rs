//! A Redis server of a test's own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use slipway_settings::{RedisServer, RedisSettings};
use slipway_testkit::{free_port, wait_until};
use slipway_wake::{Subscription, Wake, WakeUp};
use tempfile::TempDir;
use tokio::time::timeout;

pub(crate) const SOON: Duration = Duration::from_secs(15);

pub(crate) struct Redis {
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Redis {
    /// A server with these settings besides its own.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut redis = Self::stopped(arguments);
        redis.run();
        redis
    }

    /// One that is not there yet.
    pub(crate) fn stopped(arguments: &[&str]) -> Self {
        Self {
            port: free_port(),
            folder: TempDir::new().unwrap(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            child: None,
        }
    }

    pub(crate) fn run(&mut self) {
        let child = Command::new("redis-server")
            .args([
                "--port",
                &self.port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
            ])
            .args(["--unixsocket", self.socket().to_str().unwrap()])
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server must be on the path");
        self.child = Some(child);
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops and continues it, as when its machine hangs.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    pub(crate) fn settings(&self) -> RedisSettings {
        RedisSettings {
            server: RedisServer::Tcp {
                host: "127.0.0.1".to_owned(),
                port: self.port,
            },
            username: None,
            password: None,
            database: 0,
            pool_size: 10,
        }
    }

    pub(crate) fn wake(&self, namespace: &str) -> Wake {
        Wake::connect(Some(&self.settings()), namespace)
    }

    /// A plain connection, for what only a test does.
    pub(crate) async fn plain(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(("127.0.0.1", self.port)).unwrap();
        wait_until("a plain connection", SOON, async || {
            client.get_multiplexed_async_connection().await.ok()
        })
        .await
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) async fn up(wake: &Wake) {
    wait_until("Redis to be up", SOON, async || wake.is_up().then_some(())).await;
}

pub(crate) async fn down(wake: &Wake) {
    wait_until("Redis to be down", SOON, async || (!wake.is_up()).then_some(())).await;
}

pub(crate) async fn next(subscription: &mut Subscription) -> WakeUp {
    timeout(SOON, subscription.recv()).await.expect("no wake-up came")
}

/// Nothing comes.
pub(crate) async fn silent(subscription: &mut Subscription) {
    let came = timeout(Duration::from_millis(300), subscription.recv()).await;
    assert!(came.is_err(), "{came:?}");
}
