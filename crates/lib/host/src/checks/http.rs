//! `http`: one GET over a new connection. No TLS, no redirects: what is checked is the service itself.

use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::CheckFinding;

/// No page of this host's own services that is read is near this many bytes.
const LONGEST: usize = 1024 * 1024;

/// The status of the answer, or what stood in the way.
pub(super) async fn get(url: &str) -> Result<u16, CheckFinding> {
    exchange(url, async |answer| Ok(answer.status().as_u16())).await
}

/// The text of an answer with 200, for pages of this host's own services.
pub(crate) async fn get_text(url: &str) -> Result<String, CheckFinding> {
    let (status, body) = exchange(url, async |answer: Response<Incoming>| {
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        Ok((status, body.map(http_body_util::Collected::to_bytes).ok()))
    })
    .await?;
    match body {
        Some(body) if status == 200 => Ok(String::from_utf8_lossy(&body).into_owned()),
        Some(_) => Err(CheckFinding::fail(format!("GET {url}: {status}"))),
        None => Err(CheckFinding::fail(format!(
            "GET {url}: the answer broke off, or is over 1 MiB"
        ))),
    }
}

/// One request over a new connection, and what is read of its answer.
async fn exchange<T>(
    url: &str,
    read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, hyper::Error>,
) -> Result<T, CheckFinding> {
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
    let answer = async { read(sender.send_request(request).await?).await };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer.map_err(no_http),
        // The connection drives the answer; when it ends first, the answer says why.
        _ = connection => answer.await.map_err(no_http),
    }
}

async fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect((host, port)).await
}
