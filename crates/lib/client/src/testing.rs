//! A scripted API on a real port, with or without TLS, for tests.
//!
//! It runs in a separate thread, so that tests of whole processes can use it too, and ends when it is dropped.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::PrivateKeyDer;
use serde::Serialize;
use slipway_wire::problem::{self, Problem, TYPE_PREFIX};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    /// Such as `GET`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Without the `?`; empty when there is none.
    pub query: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body, as text.
    pub body: String,
    /// Its body, as it came.
    pub bytes: Vec<u8>,
    /// Whether it came over HTTP/2.
    pub http2: bool,
}

impl ReceivedRequest {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// `METHOD path`, to match on.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub struct ScriptedReply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    after: Duration,
    cut: bool,
}

impl ScriptedReply {
    /// A body of any type.
    pub fn text(status: u16, media_type: &str, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), media_type.to_owned())],
            body: body.into(),
            after: Duration::ZERO,
            cut: false,
        }
    }

    /// A JSON document.
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        let body = serde_json::to_string(value).expect("test values can be written as JSON");
        Self::text(status, "application/json", body)
    }

    /// No body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self {
            headers: Vec::new(),
            ..Self::text(status, "", "")
        }
    }

    /// A problem of this kind (one of [`problem::kind`]).
    #[must_use]
    pub fn problem(status: u16, kind: &str, detail: &str) -> Self {
        let problem = Problem {
            kind: format!("{TYPE_PREFIX}{kind}"),
            title: kind.replace('-', " "),
            status,
            detail: detail.to_owned(),
            request_id: Some("req-1".to_owned()),
            fields: Vec::new(),
            nothing_done: false,
        };
        Self::from_problem(&problem)
    }

    /// 503 of a server that knows that it did nothing.
    #[must_use]
    pub fn nothing_done(detail: &str) -> Self {
        let problem = Problem {
            kind: format!("{TYPE_PREFIX}{}", problem::kind::UNAVAILABLE),
            title: problem::kind::UNAVAILABLE.to_owned(),
            status: 503,
            detail: detail.to_owned(),
            request_id: Some("req-1".to_owned()),
            fields: Vec::new(),
            nothing_done: true,
        };
        Self::from_problem(&problem)
    }

    fn from_problem(problem: &Problem) -> Self {
        let mut reply = Self::json(problem.status, problem);
        problem::MEDIA_TYPE.clone_into(&mut reply.headers[0].1);
        reply
    }

    /// Closes the connection and says nothing.
    #[must_use]
    pub fn cut() -> Self {
        Self {
            cut: true,
            ..Self::empty(500)
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Answers only after this long.
    #[must_use]
    pub const fn after(mut self, wait: Duration) -> Self {
        self.after = wait;
        self
    }
}

type ReplyScript = dyn Fn(&ReceivedRequest) -> ScriptedReply + Send + Sync;

/// The scripted API.
pub struct ScriptedApi {
    address: SocketAddr,
    scheme: &'static str,
    ca_pem: String,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// Whom a test's certificate is for.
#[derive(Debug, Clone, Copy)]
pub enum TestCertificate {
    /// 127.0.0.1 and localhost, for the coming years.
    Good,
    /// Another name.
    WrongName,
    /// 127.0.0.1, but only until 1980.
    Expired,
    /// 127.0.0.1, for this many days.
    Days(u64),
    /// 127.0.0.1, self-signed: the CA of this server did not sign it.
    SelfSigned,
    /// A good certificate, from a server that only speaks TLS 1.2.
    OnlyTls12,
}

impl ScriptedApi {
    /// Serves plain HTTP on a free port.
    pub fn start(script: impl Fn(&ReceivedRequest) -> ScriptedReply + Send + Sync + 'static) -> Self {
        Self::start_on(0, script)
    }

    /// Serves plain HTTP on this port.
    pub fn start_on(
        port: u16,
        script: impl Fn(&ReceivedRequest) -> ScriptedReply + Send + Sync + 'static,
    ) -> Self {
        Self::run(port, None, Arc::new(script))
    }

    /// Serves HTTPS on a free port, with a certificate of a CA made for this server.
    pub fn start_tls(
        certificate: TestCertificate,
        script: impl Fn(&ReceivedRequest) -> ScriptedReply + Send + Sync + 'static,
    ) -> Self {
        Self::run(0, Some(certificate), Arc::new(script))
    }

    /// `http://127.0.0.1:PORT`, or with `https`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// The CA's certificate; empty without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// All requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn run(port: u16, certificate: Option<TestCertificate>, script: Arc<ReplyScript>) -> Self {
        let (tls, ca_pem) = match certificate {
            None => (None, String::new()),
            Some(certificate) => {
                let (acceptor, pem) = acceptor(certificate);
                (Some(acceptor), pem)
            }
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let kept = Arc::clone(&requests);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a test can make a runtime").block_on(async {
                tokio::select! {
                    () = accept(listener, tls, script, kept) => {}
                    _ = stopped => {}
                }
            });
            // Open connections are cut here, as those of a killed process are.
        });
        Self {
            address,
            scheme,
            ca_pem,
            requests,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for ScriptedApi {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its own panic was shown already.
            let _ = thread.join();
        }
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    script: Arc<ReplyScript>,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
) {
    let listener = listener
        .set_nonblocking(true)
        .and_then(|()| tokio::net::TcpListener::from_std(listener))
        .expect("a bound socket can be used by tokio");
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, script, requests) = (tls.clone(), Arc::clone(&script), Arc::clone(&requests));
        tokio::spawn(async move {
            match tls {
                None => serve(stream, false, script, requests).await,
                Some(tls) => {
                    // A client that does not trust the certificate goes away here.
                    if let Ok(stream) = tls.accept(stream).await {
                        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        serve(stream, http2, script, requests).await;
                    }
                }
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    http2: bool,
    script: Arc<ReplyScript>,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
) {
    let service = service_fn(move |request| answer(request, Arc::clone(&script), Arc::clone(&requests)));
    let io = TokioIo::new(stream);
    // The client reports how the connection ended.
    let _ = if http2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service)
            .await
    } else {
        hyper::server::conn::http1::Builder::new()
            .serve_connection(io, service)
            .await
    };
}

