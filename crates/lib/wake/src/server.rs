//! Where Redis is, and how to get a client for it.

use std::fmt;

use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisError,
};
use secrecy::ExposeSecret;
use slipway_settings::{RedisServer, RedisSettings};

use crate::OPERATION_LIMIT;

/// The settings, as often as a connection is made.
#[derive(Clone)]
pub(crate) struct RedisTarget(RedisSettings);

impl RedisTarget {
    pub(crate) fn new(settings: &RedisSettings) -> Self {
        Self(settings.clone())
    }

    /// A client for the server, or for the present master according to the sentinels.
    pub(crate) async fn client(&self) -> Result<Client, RedisError> {
        let settings = &self.0;
        match &settings.server {
            RedisServer::Tcp { host, port } => self.direct(ConnectionAddr::Tcp(host.clone(), *port)),
            RedisServer::Unix(path) => self.direct(ConnectionAddr::Unix(path.clone())),
            RedisServer::Sentinels { master, nodes } => {
                let nodes = nodes
                    .iter()
                    .map(|(host, port)| ConnectionAddr::Tcp(host.clone(), *port));
                let mut builder =
                    SentinelClientBuilder::new(nodes, master.clone(), SentinelServerType::Master)?
                        .set_client_to_redis_db(i64::from(settings.database));
                if let Some(username) = &settings.username {
                    builder = builder.set_client_to_redis_username(username);
                }
                if let Some(password) = &settings.password {
                    builder = builder.set_client_to_redis_password(password.expose_secret());
                }
                builder.build()?.async_get_client().await
            }
        }
    }

    fn direct(&self, addr: ConnectionAddr) -> Result<Client, RedisError> {
        let mut login = RedisConnectionInfo::default().set_db(i64::from(self.0.database));
        if let Some(username) = &self.0.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.0.password {
            login = login.set_password(password.expose_secret());
        }
        Client::open(addr.into_connection_info()?.set_redis_settings(login))
    }

    /// Limits of a connection itself; the callers have their own.
    pub(crate) fn limits() -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(4 * OPERATION_LIMIT))
            .set_response_timeout(Some(OPERATION_LIMIT))
    }
}

impl fmt::Debug for RedisTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisTarget").field(&self.0.server).finish()
    }
}
