//! Principals and tokens.

use slipway_domain::{Role, TokenId};
use slipway_store::{Authenticated, NewToken, StoreError, TokenHash, TokenOwner};
use slipway_testkit::audit_key;
use sqlx::PgPool;

use crate::support::{Fleet, ada, sql, store};

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_first_admin_is_made_once(pool: PgPool) {
    let (store, key) = (store(&pool), audit_key());
    let by = ada(&key);
    let (one, two) = tokio::join!(store.ensure_admin(&by), store.ensure_admin(&by));
    assert_eq!(one.unwrap(), two.unwrap());
    let all = store.list_principals().await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].name.as_str(), all[0].role), ("admin", Role::Admin));
    store.disable_principal(&all[0].name, &by).await.unwrap();
    assert!(store.ensure_admin(&by).await.unwrap().disabled_at.is_some());
    assert_eq!(store.event_head().await.unwrap().number, 2);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_name_is_taken_once(pool: PgPool) {
    let (store, key) = (store(&pool), audit_key());
    let name = "ci".parse().unwrap();
    store
        .create_principal(&name, Role::Deployer, &ada(&key))
        .await
        .unwrap();
    let error = store
        .create_principal(&name, Role::Viewer, &ada(&key))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NameTaken { .. }));
    assert_eq!(
        error.to_string(),
        "the principal name `ci` is taken; choose another"
    );
    let error = store
        .disable_principal(&"cd".parse().unwrap(), &ada(&key))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no principal `cd`");
    assert_eq!(
        store.event_head().await.unwrap().number,
        1,
        "what failed left no event"
    );
}

fn token(owner: TokenOwner, secret: &str, expires_in_seconds: Option<u32>) -> NewToken {
    NewToken {
        owner,
        label: "laptop".to_owned(),
        hash: TokenHash::of(secret),
        expires_in_seconds,
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_token_is_good_until_it_is_not(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let (store, key) = (&fleet.store, &fleet.key);
    let owner = TokenOwner::Principal(fleet.author.id);
    let find = async |secret: &str| store.find_token_by_hash(&TokenHash::of(secret)).await.unwrap();

    assert_eq!(find("slw_unknown").await, None);
    let made = store
        .create_token(&token(owner, "slw_a", None), &ada(key))
        .await
        .unwrap();
    assert_eq!(made.principal.as_ref(), Some(&fleet.author.name));
    let found = find("slw_a").await.unwrap();
    assert_eq!(found.token, made.id);
    let who = Authenticated::Principal {
        id: fleet.author.id,
        name: "ada".parse().unwrap(),
        role: Role::Deployer,
    };
    assert_eq!(found.who, who);

    store
        .create_token(&token(owner, "slw_b", Some(0)), &ada(key))
        .await
        .unwrap();
    assert_eq!(find("slw_b").await, None, "expired");
    let long = store
        .create_token(&token(owner, "slw_c", Some(3600)), &ada(key))
        .await
        .unwrap();
    let left = long.expires_at.unwrap() - store.now().await.unwrap();
    assert!((3590..=3600).contains(&left.num_seconds()), "{left}");
    assert_eq!(find("slw_c").await.unwrap().expires_at, long.expires_at);

    store.revoke_token(made.id, &ada(key)).await.unwrap();
    let events = store.event_head().await.unwrap().number;
    store.revoke_token(made.id, &ada(key)).await.unwrap();
    assert_eq!(
        store.event_head().await.unwrap().number,
        events,
        "again changes nothing"
    );
    assert_eq!(find("slw_a").await, None, "revoked");
    let nobody = TokenId::generate();
    let error = store.revoke_token(nobody, &ada(key)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no token `{nobody}`"));

    store
        .disable_principal(&fleet.author.name, &ada(key))
        .await
        .unwrap();
    assert_eq!(find("slw_c").await, None, "disabled");
    let listed = store.list_tokens(None, None, 100).await.unwrap();
    assert_eq!(listed.iter().filter(|token| token.principal.is_some()).count(), 3);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_token_is_the_hosts_alone(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let (store, key) = (&fleet.store, &fleet.key);
    let (name, id) = fleet.host(0);
    let find = async |secret: &str| {
        store
            .find_token_by_hash(&TokenHash::of(secret))
            .await
            .unwrap()
            .map(|token| token.who)
    };
    let this = Authenticated::Host {
        id,
        name: name.clone(),
    };
    assert_eq!(find(&fleet.token(&name)).await, Some(this.clone()));

    let new = store
        .replace_host_token(id, "agent", TokenHash::of("slw_new"), &ada(key))
        .await
        .unwrap();
    assert_eq!(new.host, Some(name.clone()));
    assert_eq!(find(&fleet.token(&name)).await, None, "the old one is refused");
    assert_eq!(find("slw_new").await, Some(this));
    let other = fleet.host(1);
    assert!(
        find(&fleet.token(&other.0)).await.is_some(),
        "another host's is untouched"
    );

    store.retire_host(&name, &ada(key)).await.unwrap();
    assert_eq!(find("slw_new").await, None, "retired");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn use_is_noted_once_a_minute(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let hash = TokenHash::of(&fleet.token(&fleet.host(0).0));
    let used = async || {
        fleet.store.find_token_by_hash(&hash).await.unwrap().unwrap();
        fleet.store.list_tokens(None, None, 1).await.unwrap()[0]
            .last_used_at
            .unwrap()
    };
    let first = used().await;
    assert_eq!(used().await, first);
    sql(
        &pool,
        "UPDATE tokens SET last_used_at = last_used_at - interval '61 seconds'",
    )
    .await;
    assert!(used().await > first);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn no_secret_is_in_the_database_or_in_a_debug_output(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let secret = "slw_5ec2e7";
    let new = token(TokenOwner::Principal(fleet.author.id), secret, None);
    assert!(!format!("{new:?}").contains("5ec2e7"), "{new:?}");
    assert!(format!("{new:?}").contains("redacted"));
    fleet.store.create_token(&new, &ada(&fleet.key)).await.unwrap();
    let found: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM tokens t WHERE t::text LIKE '%5ec2e7%')
              + (SELECT count(*) FROM events e WHERE e::text LIKE '%5ec2e7%')",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(found, 0);
}
