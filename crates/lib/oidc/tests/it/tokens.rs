//! Tokens that say who somebody is: which are believed, and what is read of them.

use serde_json::{Value, json};
use slipway_oidc::{Attempt, OidcError};
use slipway_testkit::oidc::{Answers, Signing, TestProvider};

use crate::{approved, attempt, client, redeemed, sign_in, sign_in_with};

#[tokio::test]
async fn a_person_comes_back_with_name_and_groups() {
    let person = sign_in_with(json!({ "preferred_username": "anna" }))
        .await
        .unwrap();
    assert_eq!(person.subject, "248289761001");
    assert_eq!(person.email.as_deref(), Some("anna@example.org"));
    assert_eq!(person.username.as_deref(), Some("anna"));
    assert_eq!(person.groups.unwrap(), ["platform"]);
}

#[tokio::test]
async fn each_kind_of_signature_with_a_private_key_is_believed_and_no_other() {
    let provider = TestProvider::start().await;
    let client = client(&provider);
    for signing in [Signing::EdDsa, Signing::Rs256, Signing::Es256] {
        provider.change(|behaviour| behaviour.signing = signing);
        assert!(sign_in(&client, &provider).await.is_ok(), "{signing:?}");
    }
    for (signing, told) in [
        (Signing::None, "No signature found"),
        // Whoever has the client's secret could make it.
        (Signing::Hs256, "Disallowed signature algorithm"),
        (Signing::Foreign, "Crypto error"),
    ] {
        provider.change(|behaviour| behaviour.signing = signing);
        match sign_in(&client, &provider).await {
            Err(OidcError::Untrusted(words)) => assert!(words.contains(told), "{signing:?}: {words}"),
            other => panic!("{signing:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_token_for_somebody_or_something_else_is_not_believed() {
    let now = now();
    for (claims, told) in [
        (json!({ "nonce": "of another sign-in" }), "nonce"),
        (json!({ "nonce": null }), "nonce"),
        (json!({ "iss": "https://login.evil.test" }), "issuer"),
        (json!({ "iss": null }), "cannot be read"),
        (json!({ "aud": "another client" }), "audiences"),
        (
            json!({ "aud": ["slipway", "another client"] }),
            "not a trusted audience",
        ),
        (json!({ "aud": [] }), "audiences"),
        (json!({ "azp": "another client" }), "authorized party"),
        (json!({ "sub": "" }), "subject (sub) is empty"),
        (json!({ "exp": now - 61 }), "expired"),
        (json!({ "exp": null }), "cannot be read"),
        (json!({ "iat": now + 120 }), "in the future"),
        (json!({ "nbf": now + 120 }), "not good yet"),
        (
            json!({ "at_hash": "b3RoZXI" }),
            "does not belong to the other token",
        ),
        (json!({ "sub": null }), "cannot be read"),
    ] {
        let words = match sign_in_with(claims.clone()).await {
            Err(error) => error.to_string(),
            Ok(person) => panic!("{claims}: {person:?}"),
        };
        assert!(
            words.to_lowercase().contains(&told.to_lowercase()),
            "{claims}: {words}"
        );
    }
    // Clocks may differ by a minute.
    for claims in [
        json!({ "exp": now - 30 }),
        json!({ "iat": now + 30 }),
        json!({ "nbf": now + 30 }),
        json!({ "azp": "slipway" }),
        json!({ "at_hash": null }),
    ] {
        assert!(sign_in_with(claims.clone()).await.is_ok(), "{claims}");
    }
}

fn now() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test's provider has the machine's clock too"
    )]
    chrono::Utc::now().timestamp()
}

#[tokio::test]
async fn an_address_counts_if_the_provider_verified_it() {
    for (verified, email) in [
        (json!(true), Some("anna@example.org")),
        (json!("true"), Some("anna@example.org")),
        (json!(false), None),
        (Value::Null, None),
    ] {
        let person = sign_in_with(json!({ "email_verified": verified })).await.unwrap();
        assert_eq!(person.email.as_deref(), email, "{verified}");
    }
}

