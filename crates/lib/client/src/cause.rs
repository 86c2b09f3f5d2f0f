//! From an HTTP library's error to words for people.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use crate::UnreachableCause;

/// Why the request failed.
pub(crate) fn of(error: &reqwest::Error) -> UnreachableCause {
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
        _ if dns => UnreachableCause::Dns,
        // Only the outermost error knows which of the two limits it was.
        None | Some(UnreachableCause::TimedOut) if error.is_timeout() && error.is_connect() => {
            UnreachableCause::ConnectTimedOut
        }
        None | Some(UnreachableCause::TimedOut) if error.is_timeout() => UnreachableCause::TimedOut,
        Some(cause) => cause,
        None if error.is_body() || error.is_request() => UnreachableCause::Closed,
        None => UnreachableCause::Other,
    }
}

fn one(error: &(dyn Error + 'static)) -> Option<UnreachableCause> {
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
        io::ErrorKind::ConnectionRefused => Some(UnreachableCause::Refused),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            Some(UnreachableCause::NoRoute)
        }
        io::ErrorKind::TimedOut => Some(UnreachableCause::TimedOut),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Some(UnreachableCause::Closed),
        _ => None,
    }
}

pub(crate) fn tls(error: &rustls::Error) -> UnreachableCause {
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            // A bad signature: by another CA of the same name, such as that of an earlier installation.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => UnreachableCause::UnknownCa,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                UnreachableCause::WrongName
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => UnreachableCause::Expired,
            _ => UnreachableCause::Certificate,
        },
        _ => UnreachableCause::Tls,
    }
}
