//! `tcp`: whether somebody accepts a connection.

use tokio::net::TcpStream;

use super::Finding;

pub(super) async fn connect(address: &str) -> Finding {
    match TcpStream::connect(address).await {
        Ok(_) => Finding::pass(),
        Err(error) => Finding::of_io(&format!("connect to {address}"), &error),
    }
}
