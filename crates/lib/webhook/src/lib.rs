//! Messages to others' servers, signed as Standard Webhooks ask (<https://www.standardwebhooks.com>). Whoever sends one
//! uses this crate. It must never show a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

/// What a secret of a webhook begins with.
const PREFIX: &str = "whsec_";
/// Bytes that a secret has at least, and at most.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// The secret that a sender and a receiver of messages share.
#[derive(Clone)]
pub struct WebhookSecret(SecretSlice<u8>);

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret")
    }
}

impl WebhookSecret {
    /// Reads `whsec_` and base64. The error shows nothing of it.
    pub fn parse(text: &SecretString) -> Result<Self, &'static str> {
        let text = text.expose_secret().trim();
        let encoded = text.strip_prefix(PREFIX).ok_or(
            "it does not begin with whsec_; make one: printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\"",
        )?;
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| "it is not whsec_ and base64")?;
        if !LENGTHS.contains(&bytes.len()) {
            return Err("it has not between 24 and 64 bytes; make one of 32: openssl rand -base64 32");
        }
        Ok(Self(bytes.into()))
    }

    /// The value of `webhook-signature` for a message.
    #[must_use]
    pub fn sign(&self, message: &WebhookMessage<'_>) -> String {
        let WebhookMessage { id, timestamp, body } = message;
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// A message to send.
#[derive(Debug, Clone)]
pub struct WebhookMessage<'a> {
    /// Names it; the same when it is sent again.
    pub id: &'a str,
    /// Seconds since 1970.
    pub timestamp: i64,
    /// Its text, JSON.
    pub body: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn messages_are_signed_as_the_specification_says() {
        let secret = WebhookSecret::parse(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()).unwrap();
        let signature = secret.sign(&WebhookMessage {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp: 1_614_265_330,
            body: r#"{"test": 2432232314}"#,
        });
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_bad_secret_is_refused_without_showing_it() {
        for bad in [
            "",
            "secret",
            "whsec_",
            "whsec_***",
            "whsec_c2hvcnQ=",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            let error = WebhookSecret::parse(&bad.into()).unwrap_err();
            assert!(
                bad.is_empty() || !error.contains(bad) || bad == "whsec_",
                "{error}"
            );
        }
        let secret = WebhookSecret::parse(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()).unwrap();
        assert_eq!(format!("{secret:?}"), "WebhookSecret");
    }
}
