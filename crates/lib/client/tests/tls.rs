//! TLS: whom the client trusts, and what it says of those it does not.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use slipway_client::testing::{ScriptedApi, ScriptedReply, TestCertificate};
use slipway_client::{Client, ClientError, UnreachableCause};

fn trusting(server: &ScriptedApi) -> Client {
    let builder = slipway_client::builder(&server.url()).unwrap();
    let builder = builder.extra_ca_pem("its CA", server.ca_pem()).unwrap();
    builder.build().unwrap()
}

async fn refusal(client: &Client) -> (UnreachableCause, String) {
    let error = client.live().await.unwrap_err();
    assert!(!error.is_retryable() && error.never_sent(), "{error}");
    let text = error.to_string();
    match error {
        ClientError::Unreachable { cause, .. } => (cause, text),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_ca_of_ones_own_is_trusted_when_named_and_http2_is_spoken() {
    let server = ScriptedApi::start_tls(TestCertificate::Good, |_| ScriptedReply::empty(200));
    trusting(&server).live().await.unwrap();
    assert!(server.requests()[0].http2);
}

#[test]
fn a_broken_block_among_certificates_is_named() {
    let server = ScriptedApi::start_tls(TestCertificate::Good, |_| ScriptedReply::empty(200));
    for broken in ["?", "AAAA"] {
        let block = format!("-----BEGIN CERTIFICATE-----\n{broken}\n-----END CERTIFICATE-----\n");
        for (pem, number) in [
            (server.ca_pem().to_owned() + &block, 2),
            (block.clone() + server.ca_pem(), 1),
        ] {
            let builder = slipway_client::builder(&server.url()).unwrap();
            let error = builder.extra_ca_pem("the CA file a.pem", pem).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "certificate block {number} in the CA file a.pem holds no certificate; \
                     take that block out, or put its certificate in again"
                )
            );
        }
    }
}

#[tokio::test]
async fn an_unknown_ca_is_told_with_the_setting_that_adds_it() {
    let server = ScriptedApi::start_tls(TestCertificate::Good, |_| ScriptedReply::empty(200));
    let another = ScriptedApi::start_tls(TestCertificate::Good, |_| ScriptedReply::empty(200));
    let builder = slipway_client::builder(&server.url()).unwrap();
    let builder = builder.extra_ca_pem("another CA", another.ca_pem()).unwrap();
    let client = builder.build().unwrap();
    let (cause, text) = refusal(&client).await;
    assert_eq!(cause, UnreachableCause::UnknownCa);
    assert!(
        text.contains("--ca-file") && text.contains("AGENT_CA_FILE") && text.contains(&server.url()),
        "{text}"
    );
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn a_certificate_for_another_name_or_time_is_refused() {
    for (kind, expected) in [
        (TestCertificate::WrongName, UnreachableCause::WrongName),
        (TestCertificate::Expired, UnreachableCause::Expired),
    ] {
        let server = ScriptedApi::start_tls(kind, |_| ScriptedReply::empty(200));
        let (cause, text) = refusal(&trusting(&server)).await;
        assert_eq!(cause, expected, "{text}");
        assert_eq!(server.requests().len(), 0);
    }
}

#[tokio::test]
async fn https_to_a_plain_port_is_told() {
    let server = ScriptedApi::start(|_| ScriptedReply::empty(200));
    let other = ScriptedApi::start_tls(TestCertificate::Good, |_| ScriptedReply::empty(200));
    let url = server.url().replace("http:", "https:");
    let builder = slipway_client::builder(&url).unwrap();
    let builder = builder.extra_ca_pem("another CA", other.ca_pem()).unwrap();
    let (cause, text) = refusal(&builder.build().unwrap()).await;
    assert_eq!(cause, UnreachableCause::Tls);
    assert!(text.contains("the HTTPS one"), "{text}");
}
