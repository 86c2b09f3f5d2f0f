//! Against a real Postgres: DATABASE_URL names a server on which databases may be created.

use sqlx::PgPool;

#[sqlx::test(migrator = "jobs::MIGRATOR")]
async fn a_job_is_done_once(pool: PgPool) {
    let id = jobs::add(&pool, "hello").await.unwrap();
    assert_eq!(jobs::result(&pool, id).await.unwrap(), None);
    assert!(jobs::do_one(&pool, str::to_uppercase).await.unwrap());
    assert_eq!(jobs::result(&pool, id).await.unwrap().as_deref(), Some("HELLO"));
    assert!(!jobs::do_one(&pool, str::to_uppercase).await.unwrap());
}

#[sqlx::test(migrator = "jobs::MIGRATOR")]
async fn two_workers_take_different_jobs(pool: PgPool) {
    let first = jobs::add(&pool, "a").await.unwrap();
    let second = jobs::add(&pool, "b").await.unwrap();
    let mut held = pool.begin().await.unwrap();
    sqlx::query("SELECT id FROM jobs WHERE id = $1 FOR UPDATE")
        .bind(first)
        .execute(&mut *held)
        .await
        .unwrap();
    assert!(jobs::do_one(&pool, str::to_uppercase).await.unwrap());
    held.rollback().await.unwrap();
    assert_eq!(jobs::result(&pool, second).await.unwrap().as_deref(), Some("B"));
    assert_eq!(jobs::result(&pool, first).await.unwrap(), None);
}
