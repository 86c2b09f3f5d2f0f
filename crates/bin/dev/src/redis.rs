//! A private Redis: a password, little memory, nothing on disk. It may be lost at any time.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ports::loopback;
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
pub struct Redis {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// What a client must say first.
    pub password: String,
}

impl Redis {
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

    /// Sends one command after the password; returns the first bytes of the answer.
    pub async fn command(&self, command: &str) -> Result<String> {
        let answer = self
            .raw(&format!("AUTH {}\r\n{command}\r\n", self.password))
            .await?;
        let rest = answer.strip_prefix("+OK\r\n");
        Ok(rest
            .with_context(|| format!("Redis refused its password: {}", answer.trim()))?
            .to_owned())
    }

    async fn is_ready(&self) -> bool {
        self.command("PING")
            .await
            .is_ok_and(|answer| answer == "+PONG\r\n")
    }

    async fn raw(&self, text: &str) -> Result<String> {
        let exchange = async {
            let mut stream = TcpStream::connect(loopback(self.port)).await?;
            stream.write_all(text.as_bytes()).await?;
            stream.write_all(b"QUIT\r\n").await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            anyhow::Ok(answer)
        };
        let answer = tokio::time::timeout(ANSWER, exchange)
            .await
            .context("Redis does not answer")??;
        let answer = answer.strip_suffix("+OK\r\n").unwrap_or(&answer);
        ensure!(
            !answer.is_empty(),
            "Redis closed the connection without an answer"
        );
        Ok(answer.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_refuses_who_does_not_know_the_password_and_keeps_its_limits() {
        let base = crate::run::tests::passable_base();
        let run = Run::create(base.path()).unwrap();
        let redis = Redis::start(&run).await.unwrap();

        let refused = redis.raw("PING\r\n").await.unwrap();
        assert!(refused.starts_with("-NOAUTH"), "{refused}");
        let wrong = Redis {
            port: redis.port,
            password: "wrong".to_owned(),
        };
        assert!(
            wrong
                .command("PING")
                .await
                .unwrap_err()
                .to_string()
                .contains("WRONGPASS")
        );

        let memory = redis.command("CONFIG GET maxmemory").await.unwrap();
        assert!(memory.contains("268435456"), "{memory}");
        let policy = redis.command("CONFIG GET maxmemory-policy").await.unwrap();
        assert!(policy.contains("allkeys-lru"), "{policy}");

        let command_line =
            std::fs::read(format!("/proc/{}/cmdline", run.supervisor.pid(NAME).unwrap())).unwrap();
        assert!(!String::from_utf8_lossy(&command_line).contains(&redis.password));
        run.close().await.unwrap();
    }
}
