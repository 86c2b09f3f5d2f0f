//! Principals and tokens.

use slipway_domain::event::Actor;
use slipway_domain::{PrincipalId, PrincipalName, Role, TokenId};
use slipway_store::{
    AuditKey, AuthenticatedPrincipal, Caller, EventAuthor, NewToken, Store, StoreError, TokenHash,
    TokenOwner, TokensOf,
};
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
    store
        .disable_principal(&all[0].name, &console(&key))
        .await
        .unwrap();
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
        .disable_principal(&"cd".parse().unwrap(), &console(&key))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no principal `cd`");
    assert_eq!(
        store.event_head().await.unwrap().number,
        1,
        "what failed left no event"
    );
}

pub(crate) fn token(owner: TokenOwner, secret: &str, expires_in_seconds: Option<u32>) -> NewToken {
    NewToken {
        owner,
        label: "laptop".to_owned(),
        hash: TokenHash::of(secret),
        expires_in_seconds,
        parent: None,
        limits: slipway_domain::TokenLimits::default(),
        idle_seconds: None,
    }
}

/// Somebody at the server's console, who is no principal.
fn console(key: &AuditKey) -> EventAuthor<'_> {
    EventAuthor::new(Actor::Console, key)
}

fn principal<'a>(name: &str, key: &'a AuditKey) -> EventAuthor<'a> {
    EventAuthor::new(Actor::Principal(name.parse().unwrap()), key)
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_token_is_good_until_it_is_not(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let (store, key) = (&fleet.store, &fleet.key);
    let owner = TokenOwner::Principal(fleet.author.id);
    let find = async |secret: &str| store.authenticate(&TokenHash::of(secret), key).await.unwrap();

    assert_eq!(find("slw_unknown").await, None);
    let made = store
        .create_token(&token(owner, "slw_a", None), &ada(key))
        .await
        .unwrap();
    assert_eq!(made.principal.as_ref(), Some(&fleet.author.name));
    let who = AuthenticatedPrincipal {
        id: fleet.author.id,
        name: "ada".parse().unwrap(),
        role: Role::Deployer,
        environment_roles: slipway_domain::EnvironmentRoles::default(),
        limits: slipway_domain::TokenLimits::default(),
        token: made.id,
        token_ends_at: None,
    };
    assert_eq!(find("slw_a").await, Some(Caller::Principal(who.clone())));

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
    let longer = AuthenticatedPrincipal {
        token: long.id,
        token_ends_at: long.expires_at,
        ..who
    };
    assert_eq!(find("slw_c").await, Some(Caller::Principal(longer)));

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
        .disable_principal(&fleet.author.name, &console(key))
        .await
        .unwrap();
    assert_eq!(find("slw_c").await, None, "disabled");
    let listed = store.list_tokens(TokensOf::default(), None, 100).await.unwrap();
    assert_eq!(listed.iter().filter(|token| token.principal.is_some()).count(), 3);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_host_token_is_the_hosts_alone(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let (store, key) = (&fleet.store, &fleet.key);
    let (name, id) = fleet.host(0);
    let find = async |secret: &str| store.authenticate(&TokenHash::of(secret), key).await.unwrap();
    let this = Caller::Host {
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
        fleet
            .store
            .authenticate(&hash, &fleet.key)
            .await
            .unwrap()
            .unwrap();
        fleet
            .store
            .list_tokens(TokensOf::default(), None, 1)
            .await
            .unwrap()[0]
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

/// A token that is made with another.
async fn child(
    store: &Store,
    key: &AuditKey,
    owner: PrincipalId,
    secret: &str,
    parent: TokenId,
    seconds: Option<u32>,
) -> Result<slipway_wire::access::Token, StoreError> {
    let new = NewToken {
        parent: Some(parent),
        ..token(TokenOwner::Principal(owner), secret, seconds)
    };
    store.create_token(&new, &ada(key)).await
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_token_ends_and_is_revoked_with_the_one_it_was_made_with(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let (store, key) = (&fleet.store, &fleet.key);
    let (ada_id, grace) = (fleet.author.id, fleet.approver.id);
    let good = async |secret: &str| {
        store
            .authenticate(&TokenHash::of(secret), key)
            .await
            .unwrap()
            .is_some()
    };
    let root = store
        .create_token(
            &token(TokenOwner::Principal(ada_id), "slw_root", Some(3600)),
            &ada(key),
        )
        .await
        .unwrap();
    let one = child(store, key, ada_id, "slw_one", root.id, None).await.unwrap();
    assert_eq!(one.expires_at, root.expires_at, "it ends with its parent");
    let two = child(store, key, grace, "slw_two", one.id, Some(7200))
        .await
        .unwrap();
    assert_eq!(
        two.expires_at, root.expires_at,
        "and so does what is made with it"
    );
    let short = child(store, key, ada_id, "slw_short", root.id, Some(60))
        .await
        .unwrap();
    assert!(short.expires_at < root.expires_at);
    let apart = token(TokenOwner::Principal(ada_id), "slw_apart", None);
    store.create_token(&apart, &ada(key)).await.unwrap();

    let before = store.event_head().await.unwrap().number;
    store.revoke_token(root.id, &ada(key)).await.unwrap();
    for secret in ["slw_root", "slw_one", "slw_two", "slw_short"] {
        assert!(!good(secret).await, "{secret}");
    }
    assert!(good("slw_apart").await);
    let told = store.list_all_events(before, 100).await.unwrap();
    assert!(told.len() == 4 && told.iter().all(|event| event.event.kind == "token.revoked"));
    let with = |id: TokenId| format!("made with {id}");
    let causes: Vec<&str> = told.iter().map(|event| event.event.cause.as_str()).collect();
    assert!(
        causes.iter().any(|cause| cause.ends_with(&with(one.id))),
        "{causes:?}"
    );

    let late = child(store, key, ada_id, "slw_late", root.id, None)
        .await
        .unwrap_err();
    assert!(matches!(late, StoreError::TokenEnded), "{late}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn disabling_a_principal_ends_what_was_made_with_its_tokens(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let (store, key) = (&fleet.store, &fleet.key);
    let new = token(TokenOwner::Principal(fleet.author.id), "slw_a", None);
    let own = store.create_token(&new, &ada(key)).await.unwrap();
    child(store, key, fleet.approver.id, "slw_b", own.id, None)
        .await
        .unwrap();
    store
        .disable_principal(&fleet.author.name, &console(key))
        .await
        .unwrap();
    for secret in ["slw_a", "slw_b"] {
        let found = store.authenticate(&TokenHash::of(secret), key).await.unwrap();
        assert_eq!(found, None, "{secret}");
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn no_token_is_made_with_one_that_is_being_revoked(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let (store, key) = (&fleet.store, &fleet.key);
    let owner = fleet.author.id;
    for round in 0..20 {
        let root = format!("slw_root_{round}");
        let root = store
            .create_token(&token(TokenOwner::Principal(owner), &root, None), &ada(key))
            .await
            .unwrap();
        let secrets: Vec<String> = (0..4).map(|n| format!("slw_{round}_{n}")).collect();
        let making = secrets
            .iter()
            .map(|secret| child(store, key, owner, secret, root.id, None));
        let by = ada(key);
        let (_, revoked) = tokio::join!(
            futures_util::future::join_all(making),
            store.revoke_token(root.id, &by)
        );
        revoked.unwrap();
        for secret in &secrets {
            let found = store.authenticate(&TokenHash::of(secret), key).await.unwrap();
            assert_eq!(found, None, "{secret} outlives what it was made with");
        }
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn of_two_admins_that_disable_each_other_at_once_one_stays(pool: PgPool) {
    let (store, key) = (store(&pool), audit_key());
    for round in 0..20 {
        let names: [PrincipalName; 2] = ["a", "b"].map(|name| format!("{name}-{round}").parse().unwrap());
        for name in &names {
            store
                .create_principal(name, Role::Admin, &console(&key))
                .await
                .unwrap();
        }
        let (one, two) = (
            principal(names[0].as_str(), &key),
            principal(names[1].as_str(), &key),
        );
        let (first, second) = tokio::join!(
            store.disable_principal(&names[1], &one),
            store.disable_principal(&names[0], &two)
        );
        let refused = [first, second].into_iter().filter_map(Result::err);
        let refused: Vec<String> = refused.map(|error| error.to_string()).collect();
        assert!(
            matches!(&refused[..], [words] if words.ends_with("was disabled meanwhile")),
            "{refused:?}"
        );
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn of_two_renewals_of_a_hosts_token_at_once_one_stays(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let (store, key) = (&fleet.store, &fleet.key);
    let (_, id) = fleet.host(0);
    for round in 0..20 {
        let secrets = ["a", "b"].map(|name| format!("slw_{round}_{name}"));
        let by = ada(key);
        let renew = |secret: &str| store.replace_host_token(id, "agent", TokenHash::of(secret), &by);
        let (one, two) = tokio::join!(renew(&secrets[0]), renew(&secrets[1]));
        one.and(two).unwrap();
        let mut good = 0;
        for secret in &secrets {
            let found = store.authenticate(&TokenHash::of(secret), key).await.unwrap();
            good += u32::from(found.is_some());
        }
        assert_eq!(good, 1);
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn somebody_elses_token_is_no_place_in_a_list(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let (store, key) = (&fleet.store, &fleet.key);
    let others = token(TokenOwner::Principal(fleet.approver.id), "slw_a", None);
    let others = store.create_token(&others, &ada(key)).await.unwrap().id;
    let nobodys = TokenId::generate();
    for id in [others, nobodys] {
        let error = store
            .list_tokens(
                TokensOf {
                    principal: Some(fleet.author.id),
                    ..TokensOf::default()
                },
                Some(id),
                10,
            )
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), format!("there is no token `{id}`"));
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn nothing_that_is_made_while_a_principal_is_disabled_outlives_it(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let (store, key) = (&fleet.store, &fleet.key);
    let (rogue, name) = (fleet.author.id, fleet.author.name.clone());
    let puppet = fleet.approver.id;
    let first = store
        .create_token(
            &token(TokenOwner::Principal(rogue), "slw_first", None),
            &console(key),
        )
        .await
        .unwrap();
    // The disabling transaction stops here, after it has read the tokens.
    let mut held = slipway_testkit::begin(&pool).await;
    sqlx::query("SELECT id FROM tokens WHERE id = $1 FOR UPDATE")
        .bind(first.id.as_uuid())
        .execute(&mut *held)
        .await
        .unwrap();
    let by = console(key);
    let (disabled, made) = tokio::join!(store.disable_principal(&name, &by), async {
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                     AND wait_event_type = 'Lock' AND query LIKE '%doomed%')";
        while !sqlx::query_scalar::<_, bool>(waits)
            .fetch_one(&pool)
            .await
            .unwrap()
        {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        // Somebody else gives it one more token, and with that it makes one for another principal.
        let second = store
            .create_token(
                &token(TokenOwner::Principal(rogue), "slw_second", None),
                &console(key),
            )
            .await
            .unwrap();
        let rogue = EventAuthor::new(Actor::Principal(name.clone()), key);
        let new = NewToken {
            parent: Some(second.id),
            ..token(TokenOwner::Principal(puppet), "slw_third", None)
        };
        let (made, ()) = tokio::join!(store.create_token(&new, &rogue), async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            held.rollback().await.unwrap();
        });
        made.map(drop)
    });
    disabled.unwrap();
    assert!(matches!(made, Err(StoreError::ActorDisabled { .. })), "{made:?}");
    for secret in ["slw_first", "slw_second", "slw_third"] {
        let found = store.authenticate(&TokenHash::of(secret), key).await.unwrap();
        assert_eq!(found, None, "{secret}");
    }
}