#[tokio::test]
async fn groups_are_read_in_every_form_and_amount() {
    let one = sign_in_with(json!({ "groups": "platform" })).await.unwrap();
    assert_eq!(one.groups.unwrap(), ["platform"]);
    let many: Vec<String> = (0..10_000)
        .map(|n| format!("0b9a6b1e-6f0e-4a3a-9d5c-{n:012}"))
        .collect();
    let person = sign_in_with(json!({ "groups": many })).await.unwrap();
    assert_eq!(person.groups.unwrap().len(), 10_000);
}

/// The person is known all the same: whoever was here before must lose what the groups gave.
#[tokio::test]
async fn who_somebody_is_stays_known_without_groups() {
    for (claims, told) in [
        (json!({ "groups": { "a": 1 } }), "OIDC_GROUPS_CLAIM"),
        (json!({ "groups": null }), "tells no groups"),
        (
            json!({ "groups": null, "_claim_names": { "groups": "src1" } }),
            "too many groups",
        ),
    ] {
        let person = sign_in_with(claims).await.unwrap();
        assert_eq!(person.subject, "248289761001");
        let why = person.groups.unwrap_err();
        assert!(why.contains(told), "{why}");
    }
}

#[tokio::test]
async fn a_provider_that_tells_groups_only_when_it_is_asked_is_asked() {
    let provider = TestProvider::start().await;
    provider.change(|behaviour| {
        behaviour.claims = json!({ "groups": null, "email": null, "email_verified": null });
        behaviour.user_info =
            json!({ "groups": ["platform"], "email": "anna@example.org", "email_verified": true });
    });
    let client = client(&provider);
    let person = sign_in(&client, &provider).await.unwrap();
    assert_eq!(person.groups.unwrap(), ["platform"]);
    assert_eq!(person.email.as_deref(), Some("anna@example.org"));
    // The answer about somebody else gives nobody their groups.
    provider
        .change(|behaviour| behaviour.user_info = json!({ "groups": ["platform"], "sub": "somebody else" }));
    match sign_in(&client, &provider).await {
        Err(OidcError::Untrusted(words)) => assert!(words.contains("not believed"), "{words}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn names_that_are_not_in_the_token_are_asked_for_and_are_no_condition() {
    let provider = TestProvider::start().await;
    provider.change(|behaviour| {
        behaviour.claims = json!({ "email": null, "email_verified": null });
        behaviour.user_info =
            json!({ "email": "anna@example.org", "email_verified": true, "groups": ["other"] });
    });
    let client = client(&provider);
    let person = sign_in(&client, &provider).await.unwrap();
    assert!(person.is_whole);
    assert_eq!(person.email.as_deref(), Some("anna@example.org"));
    // What is signed counts.
    assert_eq!(person.groups.unwrap(), ["platform"]);
    provider.change(|behaviour| behaviour.tells_of_people = Answers::Status(500));
    let person = sign_in(&client, &provider).await.unwrap();
    assert_eq!((person.email, person.is_whole), (None, false));
    assert_eq!(person.groups.unwrap(), ["platform"]);
}

#[tokio::test]
async fn a_code_works_once_and_only_for_who_began() {
    let provider = TestProvider::start().await;
    let client = client(&provider);
    let back = approved(&client, &provider).await;
    assert!(redeemed(&client, &back).await.is_ok());
    let words = redeemed(&client, &back).await.unwrap_err().to_string();
    assert!(
        words.contains("invalid_grant") && words.contains("sign in again"),
        "{words}"
    );

    // Somebody caught the code, and has no verifier.
    let back = approved(&client, &provider).await;
    let thief = Attempt {
        verifier: "w".repeat(64),
        ..attempt()
    };
    let stolen = client
        .person(
            &back.code,
            Some(&back.issuer),
            &thief,
            chrono::DateTime::UNIX_EPOCH,
        )
        .await;
    assert!(matches!(stolen, Err(OidcError::Refused(_))), "{stolen:?}");
}

#[tokio::test]
async fn an_answer_of_another_provider_is_not_taken() {
    let provider = TestProvider::start().await;
    let client = client(&provider);
    for issuer in [Some("https://login.evil.test"), None] {
        let back = approved(&client, &provider).await;
        let taken = client
            .person(&back.code, issuer, &attempt(), chrono::DateTime::UNIX_EPOCH)
            .await;
        assert!(
            matches!(taken, Err(OidcError::Untrusted(_))),
            "{issuer:?}: {taken:?}"
        );
    }
}
