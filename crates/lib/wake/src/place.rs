//! Where a server is, and ways to connect to it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError};
use slipway_settings::RedisSettings;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::OPERATION_LIMIT;
use crate::cause::ConnectError;
use crate::tls::{Tls, WakeSetupError};

/// The longest that a connection takes: name lookup, TLS and login. A host that lost its power does not answer at all, so it
/// is also how long it takes to notice that.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Where a server or a Sentinel listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// Makes connections, with TLS if the settings say so.
#[derive(Clone)]
pub(crate) struct Dialer {
    tls: Option<Arc<Tls>>,
}

impl Dialer {
    pub(crate) fn new(settings: &RedisSettings) -> Result<Self, WakeSetupError> {
        let tls = settings.tls.as_ref().map(Tls::load).transpose()?;
        Ok(Self {
            tls: tls.map(Arc::new),
        })
    }

    /// A connection for commands, logged in.
    pub(crate) async fn open(
        &self,
        place: &Place,
        login: &RedisConnectionInfo,
    ) -> Result<MultiplexedConnection, ConnectError> {
        let limits = AsyncConnectionConfig::new().set_response_timeout(Some(OPERATION_LIMIT));
        self.within(place, async {
            let stream = self.stream(place).await?;
            let connection = MultiplexedConnection::new_with_config(login, stream, limits).await;
            let (connection, driver) = connection.map_err(|source| self.refused(place, source))?;
            // It ends when the last clone of the connection is dropped.
            tokio::spawn(driver);
            Ok(connection)
        })
        .await
    }

    /// A connection that hears what is sent on the channel.
    pub(crate) async fn subscribe(
        &self,
        place: &Place,
        login: &RedisConnectionInfo,
        channel: &str,
    ) -> Result<PubSub, ConnectError> {
        self.within(place, async {
            let stream = self.stream(place).await?;
            let connection = PubSub::new(login, stream).await;
            let mut connection = connection.map_err(|source| self.refused(place, source))?;
            let subscribed = connection.subscribe(channel).await;
            subscribed.map_err(|source| self.refused(place, source))?;
            Ok(connection)
        })
        .await
    }

    fn refused(&self, place: &Place, source: RedisError) -> ConnectError {
        ConnectError::refused(place, source, self.tls.is_some())
    }

    async fn stream(&self, place: &Place) -> Result<Box<dyn Bytes>, ConnectError> {
        let stream = self.dial(place).await;
        stream.map_err(|source| ConnectError::unreachable(place, source))
    }

    async fn dial(&self, place: &Place) -> io::Result<Box<dyn Bytes>> {
        let (host, port) = match place {
            Place::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
            Place::Tcp { host, port } => (host, *port),
        };
        let stream = TcpStream::connect((host.as_str(), port)).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            Some(tls) => Box::new(tls.connect(host, stream).await?),
            None => Box::new(stream),
        })
    }

    async fn within<T>(
        &self,
        place: &Place,
        attempt: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        let silent = |_| ConnectError::silent(place, self.tls.is_some());
        timeout(CONNECT_LIMIT, attempt).await.map_err(silent)?
    }
}
