//! The page that Prometheus reads, on a listener of its own: the proxy does not lead there.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

/// How many jobs this process has taken in or done.
pub static JOBS: AtomicU64 = AtomicU64::new(0);

/// Listens and answers in the background. Every path is the same page.
pub async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tokio::spawn(async move {
        loop {
            if let Ok((mut stream, _)) = listener.accept().await {
                let page = format!(
                    "# TYPE app_jobs_total counter\napp_jobs_total {}\n",
                    JOBS.load(Ordering::Relaxed)
                );
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    page.len()
                );
                let _ = stream.write_all((head + &page).as_bytes()).await;
            }
        }
    });
    Ok(())
}
