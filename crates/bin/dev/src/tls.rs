//! A certificate authority that lives as long as one run, and the proxy's certificate from it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::run_dir::write_private;
use crate::service_user::ServiceUser;

/// Signs certificates. Its key never leaves memory, so nothing else can be signed with it.
#[derive(Debug)]
pub struct Authority {
    /// Its own certificate, PEM: what clients are told to trust.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one.
    pub fn create() -> Result<Self> {
        let key = KeyPair::generate().context("cannot generate a key")?;
        let mut authority = params(Vec::new(), "Slipway run authority")?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = authority
            .self_signed(&key)
            .context("cannot make an authority")?
            .pem();
        Ok(Self {
            pem,
            issuer: Issuer::new(authority, key),
        })
    }

    /// A certificate and its key, PEM, for so many days, or longer than any run lasts.
    pub fn sign(&self, common_name: &str, names: &[&str], days: Option<u32>) -> Result<(String, String)> {
        let key = KeyPair::generate().context("cannot generate a key")?;
        let mut server = params(names.iter().map(ToString::to_string).collect(), common_name)?;
        if let Some(days) = days {
            let rest = Duration::from_hours(24) * days;
            server.not_after = (SystemTime::now() + rest).into();
        }
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // The other as well, for servers that ask their clients for one.
        server.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        server.use_authority_key_identifier_extension = true;
        let certificate = server
            .signed_by(&key, &self.issuer)
            .context("cannot sign the certificate")?
            .pem();
        Ok((certificate, key.serialize_pem()))
    }
}

/// Files of the run's TLS, and the authority that signs the proxy's certificate.
#[derive(Debug)]
pub struct Certificates {
    /// The authority's certificate, PEM: what clients are told to trust.
    pub ca: PathBuf,
    /// The proxy's certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM, for `owner` alone.
    pub key: PathBuf,
    authority: Authority,
}

impl Certificates {
    /// Makes an authority and a certificate for `localhost` and 127.0.0.1.
    pub fn create(folder: &Path, public: &Path, owner: Option<&ServiceUser>) -> Result<Self> {
        let files = Self {
            ca: public.join("ca.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
            authority: Authority::create()?,
        };
        write_private(&files.ca, &files.authority.pem, None)?;
        files.renew(owner, None)?;
        Ok(files)
    }

    /// Writes the proxy's certificate and key anew: for so many days, or longer than any run lasts.
    pub fn renew(&self, owner: Option<&ServiceUser>, days: Option<u32>) -> Result<()> {
        let names = ["localhost", "127.0.0.1"];
        let (certificate, key) = self.authority.sign("localhost", &names, days)?;
        for (file, pem) in [(&self.certificate, certificate), (&self.key, key)] {
            // A server that reads meanwhile sees the old file or the new one.
            let next = file.with_extension("next");
            write_private(&next, &pem, owner)?;
            std::fs::rename(&next, file).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }
}

fn params(names: Vec<String>, common_name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names).context("cannot describe a certificate")?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    // Fixed dates: the run's end, not the calendar, is what ends these.
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    Ok(params)
}
