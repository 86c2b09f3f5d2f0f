//! Loopback ports that stay ours for the whole run, also while the process that listens on one is down.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use anyhow::{Context as _, Result};
use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, getsockname, sockopt};

/// Reservations of one run.
///
/// Each is a socket that is bound with `SO_REUSEADDR` and never listens. A server with the same option, as
/// all of ours, can bind and listen beside it. The kernel gives the port to nobody who asks for a free one.
/// So a killed replica finds its port free when it restarts.
#[derive(Debug, Default)]
pub struct Ports {
    held: Mutex<Vec<OwnedFd>>,
}

impl Ports {
    /// Reserves a free port on 127.0.0.1.
    pub fn reserve(&self) -> Result<u16> {
        let (port, socket) = bind_free_port().context("cannot reserve a port on 127.0.0.1")?;
        self.held
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(socket);
        Ok(port)
    }
}

fn bind_free_port() -> Result<(u16, OwnedFd)> {
    let flags = rustix::net::SocketFlags::CLOEXEC;
    let held = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&held, true)?;
    bind(&held, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    let address = SocketAddr::try_from(getsockname(&held)?)?;
    Ok((address.port(), held))
}

/// The loopback address with `port`.
#[must_use]
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_reserved_port_is_refused_until_a_server_listens_and_again_after() {
        let ports = Ports::default();
        let port = ports.reserve().unwrap();
        assert!(TcpStream::connect(loopback(port)).is_err());
        for _ in 0..2 {
            let server = TcpListener::bind(loopback(port)).expect("a server may listen on its reserved port");
            TcpStream::connect(loopback(port)).unwrap();
            drop(server);
            assert!(TcpStream::connect(loopback(port)).is_err());
        }
    }

    #[test]
    fn the_kernel_gives_a_reserved_port_to_nobody_else() {
        let ports = Ports::default();
        let port = ports.reserve().unwrap();
        let others: Vec<_> = (0..500)
            .map(|_| TcpListener::bind(loopback(0)).unwrap())
            .collect();
        assert!(
            others
                .iter()
                .all(|other| other.local_addr().unwrap().port() != port)
        );
    }
}
