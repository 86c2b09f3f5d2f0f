//! What was printed goes with age, and when there is too much.

use slipway_domain::{AttemptId, RolloutId};
use slipway_store::OutputSearch;
use slipway_wire::output::OutputPiece;
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Fleet, store};

/// A rollout that ended so many hours ago, whose host has printed 1,000 bytes in two pieces.
async fn printed(fleet: &Fleet, pool: &PgPool, version: u32, hours_ago: Option<i32>) -> RolloutId {
    let rollout = fleet.rollout(version).await;
    let begin = "UPDATE steps SET attempt = gen_random_uuid() WHERE rollout_id = $1 RETURNING attempt";
    let attempt: Uuid = sqlx::query_scalar(begin)
        .bind(rollout.as_uuid())
        .fetch_one(pool)
        .await
        .unwrap();
    for start in [0, 500] {
        let piece = OutputPiece {
            attempt: AttemptId::from_uuid(attempt),
            job: "activate-1".to_owned(),
            start,
            end: start + 500,
            skipped: 0,
            text: "x".repeat(500),
        };
        let kept = fleet.store.keep_output(fleet.host(0).1, &piece).await.unwrap();
        assert_eq!((kept.known, kept.rollout), (start + 500, rollout));
    }
    if let Some(hours) = hours_ago {
        let end = "UPDATE rollouts SET state = 'succeeded', finished_at = now() - make_interval(hours => $2) WHERE id = $1";
        sqlx::query(end)
            .bind(rollout.as_uuid())
            .bind(hours)
            .execute(pool)
            .await
            .unwrap();
    }
    rollout
}

async fn pieces(fleet: &Fleet, rollout: RolloutId) -> usize {
    let search = OutputSearch {
        rollout,
        host: None,
        text: None,
        after: 0,
        newest_first: false,
    };
    fleet.store.search_output(&search, 100).await.unwrap().0.len()
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn output_goes_with_age_and_the_oldest_when_there_is_too_much(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let mut rollouts = Vec::new();
    for (version, hours) in [(1, 31 * 24), (2, 29 * 24), (3, 24), (4, 0)] {
        rollouts.push(printed(&fleet, &pool, version, Some(hours)).await);
    }
    rollouts.push(printed(&fleet, &pool, 5, None).await);
    let left = async || {
        let mut left = Vec::new();
        for rollout in &rollouts {
            left.push(pieces(&fleet, *rollout).await);
        }
        left
    };
    assert_eq!(fleet.store.collect_output().await.unwrap(), Some(2));
    assert_eq!(fleet.store.collect_output().await.unwrap(), None);
    assert_eq!(left().await, [0, 2, 2, 2, 2]);
    // Four times 1,000 bytes and what pieces cost: 3 of them have room.
    assert_eq!(fleet.store.collect_output_beyond(4000).await.unwrap(), Some(2));
    assert_eq!(fleet.store.collect_output_beyond(4000).await.unwrap(), None);
    assert_eq!(left().await, [0, 0, 2, 2, 2]);
    // What may still be added to stays, however little there is room for.
    assert_eq!(fleet.store.collect_output_beyond(0).await.unwrap(), Some(2));
    assert_eq!(fleet.store.collect_output_beyond(0).await.unwrap(), None);
    assert_eq!(left().await, [0, 0, 0, 2, 2]);
}
