//! Sessions of browsers: tokens that end without use, and how they are listed.

use slipway_store::{NewToken, TokenHash, TokenOwner, TokensOf};
use sqlx::PgPool;

use crate::access::token;
use crate::support::{Fleet, ada, store};

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn tokens_are_listed_by_what_they_are_and_whether_they_work(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let (store, key, by) = (&fleet.store, &fleet.key, ada(&fleet.key));
    let owner = TokenOwner::Principal(fleet.author.id);
    let plain = store
        .create_token(&token(owner, "slw_plain", None), &by)
        .await
        .unwrap();
    let session = |secret, parent| NewToken {
        idle_seconds: Some(3600),
        parent,
        ..token(owner, secret, Some(7200))
    };
    let open = store
        .create_token(&session("slw_open", Some(plain.id)), &by)
        .await
        .unwrap();
    let idle = store.create_token(&session("slw_idle", None), &by).await.unwrap();
    // What a session makes ends with a pause of the session's length too.
    let child = NewToken {
        parent: Some(open.id),
        ..token(owner, "slw_child", None)
    };
    let child = store.create_token(&child, &by).await.unwrap();
    assert!(open.session && child.session && !plain.session);
    sqlx::query("UPDATE tokens SET last_used_at = now() - interval '61 minutes' WHERE id = $1")
        .bind(idle.id.as_uuid())
        .execute(&pool)
        .await
        .unwrap();
    let listed = async |of: TokensOf| -> Vec<_> {
        let found = store.list_tokens(of, None, 100).await.unwrap();
        found
            .into_iter()
            .filter(|token| token.principal.is_some())
            .map(|token| token.id)
            .collect()
    };
    let sessions = TokensOf {
        session: Some(true),
        ..TokensOf::default()
    };
    assert_eq!(listed(sessions).await, [child.id, idle.id, open.id]);
    let good = TokensOf {
        good: true,
        ..sessions
    };
    assert_eq!(listed(good).await, [child.id, open.id]);
    let others = TokensOf {
        session: Some(false),
        ..sessions
    };
    assert!(listed(others).await.contains(&plain.id) && !listed(others).await.contains(&open.id));
    let under = TokensOf {
        under: Some(plain.id),
        ..TokensOf::default()
    };
    assert_eq!(listed(under).await, [child.id, open.id, plain.id]);
    for (id, is_under) in [(child.id, true), (plain.id, true), (idle.id, false)] {
        assert_eq!(store.is_token_under(id, plain.id).await.unwrap(), is_under);
    }
    for (secret, works) in [("slw_open", true), ("slw_idle", false)] {
        let found = store.authenticate(&TokenHash::of(secret), key).await.unwrap();
        assert_eq!(found.is_some(), works, "{secret}");
    }
}
