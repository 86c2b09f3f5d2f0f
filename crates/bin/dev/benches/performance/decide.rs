//! Part `decide`: what a worker does in each round of a rollout, by the size of the fleet.

use std::time::Instant;

use anyhow::{Context as _, Result};
use slipway_dev::say::say;
use slipway_dev::stack::DevStack;
use slipway_domain::decide::decide;
use slipway_domain::{AttemptId, Strategy};
use slipway_store::MIGRATOR;
use slipway_testkit::{Fleet, store};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};

use crate::figures::{Figures, median};

const SIZES: [usize; 6] = [100, 300, 1_000, 3_000, 5_000, 10_000];
const ROUNDS: usize = 15;
const LEASE_SECONDS: u32 = 600;
const DATABASE: &str = "bench_decide";

/// Names of the curves.
pub(crate) const LOAD: &str = "load a rollout";
pub(crate) const DECIDE: &str = "decide what is next";

pub(crate) async fn measure(stack: &DevStack, figures: &mut Figures) -> Result<()> {
    let server: PgConnectOptions = stack.postgres.admin_url().parse()?;
    let mut owner = PgConnection::connect_with(&server).await?;
    let (mut load, mut decided) = (Vec::new(), Vec::new());
    for size in SIZES {
        say(&format!("a rollout to {size} hosts"));
        for statement in [
            format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"),
            format!("CREATE DATABASE {DATABASE}"),
        ] {
            sqlx::raw_sql(&statement).execute(&mut owner).await?;
        }
        let pool = PgPoolOptions::new()
            .connect_with(server.clone().database(DATABASE))
            .await?;
        MIGRATOR.run(&pool).await?;
        let (took, decide_took) = of(&pool, size).await?;
        pool.close().await;
        let size = u32::try_from(size)?;
        load.push((size, took));
        decided.push((size, decide_took));
    }
    figures.curves.insert(LOAD.to_owned(), load);
    figures.curves.insert(DECIDE.to_owned(), decided);
    Ok(())
}

/// Milliseconds that each takes.
async fn of(pool: &PgPool, hosts: usize) -> Result<(f64, f64)> {
    let fleet = Fleet::of(hosts)
        .strategy(Strategy::default())
        .seed(&store(pool))
        .await;
    fleet.rollout(1).await;
    sqlx::raw_sql("ANALYZE").execute(pool).await?;
    let leases = fleet.store.claim_rollouts("bench", LEASE_SECONDS, 1).await?;
    let lease = leases.first().context("there is no rollout to claim")?;
    let (mut load, mut decided) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let (snapshot, now) = fleet.store.load_snapshot(lease, &fleet.key).await?;
        load.push(start.elapsed().as_secs_f64() * 1000.0);
        let start = Instant::now();
        let changes = decide(&snapshot, now, &mut AttemptId::random);
        decided.push(start.elapsed().as_secs_f64() * 1000.0);
        std::hint::black_box(changes);
    }
    Ok((median(load), median(decided)))
}