async fn answer(
    request: Request<Incoming>,
    script: Arc<ReplyScript>,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let received = ReceivedRequest {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
            .collect(),
        body: text(&body),
        bytes: body.to_vec(),
        http2: parts.version == Version::HTTP_2,
    };
    let reply = script(&received);
    requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(received);
    tokio::time::sleep(reply.after).await;
    if reply.cut {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    response
        .body(Full::new(Bytes::from(reply.body)))
        .map_err(io::Error::other)
}

fn acceptor(kind: TestCertificate) -> (TlsAcceptor, String) {
    let made = "a test can make certificates";
    let mut ca = rcgen::CertificateParams::default();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.distinguished_name
        .push(rcgen::DnType::CommonName, "A test's CA");
    let ca_key = rcgen::KeyPair::generate().expect(made);
    let ca_certificate = ca.self_signed(&ca_key).expect(made);
    let issuer = rcgen::Issuer::new(ca, ca_key);

    let names = match kind {
        TestCertificate::WrongName => vec!["other.example".to_owned()],
        _ => vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
    };
    let mut params = rcgen::CertificateParams::new(names).expect(made);
    match kind {
        TestCertificate::Expired => params.not_after = rcgen::date_time_ymd(1980, 1, 1),
        TestCertificate::Days(days) => {
            params.not_after = (SystemTime::now() + Duration::from_secs(days * 86400)).into();
        }
        _ => {}
    }
    let key = rcgen::KeyPair::generate().expect(made);
    let certificate = match kind {
        TestCertificate::SelfSigned => params.self_signed(&key),
        _ => params.signed_by(&key, &issuer),
    }
    .expect(made);

    crate::install_crypto_provider();
    let versions = match kind {
        TestCertificate::OnlyTls12 => &[&rustls::version::TLS12][..],
        _ => rustls::ALL_VERSIONS,
    };
    let mut config = rustls::ServerConfig::builder_with_protocol_versions(versions)
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .expect("the key fits the certificate");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), ca_certificate.pem())
}
