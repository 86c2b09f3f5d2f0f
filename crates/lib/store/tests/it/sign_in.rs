//! People whom an identity provider knows: one row each, whatever happens at once.

use futures_util::future::join_all;
use slipway_domain::{EnvironmentRoles, PrincipalId, Role, TokenId};
use slipway_store::{AuditKey, Caller, SignIn, Store, StoreError, TokenHash};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::store;

fn key() -> AuditKey {
    AuditKey::from_bytes(&[7; 32])
}

fn person(id: u128, name: &str, role: Role) -> SignIn {
    let token = TokenId::generate();
    SignIn {
        id: PrincipalId::from_uuid(Uuid::from_u128(id)),
        names: vec![name.parse().unwrap(), format!("{name}-{id}").parse().unwrap()],
        role,
        environment_roles: EnvironmentRoles::default(),
        about: "somebody of a provider".to_owned(),
        token,
        hash: TokenHash::of(&token.to_string()),
        label: "a browser".to_owned(),
        expires_in_seconds: 3600,
        idle_seconds: 600,
    }
}

async fn role_of(store: &Store, signed: &SignIn) -> Result<Role, StoreError> {
    match store.authenticate(&signed.hash, &key()).await? {
        Some(Caller::Principal(principal)) => Ok(principal.role),
        other => panic!("{other:?}"),
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn many_browsers_of_new_people_at_once_make_each_person_once(pool: PgPool) {
    let store = store(&pool);
    // Two people of one name, each in six browsers.
    let all: Vec<SignIn> = (0..12).map(|n| person(n % 2 + 1, "ada", Role::Viewer)).collect();
    let key = key();
    let made = join_all(all.iter().map(|one| store.sign_in(one, &key))).await;
    let mut names: Vec<(u128, String)> = Vec::new();
    for (one, made) in all.iter().zip(made) {
        names.push((one.id.as_uuid().as_u128(), made.unwrap().0.to_string()));
        role_of(&store, one).await.unwrap();
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_ne!(names[0].1, names[1].1);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_newest_role_counts_and_requests_meanwhile_are_answered(pool: PgPool) {
    let store = store(&pool);
    let first = person(1, "ada", Role::Admin);
    store.sign_in(&first, &key()).await.unwrap();
    let roles = [
        Role::Viewer,
        Role::Admin,
        Role::Deployer,
        Role::Viewer,
        Role::Approver,
    ];
    for role in roles.repeat(4) {
        let change = person(1, "ada", role);
        let key = key();
        let requests = async {
            for _ in 0..5 {
                role_of(&store, &first).await.unwrap();
            }
        };
        let (changed, ()) = tokio::join!(store.sign_in(&change, &key), requests);
        changed.unwrap();
    }
    assert_eq!(role_of(&store, &first).await.unwrap(), Role::Approver);

    // The event of an earlier role brings it back for nobody.
    sqlx::query("UPDATE principals SET role = 'admin'")
        .execute(&pool)
        .await
        .unwrap();
    let brought_back = role_of(&store, &first).await;
    assert!(
        matches!(brought_back, Err(StoreError::Tampered(_))),
        "{brought_back:?}"
    );
    let again = store.sign_in(&person(1, "ada", Role::Admin), &key()).await;
    assert!(matches!(again, Err(StoreError::Tampered(_))), "{again:?}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_sign_in_makes_one_session_even_if_it_comes_twice_at_once(pool: PgPool) {
    let store = store(&pool);
    let one = person(1, "ada", Role::Viewer);
    let key = key();
    let (first, second) = tokio::join!(store.sign_in(&one, &key), store.sign_in(&one, &key));
    let used = [&first, &second]
        .into_iter()
        .filter(|made| matches!(made, Err(StoreError::SignInUsed)));
    assert_eq!(used.count(), 1, "{first:?} {second:?}");
    assert!(first.is_ok() || second.is_ok());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn whoever_was_disabled_stays_so_whatever_the_database_says(pool: PgPool) {
    let store = store(&pool);
    let (ada, root) = (person(1, "ada", Role::Viewer), person(2, "root", Role::Admin));
    store.sign_in(&ada, &key()).await.unwrap();
    let (name, _) = store.sign_in(&root, &key()).await.unwrap();
    let key = key();
    let by = slipway_store::EventAuthor::new(slipway_domain::event::Actor::Principal(name), &key);
    store
        .disable_principal(&"ada".parse().unwrap(), &by)
        .await
        .unwrap();
    let refused = store.sign_in(&person(1, "ada", Role::Viewer), &key).await;
    assert!(
        matches!(refused, Err(StoreError::ActorDisabled { .. })),
        "{refused:?}"
    );
    sqlx::query("UPDATE principals SET disabled_at = NULL")
        .execute(&pool)
        .await
        .unwrap();
    let refused = store.sign_in(&person(1, "ada", Role::Viewer), &key).await;
    assert!(matches!(refused, Err(StoreError::Tampered(_))), "{refused:?}");
}
