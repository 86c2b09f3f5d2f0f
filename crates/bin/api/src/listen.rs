//! The server's sockets: those that systemd passes on, or `API_HOST:API_PORT`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixListener as StdUnixListener;

use anyhow::Context;
use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Somebody at this address.
    Ip(IpAddr),
    /// A process on this machine, through a Unix socket.
    Local,
}

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

/// Sockets that are open but belong to no runtime yet.
///
/// Systemd's sockets are taken before the first thread starts, since they come through the environment.
#[derive(Debug)]
pub struct Sockets(Vec<Socket>);

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpListener),
    Unix(StdUnixListener),
}

impl Sockets {
    /// Takes what systemd hands over, or binds `otherwise`.
    pub fn open(handed: &mut ListenFd, otherwise: SocketAddr) -> anyhow::Result<Self> {
        let mut sockets = Vec::new();
        for index in 0..handed.len() {
            let socket = match handed.take_tcp_listener(index) {
                Ok(tcp) => tcp.map(Socket::Tcp),
                Err(_) => handed.take_unix_listener(index).map(|unix| unix.map(Socket::Unix)).with_context(|| {
                    format!(
                        "socket {index} of those that systemd handed over is neither TCP nor a Unix stream; \
                         use ListenStream= in the .socket unit"
                    )
                })?,
            };
            sockets.extend(socket);
        }
        if sockets.is_empty() {
            sockets.push(Socket::Tcp(bind(otherwise)?));
        }
        Ok(Self(sockets))
    }

    /// Hands the sockets to the runtime; call it inside one.
    pub fn listen(self) -> io::Result<Vec<Listener>> {
        let listener = |socket| {
            Ok(match socket {
                Socket::Tcp(tcp) => {
                    tcp.set_nonblocking(true)?;
                    Listener::Tcp(TcpListener::from_std(tcp)?)
                }
                Socket::Unix(unix) => {
                    unix.set_nonblocking(true)?;
                    Listener::Unix(UnixListener::from_std(unix)?)
                }
            })
        };
        self.0.into_iter().map(listener).collect()
    }
}

fn bind(address: SocketAddr) -> anyhow::Result<std::net::TcpListener> {
    // The standard library sets SO_REUSEADDR, so that a restart need not wait for old connections.
    std::net::TcpListener::bind(address).with_context(|| {
        format!(
            "cannot listen on {address}; set API_HOST to an address of this machine and API_PORT to a free port \
             (`ss -ltnp` shows who has it)"
        )
    })
}

impl Listener {
    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Answers are written whole; waiting for more to send would only delay them.
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream), Peer::Ip(address.ip().to_canonical())))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Peer::Local))
            }
        }
    }
}

impl std::fmt::Display for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "{address}"),
                Err(_) => f.write_str("tcp"),
            },
            Self::Unix(listener) => match listener.local_addr() {
                Ok(address) => match address.as_pathname() {
                    Some(path) => write!(f, "unix:{}", path.display()),
                    None => f.write_str("unix"),
                },
                Err(_) => f.write_str("unix"),
            },
        }
    }
}
