//! One HTTP request to a process of this machine: the `healthcheck` command of the api and the worker.
//!
//! A few lines of HTTP on a plain socket: it runs every few seconds, and starts no runtime.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::TelemetryError;

/// The longest that the whole check takes, whatever hangs.
const LIMIT: Duration = Duration::from_secs(3);
/// `HTTP/1.1 200`
const STATUS_LINE: usize = 12;

/// Where to ask.
#[derive(Debug, Clone)]
pub enum HealthTarget {
    /// An address.
    Tcp(SocketAddr),
    /// A socket file.
    Unix(PathBuf),
}

impl fmt::Display for HealthTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Fails unless the process answers a GET of `path` with 200 within 3 s.
pub fn check_health(target: &HealthTarget, path: &'static str) -> Result<(), TelemetryError> {
    let failed = |problem: String| TelemetryError::HealthCheck(problem);
    let (send, receive) = mpsc::channel();
    let own_target = target.clone();
    thread::spawn(move || send.send(status_line(&own_target, path)));
    let line = receive
        .recv_timeout(LIMIT)
        .map_err(|_| failed(format!("{target} did not answer within 3 s")))?
        .map_err(failed)?;
    match line.strip_prefix("HTTP/1.1 ") {
        Some("200") => Ok(()),
        Some(status) => Err(failed(format!("{target} answered {status} to {path}"))),
        None => Err(failed(format!("the answer of {target} is not HTTP"))),
    }
}

fn status_line(target: &HealthTarget, path: &str) -> Result<String, String> {
    let refused =
        |error: io::Error| format!("nothing answers on {target}; is the server running there? ({error})");
    let line = match target {
        HealthTarget::Tcp(address) => {
            exchange(TcpStream::connect_timeout(address, LIMIT).map_err(refused)?, path)
        }
        HealthTarget::Unix(socket) => exchange(UnixStream::connect(socket).map_err(refused)?, path),
    };
    line.map_err(|error| format!("{target} closed the connection without an answer: {error}"))
}

fn exchange(mut stream: impl Read + Write, path: &str) -> io::Result<String> {
    // In one write, so that the other side has all of it before it closes.
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut line = [0; STATUS_LINE];
    stream.read_exact(&mut line)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;

    /// What one connection is answered, and what the check makes of it.
    fn checked(answer: Option<&'static str>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = HealthTarget::Tcp(listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 512]);
            match answer {
                Some(text) => stream.write_all(text.as_bytes()).unwrap(),
                None => drop(stream.read(&mut [0; 512])),
            }
        });
        match check_health(&target, "/live") {
            Ok(()) => "well".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn only_200_is_well_and_every_wait_ends() {
        assert_eq!(checked(Some("HTTP/1.1 200 OK\r\n\r\n")), "well");
        for (answer, said) in [
            (
                "HTTP/1.1 503 Service Unavailable\r\n\r\n",
                "answered 503 to /live",
            ),
            ("SSH-2.0-OpenSSH_9.2\r\n", "is not HTTP"),
            ("HTTP", "without an answer"),
        ] {
            let problem = checked(Some(answer));
            assert!(problem.contains(said), "{problem}");
        }
        let begun = Instant::now();
        let problem = checked(None);
        assert!(problem.contains("did not answer within 3 s"), "{problem}");
        assert!(begun.elapsed() >= LIMIT);
        let problem = check_health(&HealthTarget::Unix("/nonexistent/api.sock".into()), "/live").unwrap_err();
        assert!(problem.to_string().contains("/nonexistent/api.sock"), "{problem}");
    }
}
