//! Ports.

use std::net::{Ipv4Addr, TcpListener};

/// A TCP port of the loopback interface that nobody listens on just now.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
