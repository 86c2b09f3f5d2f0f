//! Nix's signatures: Ed25519 over a path's fingerprint, by keys with names.
//!
//! Nix itself treats a content-addressed path as signed, and a path that it built as trusted, whoever added or
//! requested it. On a host where users may do both, neither says anything of a release; so the signatures are checked
//! here.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::info::PathInfo;

/// Nix's base 32: without e, o, t and u.
const BASE32: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// A key that the host trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TrustedKey {
    name: String,
    bytes: Vec<u8>,
}

impl TrustedKey {
    /// Reads `NAME:BASE64`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, key) = text.split_once(':')?;
        let bytes = STANDARD.decode(key).ok().filter(|bytes| bytes.len() == 32)?;
        Some(Self {
            name: name.to_owned(),
            bytes,
        })
    }

    fn verifies(&self, signature: &str, message: &[u8]) -> bool {
        let Some((name, bytes)) = signature.split_once(':') else {
            return false;
        };
        let Ok(bytes) = STANDARD.decode(bytes) else {
            return false;
        };
        name == self.name
            && UnparsedPublicKey::new(&ED25519, &self.bytes)
                .verify(message, &bytes)
                .is_ok()
    }
}

/// Whether one of the keys signed exactly this path with this content and these references.
pub(super) fn is_signed(info: &PathInfo, keys: &[TrustedKey]) -> bool {
    let Some(message) = fingerprint(info) else {
        return false;
    };
    let by_a_key = |signature: &String| keys.iter().any(|key| key.verifies(signature, message.as_bytes()));
    info.signatures.iter().any(by_a_key)
}

/// What is signed: `1;PATH;NARHASH;NARSIZE;REFERENCE,…`.
fn fingerprint(info: &PathInfo) -> Option<String> {
    let hash = base32_hash(&info.nar_hash)?;
    let mut references: Vec<&str> = info.references.iter().map(String::as_str).collect();
    references.sort_unstable();
    Some(format!(
        "1;{};{hash};{};{}",
        info.path,
        info.nar_size,
        references.join(",")
    ))
}

/// `sha256:` and Nix's base 32, of a hash in any of the forms that Nix prints.
fn base32_hash(hash: &str) -> Option<String> {
    let digits = if let Some(sri) = hash.strip_prefix("sha256-") {
        let bytes = STANDARD.decode(sri).ok().filter(|bytes| bytes.len() == 32)?;
        base32(&bytes)
    } else {
        let digits = hash.strip_prefix("sha256:")?;
        match digits.len() {
            52 => digits.to_owned(),
            64 => base32(&hex::decode(digits).ok()?),
            _ => return None,
        }
    };
    Some(format!("sha256:{digits}"))
}

/// Nix counts bits from the hash's end.
fn base32(bytes: &[u8]) -> String {
    let digits = (bytes.len() * 8).div_ceil(5);
    let mut text = String::with_capacity(digits);
    for digit in (0..digits).rev() {
        let (byte, bit) = (digit * 5 / 8, digit * 5 % 8);
        let low = u16::from(bytes[byte]) >> bit;
        let high = bytes
            .get(byte + 1)
            .map_or(0, |next| u16::from(*next) << (8 - bit));
        let index = usize::from((low | high) & 0x1f);
        let _ = write!(text, "{}", char::from(BASE32[index]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Nix 2.8 printed and signed it.
    fn signed() -> (PathInfo, TrustedKey) {
        let info = PathInfo {
            path: "/tmp/nx/r/store/g9yix8f0hysgm2qmphvh6j3rsxjsn0jy-t".to_owned(),
            nar_hash: "sha256-Rtn/8kgU8DKWCrmV7mly9eW7W6aN8BHLacoMaJkq2Jo=".to_owned(),
            nar_size: 864,
            references: vec!["/tmp/nx/r/store/71szbh3ansbk0p3ybxj03nbd62p64yh7-source".to_owned()],
            signatures: vec!["k-1:lQfA+x/5Z3WN8HaUqb26K+1M0fTZWWTa747iLdrvnI8bHSAODhzzdsqgQ30+kWxNYaGo0DzZGPfAu7nsZxkqDA==".to_owned()],
        };
        (
            info,
            TrustedKey::parse("k-1:102CZb2APXEIS0a8HGyPLKwz+GMpVIWWKv0UBuipTvo=").unwrap(),
        )
    }

    #[test]
    fn a_signature_that_nix_made_counts() {
        let (info, key) = signed();
        assert!(is_signed(&info, std::slice::from_ref(&key)));
        let other = TrustedKey {
            name: "other-1".to_owned(),
            ..key
        };
        assert!(!is_signed(&info, &[other]));
        assert!(!is_signed(&info, &[]));
    }

    #[test]
    fn a_signature_of_anything_else_counts_for_nothing() {
        let (good, key) = signed();
        let keys = [key];
        let change = |change: fn(&mut PathInfo)| {
            let mut info = good.clone();
            change(&mut info);
            info
        };
        for bad in [
            change(|info| info.path.push('x')),
            change(|info| info.nar_size += 1),
            change(|info| info.nar_hash = format!("sha256-{}", STANDARD.encode([7; 32]))),
            change(|info| info.nar_hash = "md5:1".to_owned()),
            change(|info| info.references.clear()),
            change(|info| info.signatures[0] = info.signatures[0].replace(':', ":A")),
            change(|info| info.signatures[0] = "no colon".to_owned()),
            change(|info| info.signatures.clear()),
        ] {
            assert!(!is_signed(&bad, &keys), "{bad:?}");
        }
    }

    #[test]
    fn hashes_are_read_in_every_form() {
        let sri = "sha256-77dlDcqTnlOIvhVcgRCg77MIUBXSOhzwYrzh+budw6g=";
        let base32 = "sha256:1a63knxzkqdwcbq1qfnj2m80iczgl0882p0mps4577lkr86nbdzg";
        assert_eq!(base32_hash(sri).as_deref(), Some(base32));
        assert_eq!(base32_hash(base32).as_deref(), Some(base32));
        let bytes = STANDARD.decode(&sri[7..]).unwrap();
        let base16 = format!("sha256:{}", hex::encode(bytes));
        assert_eq!(base32_hash(&base16).as_deref(), Some(base32));
    }
}
