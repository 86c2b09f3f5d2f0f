//! The server that commands go to: one that the settings name, or the present primary by its Sentinels.

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisConnectionInfo, RedisError, ServerErrorKind, Value};
use secrecy::{ExposeSecret, SecretString};
use slipway_settings::{RedisServer, RedisSettings};

use crate::cause::ConnectError;
use crate::place::{Dialer, Place};
use crate::sentinel::Sentinels;
use crate::tls::WakeSetupError;

/// How a connection is made and who it logs in as. Clones are for subscriptions.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) dialer: Dialer,
    pub(crate) login: RedisConnectionInfo,
}

/// A connection to the server that takes writes now.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) place: Place,
}

/// Finds it, again and again.
pub(crate) struct Finder {
    access: Access,
    way: Way,
}

enum Way {
    Fixed(Place),
    Sentinels(Sentinels),
}

impl Finder {
    pub(crate) fn new(settings: &RedisSettings) -> Result<Self, WakeSetupError> {
        let password = settings.password.as_ref();
        let login = login_as(settings.username.as_deref(), password).set_db(i64::from(settings.database));
        let way = match &settings.server {
            RedisServer::Tcp { host, port } => Way::Fixed(Place::Tcp {
                host: host.clone(),
                port: *port,
            }),
            RedisServer::Unix(path) => Way::Fixed(Place::Unix(path.clone())),
            RedisServer::Sentinels { master, nodes } => {
                let login = login_as(None, settings.sentinel_password.as_ref());
                Way::Sentinels(Sentinels::new(master, nodes, login))
            }
        };
        let dialer = Dialer::new(settings)?;
        Ok(Self {
            access: Access { dialer, login },
            way,
        })
    }

    pub(crate) fn access(&self) -> Access {
        self.access.clone()
    }

    /// Connects to the server that takes writes.
    pub(crate) async fn connect(&mut self) -> Result<Live, ConnectError> {
        let Access { dialer, login } = &self.access;
        let sentinels = match &mut self.way {
            Way::Fixed(place) => {
                let (connection, place) = (dialer.open(place, login).await?, place.clone());
                let mut live = Live { connection, place };
                ping(&mut live).await?;
                return Ok(live);
            }
            Way::Sentinels(sentinels) => sentinels,
        };
        let mut trouble = None;
        for place in sentinels.ask(dialer).await?.places {
            match primary_at(place, dialer, login).await {
                Ok(live) => return Ok(live),
                // That of the most likely one says most.
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        Err(trouble.expect("Sentinels that answer name at least one"))
    }

    /// Whether the connection is still to be used.
    pub(crate) async fn check(&mut self, live: &mut Live) -> Result<(), ConnectError> {
        let Way::Sentinels(sentinels) = &mut self.way else {
            return ping(live).await;
        };
        check_role(live).await?;
        // One that was cut off from the others may go on as a primary. Sentinels that are away change nothing.
        match sentinels.ask(&self.access.dialer).await {
            Ok(now) if now.agreed && now.places[0] != live.place => {
                Err(ConnectError::Moved(now.places[0].clone()))
            }
            _ => Ok(()),
        }
    }
}

async fn primary_at(
    place: Place,
    dialer: &Dialer,
    login: &RedisConnectionInfo,
) -> Result<Live, ConnectError> {
    let connection = dialer.open(&place, login).await?;
    let mut live = Live { connection, place };
    check_role(&mut live).await?;
    Ok(live)
}

fn login_as(user: Option<&str>, password: Option<&SecretString>) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default();
    if let Some(user) = user {
        login = login.set_username(user);
    }
    if let Some(password) = password {
        login = login.set_password(password.expose_secret());
    }
    login
}

async fn ping(live: &mut Live) -> Result<(), ConnectError> {
    let answer: Result<(), RedisError> = redis::cmd("PING").query_async(&mut live.connection).await;
    answer.map_err(|error| in_use(live, error))
}

/// Asks the server what it is; this is also a ping.
async fn check_role(live: &mut Live) -> Result<(), ConnectError> {
    let role: Result<Vec<Value>, RedisError> = redis::cmd("ROLE").query_async(&mut live.connection).await;
    match role {
        Ok(role) => {
            let is_primary = matches!(role.first(), Some(Value::BulkString(word)) if word == b"master");
            if is_primary {
                Ok(())
            } else {
                Err(ConnectError::Replica(live.place.clone()))
            }
        }
        // Somebody whose user may not ask has to notice by a write that is refused.
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => ping(live).await,
        Err(error) => Err(in_use(live, error)),
    }
}

fn in_use(live: &Live, error: RedisError) -> ConnectError {
    if error.is_timeout() {
        ConnectError::silent(&live.place, false)
    } else {
        ConnectError::refused(&live.place, error, true)
    }
}
