//! The check of a site's certificate, independent of what the client accepts.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use slipway_client::UnreachableCause;
use slipway_text::time::instant;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::result::Obstacle;
use crate::{CheckResult, PendingCheck, Site};

/// Fewer days than this are warned of: ACME renews with 30 left, so it has failed for a while.
const WARN_DAYS: i64 = 21;
/// Fewer days than this fail.
const FAIL_DAYS: i64 = 7;
/// The bisection looks this far.
const HORIZON: Duration = Duration::from_hours(100 * 365 * 24);

/// A port that speaks TLS.
#[derive(Debug)]
pub(crate) struct TlsEndpoint {
    of: String,
    /// The name, or the address.
    host: String,
    port: u16,
    /// The site's, as the results of other checks name it.
    address: String,
    /// Trusted besides the machine's own.
    ca_pem: Vec<u8>,
}

impl TlsEndpoint {
    /// The site's, or what to say of a site without TLS.
    pub(crate) fn of(site: &Site) -> Result<Self, CheckResult> {
        let url = site.client.url();
        let check = PendingCheck::new("certificate", &site.of);
        if url.scheme() == "https" {
            Ok(Self {
                of: site.of.clone(),
                // An IPv6 address stands in brackets in a URL.
                host: url
                    .host_str()
                    .unwrap_or_default()
                    .trim_matches(['[', ']'])
                    .to_owned(),
                port: url.port_or_known_default().unwrap_or(443),
                address: url.as_str().to_owned(),
                ca_pem: site.ca_pem.clone(),
            })
        } else if site.is_readable_on_the_way {
            Err(check.fail(
                "plain HTTP: tokens can be read on the way",
                "give the proxy a certificate and use its https address",
            ))
        } else {
            Err(check.not_checked(
                "plain HTTP on this machine has none",
                "give the address that clients use: --url https://…",
            ))
        }
    }
}

/// Why there was no handshake.
enum HandshakeError {
    Tls(rustls::Error),
    Io(io::Error),
    TimedOut,
}

/// The certificate, and the versions of TLS.
pub(crate) async fn check(
    certificate: PendingCheck,
    endpoint: &TlsEndpoint,
    limit: Duration,
    now: DateTime<Utc>,
) -> Vec<CheckResult> {
    let versions = PendingCheck::new("tls versions", &endpoint.of);
    let host = &endpoint.host;
    let Ok(name) = ServerName::try_from(host.clone()) else {
        let what = format!("`{host}` can be in no certificate");
        return vec![
            certificate.fail(&what, "use a name or an address that a certificate can be for"),
            versions.not_checked(format!("skipped because {what}"), "see `certificate` above"),
        ];
    };
    let with = |version| handshake(host, endpoint.port, name.clone(), version, limit);
    let (new, old) = tokio::join!(with(&TLS13), with(&TLS12));
    let versions = match (&new, &old) {
        (Ok(_), Ok(_)) => versions.ok("1.3 and 1.2"),
        (Ok(_), Err(_)) => versions.ok("1.3; 1.2 is refused"),
        (Err(_), Ok(_)) => versions.warn(
            "1.2; 1.3 is refused",
            "allow TLS 1.3 in the proxy: ssl_protocols TLSv1.2 TLSv1.3",
        ),
        (Err(error), Err(_)) => versions.not_checked(
            format!("skipped because {}", error.cause()),
            "see `certificate` above",
        ),
    };
    let certificate = match (new, old) {
        (Ok(chain), _) | (_, Ok(chain)) => judge(certificate, &chain, &name, endpoint, now),
        (Err(error), Err(_)) => {
            let cause = error.cause();
            let cure = match cause {
                UnreachableCause::Tls => "the port in the address must be the HTTPS one, with TLS 1.2 or 1.3",
                _ => cause.help(),
            };
            certificate
                .fail(format!("none was seen: {cause}"), cure)
                .met(Some(Obstacle::to_connecting(&endpoint.address, cause)))
        }
    };
    vec![certificate, versions]
}

impl HandshakeError {
    fn cause(&self) -> UnreachableCause {
        match self {
            Self::TimedOut => UnreachableCause::ConnectTimedOut,
            Self::Tls(error) => UnreachableCause::of_tls(error),
            Self::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => UnreachableCause::Refused,
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                    UnreachableCause::NoRoute
                }
                // The resolver's errors have no kind of their own.
                _ if error.to_string().starts_with("failed to lookup") => UnreachableCause::Dns,
                _ => UnreachableCause::Closed,
            },
        }
    }
}

/// The machine's own CAs, and those given, which the client has found to be certificates.
fn roots(pem: &[u8]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
    roots
}

