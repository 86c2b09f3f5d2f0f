//! What the proof of a caller costs, for docs/database.md: `cargo bench -p slipway-store` with `DATABASE_URL` of a superuser.
//! It takes a minute, in a database of its own.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "whoever starts it reads what it prints, and a step that fails must end it"
)]

use std::time::Instant;

use slipway_domain::event::Actor;
use slipway_store::{EventAuthor, NewToken, Store, TokenHash, TokenOwner};
use slipway_testkit::{Fleet, measure_in, store};
use sqlx::PgPool;

const DATABASE: &str = "slipway_bench_prove_caller";
/// Tokens among which one is looked for, each with its event.
const TOKENS: usize = 2_000;
const ROUNDS: u32 = 2_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    measure_in(DATABASE, measure).await;
}

async fn measure(pool: &PgPool) {
    let fleet = Fleet::of(1).seed(&store(pool)).await;
    for n in 0..TOKENS {
        let token = NewToken {
            owner: TokenOwner::Principal(fleet.author.id),
            label: "bench".to_owned(),
            hash: TokenHash::of(&format!("slw_{n}")),
            expires_in_seconds: None,
            parent: None,
            limits: slipway_domain::TokenLimits::default(),
            idle_seconds: None,
        };
        let by = EventAuthor::new(Actor::Console, &fleet.key);
        fleet.store.create_token(&token, &by).await.unwrap();
    }
    sqlx::raw_sql("ANALYZE").execute(pool).await.unwrap();
    let hash = TokenHash::of("slw_1000");
    let prove = time(&fleet.store, async |store| {
        store.authenticate(&hash, &fleet.key).await.unwrap().unwrap();
    });
    println!("find, as proved before: {:.0} us", prove.await);
    // One that remembers nothing yet, on the same connections.
    let prove = time(&fleet.store, async |_| {
        let store = Store::from_pool(pool.clone());
        store.authenticate(&hash, &fleet.key).await.unwrap().unwrap();
    });
    println!("find and prove: {:.0} us", prove.await);
}

/// Microseconds that one takes, after some that warm up.
async fn time(store: &Store, work: impl AsyncFn(&Store)) -> f64 {
    for _ in 0..100 {
        work(store).await;
    }
    let start = Instant::now();
    for _ in 0..ROUNDS {
        work(store).await;
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
}
