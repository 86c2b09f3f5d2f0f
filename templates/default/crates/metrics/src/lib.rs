//! The page that Prometheus reads, on a listener of its own: the proxy does not lead there.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How many jobs this process has taken in or done.
pub static JOBS: AtomicU64 = AtomicU64::new(0);

/// The longest that a reader may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Listens and answers in the background. Every path is the same page.
pub async fn serve(address: SocketAddr) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(timeout(LIMIT, answer(stream)));
            }
        }
    });
    Ok(address)
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    // A connection that is closed with bytes unread is reset, and the answer may be lost with it.
    let mut head = BufReader::new(&mut stream).take(8192).lines();
    while head.next_line().await?.is_some_and(|line| !line.is_empty()) {}
    let page = format!(
        "# TYPE app_jobs_total counter\napp_jobs_total {}\n",
        JOBS.load(Ordering::Relaxed)
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        page.len()
    );
    stream.write_all((head + &page).as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_asks_gets_the_whole_page() {
        let address = serve(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        for _ in 0..100 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream
                .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            let mut page = String::new();
            stream.read_to_string(&mut page).await.unwrap();
            assert!(page.ends_with("app_jobs_total 0\n"), "{page}");
        }
    }
}
