//! The example of docs/messages.md, on what a worker sends.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sqlx::PgPool;

use crate::receiver::Receiver;
use crate::support::{SECRET, World};

/// Whether this body is from whoever has the secret, and was sent within five minutes.
fn is_genuine(secret: &str, id: &str, timestamp: &str, signatures: &str, body: &[u8], now: i64) -> bool {
    let Some(key) = secret
        .strip_prefix("whsec_")
        .and_then(|key| STANDARD.decode(key).ok())
    else {
        return false;
    };
    let is_fresh = timestamp.parse().is_ok_and(|sent: i64| (now - sent).abs() <= 300);
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    is_fresh
        && signatures
            .split(' ')
            .filter_map(|signature| signature.strip_prefix("v1,"))
            .filter_map(|signature| STANDARD.decode(signature).ok())
            .any(|signature| mac.clone().verify_slice(&signature).is_ok())
}

#[test]
fn the_page_shows_the_function_that_is_tested() {
    let source = include_str!("verify.rs");
    let (_, rest) = source.split_once("/// Whether this body").unwrap();
    let (function, _) = rest.split_once("\n}\n").unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/messages.md");
    let page = fs::read_to_string(page).unwrap();
    let shown = format!("```rust\n/// Whether this body{function}\n}}\n```\n");
    assert!(page.contains(&shown), "docs/messages.md lacks\n{shown}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_example_accepts_what_is_sent_and_nothing_else(pool: PgPool) {
    let (world, receiver) = (World::new(pool).await, Receiver::start().await);
    world.webhook("ops", receiver.url()).await;
    world.start();
    world.fleet.rollout(1).await;
    let got = receiver.until(1).await.remove(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    let [id, at, signature] =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| got.header(name));
    assert!(is_genuine(SECRET, id, at, signature, &got.body, now));
    assert!(is_genuine(
        SECRET,
        id,
        at,
        &format!("v1,AAAA {signature}"),
        &got.body,
        now
    ));
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (secret, id, at, signature, body, now) in [
        (other, id, at, signature, &got.body[..], now),
        (SECRET, "another", at, signature, &got.body[..], now),
        (SECRET, id, "1", signature, &got.body[..], now),
        (SECRET, id, at, "v1,AAAA", &got.body[..], now),
        (SECRET, id, at, "", &got.body[..], now),
        (SECRET, id, at, signature, &got.body[1..], now),
        (SECRET, id, at, signature, &got.body[..], now + 301),
        (SECRET, id, at, signature, &got.body[..], now - 301),
    ] {
        assert!(!is_genuine(secret, id, at, signature, body, now));
    }
}
