//! A provider that is away, misbehaves or changes.

use std::time::{Duration, Instant};

use serde_json::json;
use slipway_oidc::OidcError;
use slipway_testkit::oidc::{Answers, TestProvider};

use crate::{IMPATIENT, PATIENT, approved, attempt, client, client_within, redeemed, sign_in};

const BAD: [(Answers, &str); 6] = [
    (Answers::Hangs, "did not answer in time"),
    (Answers::Status(500), "answered 500"),
    (Answers::Status(404), "404"),
    (Answers::Redirects, "redirects are not followed"),
    (Answers::Large, "answered more than 1048576 bytes"),
    (Answers::Nonsense, "cannot be read"),
];

const fn patience(answers: Answers) -> Duration {
    if matches!(answers, Answers::Hangs) {
        IMPATIENT
    } else {
        PATIENT
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_provider_is_told_within_bounds() {
    for (answers, told) in BAD {
        let provider = TestProvider::start().await;
        provider.change(|behaviour| behaviour.describes = answers);
        let begun = Instant::now();
        match client_within(&provider, patience(answers))
            .address(&attempt())
            .await
        {
            Err(OidcError::Away(words)) => assert!(words.contains(told), "{answers:?}: {words}"),
            other => panic!("{answers:?}: {other:?}"),
        }
        assert!(begun.elapsed() < PATIENT, "{answers:?}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn what_is_wrong_with_its_answer_to_a_code_is_told_within_bounds() {
    let provider = TestProvider::start().await;
    for (answers, _) in BAD {
        provider.change(|behaviour| behaviour.gives_tokens = Answers::Well);
        let back = approved(&client(&provider), &provider).await;
        let client = client_within(&provider, patience(answers));
        provider.change(|behaviour| behaviour.gives_tokens = answers);
        match redeemed(&client, &back).await {
            Err(OidcError::Away(words)) => assert!(!words.contains("code-"), "{answers:?}: {words}"),
            other => panic!("{answers:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_provider_that_comes_back_is_found_and_asked_once() {
    let provider = TestProvider::start().await;
    let client = client(&provider);
    provider.change(|behaviour| behaviour.describes = Answers::Status(503));
    assert!(client.address(&attempt()).await.is_err());
    provider.change(|behaviour| behaviour.describes = Answers::Well);
    let back = async {
        while client.address(&attempt()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.unwrap();
    let asked = provider.times_described();
    for _ in 0..5 {
        sign_in(&client, &provider).await.unwrap();
    }
    assert_eq!(provider.times_described(), asked, "it is asked at each sign-in");
}

#[tokio::test]
async fn a_crowd_does_not_wait_one_after_the_other() {
    let provider = TestProvider::start().await;
    provider.change(|behaviour| behaviour.describes = Answers::Hangs);
    let client = client_within(&provider, IMPATIENT);
    let begun = Instant::now();
    let attempt = attempt();
    let (one, two, three, four) = tokio::join!(
        client.address(&attempt),
        client.address(&attempt),
        client.address(&attempt),
        client.address(&attempt)
    );
    assert!([one, two, three, four].iter().all(Result::is_err));
    assert_eq!(provider.times_described(), 1);
    assert!(begun.elapsed() < PATIENT, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn keys_that_the_provider_changed_are_found() {
    let provider = TestProvider::start().await;
    let client = client(&provider);
    sign_in(&client, &provider).await.unwrap();
    provider.change_keys();
    sign_in(&client, &provider).await.unwrap();
    assert_eq!(provider.times_described(), 1);
}

#[tokio::test]
async fn a_provider_that_calls_itself_something_else_is_not_used() {
    for (metadata, told) in [
        (
            json!({ "issuer": "https://login.evil.test" }),
            "unexpected issuer URI",
        ),
        (
            json!({ "authorization_endpoint": "http://login.example.org/authorize" }),
            "no https:// address",
        ),
        (
            json!({ "jwks_uri": "http://login.example.org/keys" }),
            "is not encrypted",
        ),
    ] {
        let provider = TestProvider::start().await;
        provider.change(|behaviour| behaviour.metadata = metadata.clone());
        match client(&provider).address(&attempt()).await {
            Err(OidcError::Away(words)) => assert!(words.contains(told), "{metadata}: {words}"),
            other => panic!("{metadata}: {other:?}"),
        }
    }
}
