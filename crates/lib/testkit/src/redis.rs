//! A Redis server of a test's own.

use std::process::{Child, Command, Stdio};

use slipway_settings::{RedisServer, RedisSettings};

use crate::free_port;

/// `redis-server` from the path, which keeps nothing. It ends with this.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    child: Child,
}

impl Redis {
    /// Starts one on a port of its own; it may take a moment until it answers.
    ///
    /// # Panics
    /// When there is no `redis-server`.
    #[must_use]
    pub fn start() -> Self {
        let port = free_port();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { port, child }
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
            database: 0,
            pool_size: 10,
        }
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
