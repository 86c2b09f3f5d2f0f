//! A Redis server of a test's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use slipway_settings::{RedisServer, RedisSettings};
use tempfile::TempDir;

use crate::free_port;

/// `redis-server` from the path, which keeps nothing. It ends with this.
#[derive(Debug)]
pub struct TestRedis {
    port: u16,
    folder: TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl TestRedis {
    /// Starts one on a port of its own, with these arguments besides; it may take a moment until it answers.
    ///
    /// # Panics
    /// When there is no `redis-server`.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        let mut redis = Self::stopped(arguments);
        redis.run();
        redis
    }

    /// One that is not there yet.
    ///
    /// # Panics
    /// Without a folder for temporary files.
    #[must_use]
    pub fn stopped(arguments: &[&str]) -> Self {
        Self {
            port: free_port(),
            folder: TempDir::new().unwrap(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            child: None,
        }
    }

    /// Starts it where it was stopped or killed, on the same port.
    ///
    /// # Panics
    /// When there is no `redis-server`.
    pub fn run(&mut self) {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .arg("--unixsocket")
            .arg(self.socket())
            .args(&self.arguments)
            .current_dir(self.folder())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server must be on the path");
        self.child = Some(child);
    }

    /// Its port on this machine.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A folder that is gone with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder().join("redis.sock")
    }

    /// What leads to it.
    #[must_use]
    pub fn settings(&self) -> RedisSettings {
        RedisSettings {
            server: RedisServer::Tcp {
                host: "127.0.0.1".to_owned(),
                port: self.port,
            },
            username: None,
            password: None,
            sentinel_password: None,
            tls: None,
            database: 0,
            pool_size: 10,
        }
    }

    /// Sends it a signal: `STOP` and `CONT` are what a machine does that hangs.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        self.kill();
    }
}