fn judge(
    check: PendingCheck,
    chain: &[CertificateDer<'static>],
    name: &ServerName<'static>,
    endpoint: &TlsEndpoint,
    now: DateTime<Utc>,
) -> CheckResult {
    let provider = Arc::new(ring::default_provider());
    let roots = Arc::new(roots(&endpoint.ca_pem));
    // It refuses only a store without any CA.
    let Ok(verifier) = WebPkiServerVerifier::builder_with_provider(roots, provider).build() else {
        return check.not_checked(
            "this machine knows no CA",
            "install the CA certificates of the distribution (ca-certificates), or name a CA file: --ca-file",
        );
    };
    let Some((leaf, rest)) = chain.split_first() else {
        return check.fail("the server sent none", UnreachableCause::Certificate.help());
    };
    let at = |time: u64| {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(time));
        verifier.verify_server_cert(leaf, rest, name, &[], time)
    };
    let today = u64::try_from(now.timestamp()).unwrap_or_default();
    if let Err(error) = at(today) {
        return invalid(check, &error, endpoint, now);
    }
    // The whole chain has an end: that of what in it ends first, which is not always the site's own certificate.
    let (mut good, mut bad) = (today, today + HORIZON.as_secs());
    if at(bad).is_ok() {
        return check.ok("trusted for over 100 years");
    }
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if at(middle).is_ok() {
            good = middle;
        } else {
            bad = middle;
        }
    }
    let end = i64::try_from(good)
        .ok()
        .and_then(|end| DateTime::from_timestamp(end, 0));
    let end = end.unwrap_or(DateTime::<Utc>::MAX_UTC);
    let days = (end - now).num_days();
    let seen = format!("trusted, {days} days left (until {})", instant(end));
    let cure = "renew it: with ACME look at systemctl status 'acme-*'; a given one must be replaced and nginx reloaded";
    match days {
        ..FAIL_DAYS => check.fail(seen, cure),
        FAIL_DAYS..WARN_DAYS => check.warn(seen, cure),
        _ => check.ok(seen),
    }
}

fn invalid(
    check: PendingCheck,
    error: &rustls::Error,
    endpoint: &TlsEndpoint,
    now: DateTime<Utc>,
) -> CheckResult {
    let cause = UnreachableCause::of_tls(error);
    let when = |time: &UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        DateTime::from_timestamp(seconds, 0).unwrap_or(now)
    };
    let seen = match error {
        rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
            let end = when(not_after);
            format!("expired {} days ago ({})", (now - end).num_days(), instant(end))
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) => {
            format!("not valid before {}", instant(when(not_before)))
        }
        _ => cause.to_string(),
    };
    check
        .fail(seen, cause.help())
        .met(Some(Obstacle::to_connecting(&endpoint.address, cause)))
}

/// Makes a handshake and sends nothing over the connection, so that any certificate may be judged.
async fn handshake(
    host: &str,
    port: u16,
    name: ServerName<'static>,
    version: &'static SupportedProtocolVersion,
    limit: Duration,
) -> Result<Vec<CertificateDer<'static>>, HandshakeError> {
    let recorder = Arc::new(RecordingVerifier::new());
    let config = ClientConfig::builder_with_provider(Arc::clone(&recorder.provider))
        .with_protocol_versions(&[version])
        .map_err(HandshakeError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&recorder) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let connect = async {
        let stream = TcpStream::connect((host, port)).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    match tokio::time::timeout(limit, connect).await {
        Err(_) => Err(HandshakeError::TimedOut),
        Ok(Err(error)) => Err(match error.get_ref().and_then(|error| error.downcast_ref()) {
            Some(error) => HandshakeError::Tls(rustls::Error::clone(error)),
            None => HandshakeError::Io(error),
        }),
        Ok(Ok(_)) => Ok(std::mem::take(
            &mut *recorder.chain.lock().unwrap_or_else(PoisonError::into_inner),
        )),
    }
}

/// Takes any certificate and keeps it: it is judged afterwards.
#[derive(Debug)]
struct RecordingVerifier {
    provider: Arc<CryptoProvider>,
    chain: Mutex<Vec<CertificateDer<'static>>>,
}

impl RecordingVerifier {
    fn new() -> Self {
        Self {
            provider: Arc::new(ring::default_provider()),
            chain: Mutex::new(Vec::new()),
        }
    }

    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        let chain = chain.map(|der| der.clone().into_owned()).collect();
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain;
        Ok(ServerCertVerified::assertion())
    }

    // Every handshake proves that the server has the certificate's key.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, self.algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, self.algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}
