//! What the tests on real programs share.
#![allow(
    clippy::allow_attributes,
    dead_code,
    reason = "each test program uses a part of it"
)]

pub(crate) mod intruder;
pub(crate) mod metrics;
pub(crate) mod page;
pub(crate) mod promql;
pub(crate) mod rig;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

/// A temporary folder for runs that the service user may pass through.
pub(crate) struct Base(tempfile::TempDir);

impl Base {
    pub(crate) fn new() -> Self {
        Self(
            tempfile::Builder::new()
                .permissions(Permissions::from_mode(0o711))
                .tempdir()
                .unwrap(),
        )
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A client that trusts the run's authority and no other.
pub(crate) fn client(ca: &Path) -> reqwest::Client {
    slipway_client::install_crypto_provider();
    let pem = std::fs::read(ca).unwrap();
    let root = reqwest::Certificate::from_pem(&pem).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([root])
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}
