//! Keys that sign tokens, in the forms that providers use.

use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use ring::{digest, hmac};
use serde_json::{Value, json};

/// For tests alone; no program has it. Making one takes seconds.
const RSA_KEY: &str = include_str!("rsa-key.txt");

static NUMBER: AtomicU32 = AtomicU32::new(1);

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// Ed25519.
    EdDsa,
    /// RSA with PKCS #1, which most providers have.
    Rs256,
    /// ECDSA with P-256.
    Es256,
    /// With the client's secret.
    Hs256,
    /// Not at all, and the token says so.
    None,
    /// With a key that the provider does not show, under the name of one that it shows.
    Foreign,
}

/// The keys of a provider.
pub(super) struct Keys {
    number: u32,
    ed25519: Ed25519KeyPair,
    foreign: Ed25519KeyPair,
    rsa: RsaKeyPair,
    ecdsa: EcdsaKeyPair,
    random: SystemRandom,
}

pub(super) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Keys {
    /// New ones, with names that none had before.
    pub(super) fn generate() -> Self {
        let random = SystemRandom::new();
        let ed25519 = || {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
            Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap()
        };
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let der = STANDARD.decode(RSA_KEY.replace('\n', "")).unwrap();
        Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            ed25519: ed25519(),
            foreign: ed25519(),
            rsa: RsaKeyPair::from_pkcs8(&der).unwrap(),
            ecdsa: EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap(),
            random,
        }
    }

    fn id(&self, kind: &str) -> String {
        format!("{kind}-{}", self.number)
    }

    /// What the provider shows of them.
    pub(super) fn shown(&self) -> Value {
        let rsa = PublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key());
        let point = self.ecdsa.public_key().as_ref();
        json!({ "keys": [
            { "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.id("ed"),
              "x": encoded(self.ed25519.public_key()) },
            { "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id("rsa"),
              "n": encoded(rsa.n), "e": encoded(rsa.e) },
            { "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id("ec"),
              "x": encoded(&point[1..33]), "y": encoded(&point[33..]) },
        ] })
    }

    /// Whole token of these claims.
    pub(super) fn sign(&self, claims: &Value, signing: Signing, secret: &str) -> String {
        let (algorithm, kind) = match signing {
            Signing::EdDsa | Signing::Foreign => ("EdDSA", "ed"),
            Signing::Rs256 => ("RS256", "rsa"),
            Signing::Es256 => ("ES256", "ec"),
            Signing::Hs256 => ("HS256", "hmac"),
            Signing::None => ("none", "none"),
        };
        let header = json!({ "alg": algorithm, "kid": self.id(kind), "typ": "JWT" });
        let text = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = self.signature(text.as_bytes(), signing, secret);
        format!("{text}.{}", encoded(signature))
    }

    fn signature(&self, text: &[u8], signing: Signing, secret: &str) -> Vec<u8> {
        match signing {
            Signing::EdDsa => self.ed25519.sign(text).as_ref().to_vec(),
            Signing::Foreign => self.foreign.sign(text).as_ref().to_vec(),
            Signing::Rs256 => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa
                    .sign(&RSA_PKCS1_SHA256, &self.random, text, &mut signature)
                    .unwrap();
                signature
            }
            Signing::Es256 => self.ecdsa.sign(&self.random, text).unwrap().as_ref().to_vec(),
            Signing::Hs256 => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
                hmac::sign(&key, text).as_ref().to_vec()
            }
            Signing::None => Vec::new(),
        }
    }
}

/// The hash of a token that comes along, as the claim `at_hash` has it: half of the hash of the signature's kind.
pub(super) fn half_hash(token: &str, signing: Signing) -> String {
    let kind = match signing {
        Signing::EdDsa | Signing::Foreign => &digest::SHA512,
        _ => &digest::SHA256,
    };
    let hash = digest::digest(kind, token.as_bytes());
    encoded(&hash.as_ref()[..hash.as_ref().len() / 2])
}
