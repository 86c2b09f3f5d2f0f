//! Until when a certificate is good: the one date that is read of it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::NaiveDateTime;
use slipway_domain::Timestamp;
use slipway_domain::facts::{Certificate, MAX_FACTS};

/// No certificate with its chain is near this many bytes.
const LONGEST: u64 = 256 * 1024;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The certificates of a file, or of one file in each folder: `/var/lib/acme/*/cert.pem`.
pub(super) fn all(name: &str) -> Vec<Certificate> {
    let paths = match name.split_once("/*/") {
        None => vec![PathBuf::from(name)],
        Some((folder, file)) => {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let mut files: Vec<PathBuf> = entries
                .map(|entry| entry.path().join(file))
                .filter(|file| file.is_file())
                .take(MAX_FACTS)
                .collect();
            files.sort();
            files
        }
    };
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Certificate {
    use std::io::Read as _;
    let mut text = String::new();
    let opened = std::fs::File::open(path);
    let read = opened.and_then(|file| file.take(LONGEST).read_to_string(&mut text));
    let (expires, problem) = match read {
        Err(error) => (None, Some(format!("it cannot be read: {error}"))),
        Ok(_) => match expiry(&text) {
            Some(at) => (Some(at), None),
            None => (None, Some("it is no certificate in PEM".to_owned())),
        },
    };
    Certificate {
        file: path.display().to_string(),
        expires,
        problem,
    }
}

/// The expiry of the first certificate in the text.
fn expiry(pem: &str) -> Option<Timestamp> {
    let (_, rest) = pem.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    let body: String = body.split_whitespace().collect();
    not_after(&STANDARD.decode(body).ok()?)
}

/// RFC 5280: Certificate, its `TBSCertificate`, and there the second time of `Validity`.
fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (mut fields, _) = expect(certificate, SEQUENCE)?;
    if let Some((_, rest)) = expect(fields, VERSION) {
        fields = rest;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, fields) = expect(fields, tag)?;
    }
    let (validity, _) = expect(fields, SEQUENCE)?;
    let (_, _, after_first) = element(validity)?;
    let (tag, time, _) = element(after_first)?;
    let text = std::str::from_utf8(time).ok()?;
    let full = match tag {
        // Two digits of a year: from 50 on they are of the last century.
        UTC_TIME => {
            let year: u32 = text.get(..2)?.parse().ok()?;
            format!("{}{text}", if year >= 50 { "19" } else { "20" })
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = NaiveDateTime::parse_from_str(&full, "%Y%m%d%H%M%SZ").ok()?;
    Some(time.and_utc())
}

fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(der)?;
    (found == tag).then_some((content, rest))
}

/// A tag, its content, and what comes after.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let mut length = usize::from(*first);
    if length >= 0x80 {
        let bytes = length - 0x80;
        if bytes == 0 || bytes > 4 {
            return None;
        }
        let (digits, after) = rest.split_at_checked(bytes)?;
        length = digits
            .iter()
            .fold(0, |length, digit| (length << 8) | usize::from(*digit));
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `openssl req -x509 -newkey ed25519 -days 36500`, so past 2049 it has a time of the longer form.
    const LONG: &str = include_str!("testdata/long.pem");
    /// As before, for one day.
    const SHORT: &str = include_str!("testdata/short.pem");

    #[test]
    fn both_forms_of_time_are_read() {
        assert_eq!(expiry(SHORT).unwrap().to_rfc3339(), "2026-12-01T00:26:34+00:00");
        assert_eq!(expiry(LONG).unwrap().to_rfc3339(), "2126-11-06T00:26:34+00:00");
        // The first of a chain is the host's own.
        assert_eq!(expiry(&format!("{SHORT}{LONG}")), expiry(SHORT));
    }

    #[test]
    fn what_is_no_certificate_has_no_expiry() {
        let pem = |der: &[u8]| format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der));
        for text in [
            String::new(),
            "certificate".to_owned(),
            pem(&[]),
            pem(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff]),
            pem(&[SEQUENCE, 0x80]),
            SHORT.replace('M', "!"),
        ] {
            assert_eq!(expiry(&text), None, "{text}");
        }
        let (_, rest) = SHORT.split_once(BEGIN).unwrap();
        let body: String = rest.split_once(END).unwrap().0.split_whitespace().collect();
        let der = STANDARD.decode(body).unwrap();
        for cut in 0..der.len() {
            assert!(not_after(&der[..cut]).is_none(), "{cut}");
        }
    }

    #[test]
    fn files_are_found_by_their_folders() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.example", "b.example"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("cert.pem"), SHORT).unwrap();
        }
        std::fs::create_dir(folder.path().join("accounts")).unwrap();
        let found = all(&format!("{}/*/cert.pem", folder.path().display()));
        assert!(
            found.len() == 2 && found.iter().all(|one| one.expires.is_some()),
            "{found:?}"
        );
        let missing = all("/no/such.pem");
        assert!(
            missing[0].problem.as_ref().unwrap().contains("cannot be read"),
            "{missing:?}"
        );
    }
}
