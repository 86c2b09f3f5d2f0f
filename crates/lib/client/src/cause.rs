//! From an HTTP library's error to words for people.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use crate::Cause;

/// Why the request failed.
pub(crate) fn of(error: &reqwest::Error) -> Cause {
    let mut dns = false;
    let mut found = None;
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(cause) = one(error) {
            found = Some(cause);
        }
        // The resolver's error has no type to match.
        dns |= error.to_string().starts_with("dns error");
        next = error.source();
    }
    match found {
        _ if dns => Cause::Dns,
        // Only the outermost error knows which of the two limits it was.
        None | Some(Cause::TimedOut) if error.is_timeout() && error.is_connect() => Cause::ConnectTimedOut,
        None | Some(Cause::TimedOut) if error.is_timeout() => Cause::TimedOut,
        Some(cause) => cause,
        None if error.is_body() || error.is_request() => Cause::Closed,
        None => Cause::Other,
    }
}

fn one(error: &(dyn Error + 'static)) -> Option<Cause> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(tls(error));
    }
    let error = error.downcast_ref::<io::Error>()?;
    if let Some(inner) = error.get_ref() {
        // `source` of an io::Error skips the error inside it.
        if let Some(cause) = one(inner) {
            return Some(cause);
        }
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(Cause::Refused),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            Some(Cause::NoRoute)
        }
        io::ErrorKind::TimedOut => Some(Cause::TimedOut),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Some(Cause::Closed),
        _ => None,
    }
}

pub(crate) fn tls(error: &rustls::Error) -> Cause {
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            // A bad signature: by another CA of the same name, such as that of an earlier installation.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Cause::UnknownCa,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Cause::WrongName
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Cause::Expired,
            _ => Cause::Certificate,
        },
        _ => Cause::Tls,
    }
}
