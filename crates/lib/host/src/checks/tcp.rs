//! `tcp`: whether somebody accepts a connection.

use tokio::net::TcpStream;

use super::CheckFinding;

pub(super) async fn connect(address: &str) -> CheckFinding {
    match TcpStream::connect(address).await {
        Ok(_) => CheckFinding::pass(),
        Err(error) => CheckFinding::of_io(&format!("connect to {address}"), &error),
    }
}
