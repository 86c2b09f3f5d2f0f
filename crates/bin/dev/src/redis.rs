//! A private Redis: a password, little memory, nothing on disk. It may be lost at any time.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use redis::FromRedisValue;

use crate::postgres::random_password;
use crate::programs;
use crate::run::Run;
use crate::run_dir::write_private;
use crate::spec::Spec;

/// How the process is called in the run.
pub const NAME: &str = "redis";
const LAYER: u8 = 0;
const START: Duration = Duration::from_mins(1);
const ANSWER: Duration = Duration::from_secs(10);

/// A running server.
#[derive(Debug)]
pub struct DevRedis {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// What a client must say first.
    pub password: String,
}

impl DevRedis {
    /// Starts it and waits until it answers to its password.
    pub async fn start(run: &Run) -> Result<Self> {
        let user = run.user.as_ref();
        let folder = run.dir.folder("redis", user)?;
        let server = Self {
            port: run.ports.reserve()?,
            password: random_password()?,
        };
        let config = folder.join("redis.conf");
        write_private(&config, &server.config(&folder.display().to_string()), user)?;
        let spec = Spec::new(NAME, programs::find("redis-server")?)
            .args([&config])
            .directory(&folder)
            .user(user)
            .layer(LAYER);
        run.supervisor.spawn(spec)?;
        let ready = async || server.is_ready().await;
        run.supervisor.wait_ready(NAME, START, ready).await?;
        Ok(server)
    }

    /// The password is in this file and not on the command line, which every user of the machine can read.
    fn config(&self, folder: &str) -> String {
        format!(
            "bind 127.0.0.1\nport {}\nprotected-mode yes\nrequirepass {}\nmaxmemory 256mb\n\
             maxmemory-policy allkeys-lru\nsave \"\"\nappendonly no\ndaemonize no\ndir \"{folder}\"\n",
            self.port, self.password
        )
    }

    /// The URL for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}", self.password, self.port)
    }

    /// The server's limits on memory: bytes and policy.
    pub async fn memory_limits(&self) -> Result<(u64, String)> {
        let mut config = self.ask("CONFIG", &["GET", "maxmemory*"]).await?;
        let bytes: u64 = take(&mut config, "maxmemory")?.parse()?;
        Ok((bytes, take(&mut config, "maxmemory-policy")?))
    }

    async fn is_ready(&self) -> bool {
        self.ask::<String>("PING", &[])
            .await
            .is_ok_and(|answer| answer == "PONG")
    }

    /// Asks on a connection of its own, within a bound.
    async fn ask<T: FromRedisValue>(&self, command: &str, args: &[&str]) -> Result<T> {
        let exchange = async {
            let client = redis::Client::open(self.url())?;
            let mut connection = client.get_multiplexed_async_connection().await?;
            redis::cmd(command).arg(args).query_async(&mut connection).await
        };
        let answer = tokio::time::timeout(ANSWER, exchange).await;
        Ok(answer.context("Redis does not answer")??)
    }
}

fn take(config: &mut HashMap<String, String>, name: &str) -> Result<String> {
    config
        .remove(name)
        .with_context(|| format!("Redis does not know {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_refuses_who_does_not_know_the_password_and_keeps_its_limits() {
        let base = crate::run::tests::passable_base();
        let run = Run::create(base.path()).unwrap();
        let redis = DevRedis::start(&run).await.unwrap();

        for (password, expected) in [("", "NOAUTH"), ("wrong", "AuthenticationFailed")] {
            let stranger = DevRedis {
                port: redis.port,
                password: password.to_owned(),
            };
            let refused = stranger.ask::<String>("PING", &[]).await.unwrap_err();
            assert!(format!("{refused:?}").contains(expected), "{refused:?}");
        }
        let limits = redis.memory_limits().await.unwrap();
        assert_eq!(limits, (256 << 20, "allkeys-lru".to_owned()));

        let command_line =
            std::fs::read(format!("/proc/{}/cmdline", run.supervisor.pid(NAME).unwrap())).unwrap();
        assert!(!String::from_utf8_lossy(&command_line).contains(&redis.password));
        run.close().await.unwrap();
    }
}
