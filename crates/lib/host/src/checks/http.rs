//! `http`: one GET over a new connection. No TLS, no redirects: what is checked is the service itself.

use http::{Request, Uri, header};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::CheckFinding;

/// The status of the answer, or what stood in the way.
pub(super) async fn get(url: &str) -> Result<u16, CheckFinding> {
    let uri: Uri = url
        .parse()
        .map_err(|error| CheckFinding::unknown(format!("{url}: {error}")))?;
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(80);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = connect(bare, port)
        .await
        .map_err(|error| CheckFinding::of_io(&format!("GET {url}"), &error))?;
    let no_http = |error: hyper::Error| CheckFinding::fail(format!("GET {url}: no HTTP answer: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(no_http)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or(host, |authority| authority.as_str());
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(
            header::USER_AGENT,
            concat!("slipway-agent/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| CheckFinding::unknown(format!("{url}: {error}")))?;
    let answer = sender.send_request(request);
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer.map(|answer| answer.status().as_u16()).map_err(no_http),
        // The connection drives the answer; when it ends first, the answer says why.
        _ = connection => answer.await.map(|answer| answer.status().as_u16()).map_err(no_http),
    }
}

async fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect((host, port)).await
}
