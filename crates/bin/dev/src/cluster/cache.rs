//! Redis' clients: they ask the Sentinels who is the primary, as a stack does.

use std::collections::HashSet;
use std::fs::File;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ClientTlsConfig, TlsCertificates};

use super::files::{SENTINEL, Shared};
use super::writer::{Write, in_network};

/// What the Sentinels call the primary.
const PRIMARY: &str = "shop";
/// Who may ask Sentinels how they are, and nothing else; it needs no password.
const WATCHER: &str = "telemetry:none";
/// One Sentinel or server; a frozen one must not hold the search up.
const ANSWER: Duration = Duration::from_secs(2);
/// Looking at all of them.
const LOOK: Duration = Duration::from_secs(20);
const READ: Duration = Duration::from_secs(30);

/// How the Sentinels and servers are reached.
#[derive(Clone)]
pub(super) struct CacheAccess {
    sentinels: Vec<String>,
    password: String,
    ca: Vec<u8>,
    identity: (String, String),
}

impl CacheAccess {
    pub(super) fn new(shared: &Shared, addresses: impl IntoIterator<Item = String>) -> Result<Self> {
        Ok(Self {
            sentinels: addresses.into_iter().collect(),
            password: shared.redis_password.clone(),
            ca: std::fs::read(&shared.ca)?,
            identity: shared.identity.clone(),
        })
    }

    async fn connect(&self, host: &str, port: u16) -> Result<MultiplexedConnection> {
        self.connect_as(&format!("default:{}", self.password), host, port, ANSWER)
            .await
    }

    async fn connect_as(
        &self,
        login: &str,
        host: &str,
        port: u16,
        patience: Duration,
    ) -> Result<MultiplexedConnection> {
        let url = format!("rediss://{login}@{host}:{port}");
        let client = redis::Client::build_with_tls(
            url,
            TlsCertificates {
                client_tls: Some(ClientTlsConfig {
                    client_cert: self.identity.0.clone().into_bytes(),
                    client_key: self.identity.1.clone().into_bytes(),
                }),
                root_cert: Some(self.ca.clone()),
            },
        )?;
        // Its own limits are shorter than what a busy machine takes for a handshake.
        let limits = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(patience))
            .set_response_timeout(Some(patience));
        Ok(client
            .get_multiplexed_async_connection_with_config(&limits)
            .await?)
    }

    /// Who is the primary, by the first Sentinel that answers.
    pub(super) async fn primary(&self) -> Result<(String, u16)> {
        let mut trouble = None;
        for sentinel in &self.sentinels {
            let asked = async {
                let mut connection = self.connect(sentinel, SENTINEL).await?;
                let mut ask = redis::cmd("SENTINEL");
                ask.arg("get-master-addr-by-name").arg(PRIMARY);
                Ok::<_, anyhow::Error>(ask.query_async(&mut connection).await?)
            };
            match tokio::time::timeout(2 * ANSWER, asked).await {
                Ok(Ok(address)) => return Ok(address),
                Ok(Err(error)) => trouble = Some(error),
                Err(_) => {}
            }
        }
        Err(trouble.context("no Sentinel answers")?)
    }

    async fn connect_to_primary(&self) -> Result<(String, MultiplexedConnection)> {
        let (host, port) = self.primary().await?;
        let mut connection = self.connect(&host, port).await?;
        let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
        let is_primary = role.first() == Some(&redis::Value::BulkString(b"master".to_vec()));
        if !is_primary {
            bail!("{host} is no primary");
        }
        Ok((host, connection))
    }

    /// Whether the primary has both replicas, and each Sentinel sees enough others.
    pub(super) async fn missing(&self) -> Option<String> {
        let look = async {
            let (host, mut connection) = self.connect_to_primary().await?;
            let info: String = redis::cmd("INFO")
                .arg("replication")
                .query_async(&mut connection)
                .await?;
            let online = info.matches("state=online").count();
            if online != 2 {
                bail!("the primary {host} has {online} replicas");
            }
            for sentinel in &self.sentinels {
                let mut watcher = self.connect_as(WATCHER, sentinel, SENTINEL, LOOK).await?;
                let mut ask = redis::cmd("SENTINEL");
                ask.arg("ckquorum").arg(PRIMARY);
                let said: String = ask.query_async(&mut watcher).await?;
                if !said.starts_with("OK 3 ") {
                    bail!("the Sentinel of {sentinel} says {said}");
                }
                let login = format!("default:{}", self.password);
                let mut connection = self.connect_as(&login, sentinel, SENTINEL, LOOK).await?;
                let mut ask = redis::cmd("SENTINEL");
                ask.arg("get-master-addr-by-name").arg(PRIMARY);
                let (named, _): (String, u16) = ask.query_async(&mut connection).await?;
                if named != host {
                    bail!("the Sentinel of {sentinel} names {named}, not {host}");
                }
            }
            Ok::<_, anyhow::Error>(())
        };
        match tokio::time::timeout(LOOK, look).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{error:#}")),
            Err(_) => Some("Redis and Sentinels do not answer".to_owned()),
        }
    }
}

/// Writes numbers into a set under a name.
pub(super) struct CacheWriter {
    name: String,
    access: CacheAccess,
    connection: Option<(String, MultiplexedConnection)>,
}

impl CacheWriter {
    pub(super) fn new(name: &str, access: CacheAccess) -> Self {
        Self {
            name: name.to_owned(),
            access,
            connection: None,
        }
    }
}

impl Write for CacheWriter {
    async fn write(&mut self, number: i64) -> Result<String> {
        let (host, connection) = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.access.connect_to_primary().await?),
        };
        let mut add = redis::cmd("SADD");
        add.arg(format!("ledger:{}", self.name)).arg(number);
        let added: i64 = tokio::time::timeout(2 * ANSWER, add.query_async(connection)).await??;
        if added != 1 {
            bail!("{number} was there already");
        }
        Ok(host.clone())
    }

    fn disconnect(&mut self) {
        self.connection = None;
    }
}

/// All numbers of a writer, read in a member's network.
pub(super) async fn read(network: &File, access: CacheAccess, name: &str) -> Result<HashSet<(String, i64)>> {
    let (send, receive) = tokio::sync::oneshot::channel();
    let name = name.to_owned();
    let key = format!("ledger:{name}");
    in_network("reader", network, async move || {
        let numbers = tokio::time::timeout(READ, async {
            let (_, mut connection) = access.connect_to_primary().await?;
            let numbers: HashSet<i64> = redis::cmd("SMEMBERS")
                .arg(key)
                .query_async(&mut connection)
                .await?;
            Ok::<_, anyhow::Error>(numbers)
        });
        let _ = send.send(numbers.await);
    })?;
    let numbers = receive.await.context("the reader ended")?;
    let numbers = numbers.context("Redis does not answer")??;
    Ok(numbers.into_iter().map(|number| (name.clone(), number)).collect())
}
