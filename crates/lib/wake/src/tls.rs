//! TLS to Redis and its Sentinels: whom this process believes, and what it shows.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret;
use slipway_settings::RedisTls;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const CA: &str = "REDIS_TLS_CA";
const CERTIFICATE: &str = "REDIS_TLS_CERTIFICATE";

/// A file for TLS to Redis that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WakeSetupError {
    /// It cannot be read.
    #[error("{variable}: {} cannot be read; let the process's user read it, or correct the path", path.display())]
    Unreadable {
        /// The variable that names it.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no certificate in it.
    #[error(
        "{variable}: {} has no certificate that can be read; give one in PEM, with a line -----BEGIN CERTIFICATE-----",
        path.display()
    )]
    NoCertificate {
        /// The variable that names it.
        variable: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The key cannot be used with the certificate.
    #[error("REDIS_TLS_KEY is not the key of {}, or of a kind that is not known; give the key that the certificate was made for", certificate.display())]
    WrongKey {
        /// The file with the certificate.
        certificate: PathBuf,
        /// Why; it does not quote the key.
        #[source]
        source: rustls::Error,
    },
    /// Nobody is trusted.
    #[error("this machine knows no certificate authority; name a file with those of Redis in REDIS_TLS_CA")]
    NoAuthority,
}

/// The configuration, made once when the process starts: a certificate and a key that are renewed one after the other
/// must not be mixed.
pub(crate) struct Tls {
    connector: TlsConnector,
    /// The name that every certificate must be for.
    name: Option<String>,
}

impl Tls {
    pub(crate) fn load(settings: &RedisTls) -> Result<Self, WakeSetupError> {
        let mut roots = RootCertStore::empty();
        let (_, unusable) = match &settings.ca {
            Some(path) => roots.add_parsable_certificates(certificates(CA, path)?),
            None => roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
        };
        if roots.is_empty() {
            return Err(match &settings.ca {
                Some(path) if unusable > 0 => no_certificate(CA, path),
                _ => WakeSetupError::NoAuthority,
            });
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows the suites of both versions")
            .with_root_certificates(roots);
        let config = match &settings.identity {
            None => config.with_no_client_auth(),
            Some((path, key)) => {
                let chain = certificates(CERTIFICATE, path)?;
                PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
                    .map_err(|error| rustls::Error::General(error.to_string()))
                    .and_then(|key| config.with_client_auth_cert(chain, key))
                    .map_err(|source| WakeSetupError::WrongKey {
                        certificate: path.clone(),
                        source,
                    })?
            }
        };
        Ok(Self {
            connector: Arc::new(config).into(),
            name: settings.name.clone(),
        })
    }

    pub(crate) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = self.name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        self.connector.connect(name, stream).await
    }
}

fn certificates(variable: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, WakeSetupError> {
    let pem = std::fs::read(path).map_err(|source| WakeSetupError::Unreadable {
        variable,
        path: path.to_owned(),
        source,
    })?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(no_certificate(variable, path)),
    }
}

fn no_certificate(variable: &'static str, path: &Path) -> WakeSetupError {
    WakeSetupError::NoCertificate {
        variable,
        path: path.to_owned(),
    }
}
