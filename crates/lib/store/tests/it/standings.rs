//! How hosts stand, by the database and by the program.

use slipway_domain::{Standing, StepState, TokenLimits};
use slipway_store::HostsOf;
use slipway_wire::standing::{FleetHosts, HostStanding};
use sqlx::PgPool;

use crate::support::{Fleet, agents, new_environment, new_host, sql, store};

const NO_LIMITS: TokenLimits = TokenLimits {
    environments: None,
    commands: None,
    hosts: None,
};

async fn standings(fleet: &Fleet) -> Vec<HostStanding> {
    let all = fleet.store.list_standings(&NO_LIMITS, None, None, 1000);
    all.await.unwrap()
}

/// What the database says of each host is what the program says of it.
async fn same(fleet: &Fleet, what: &str) -> Vec<Standing> {
    let told = standings(fleet).await;
    let hosts = fleet.store.list_hosts(None, None, 1000).await.unwrap();
    assert_eq!(told.len(), hosts.len(), "{what}");
    for (told, host) in told.iter().zip(&hosts) {
        assert_eq!(
            (&told.name, told.standing),
            (&host.name, host.standing()),
            "{what}"
        );
    }
    told.into_iter().map(|host| host.standing).collect()
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_database_and_the_program_tell_the_same_of_a_host(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    assert_eq!(
        same(&fleet, "nobody came").await,
        [Standing::NeverSeen, Standing::NeverSeen]
    );
    let mut agents = agents(&fleet);
    for agent in &mut agents {
        agent.sync(&fleet.store).await;
    }
    fleet.rollout(1).await;
    let mut found = Vec::new();
    let first = "WHERE name = 'prod-0'";
    let changes = [
        ("pending_reboot", "'{}'"),
        ("pending_reboot", "'{kernel}'"),
        ("drift", "'[]'"),
        (
            "drift",
            "'[{\"kind\": \"live\", \"expected\": \"a\", \"found\": \"b\", \"since\": \"2026-11-30T00:00:00Z\"}]'",
        ),
        ("unsettled", "gen_random_uuid()"),
        ("last_seen_at", "now() - interval '1 minute'"),
        ("second_life_at", "now() - interval '1 hour'"),
        ("second_life_at", "now()"),
        ("second_life_at", "NULL"),
        ("journal_trouble", "'damaged'"),
    ];
    for (column, value) in changes {
        sql(&pool, &format!("UPDATE hosts SET {column} = {value} {first}")).await;
        // In each state of its step, since a worse one goes before.
        for state in StepState::ALL {
            sql(&pool, &format!("UPDATE steps SET state = '{state}'")).await;
            found.extend(same(&fleet, &format!("{column} {value} {state}")).await);
        }
    }
    for standing in Standing::ALL {
        assert!(
            found.contains(standing) || *standing == Standing::NeverSeen,
            "no host stood so: {standing}"
        );
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn hosts_are_counted_and_listed_for_whoever_may_see_them(pool: PgPool) {
    let fleet = Fleet::of(3).seed(&store(&pool)).await;
    let by = slipway_store::EventAuthor::new(slipway_domain::event::Actor::Console, &fleet.key);
    let other = new_environment("test");
    fleet.store.create_environment(&other, &by).await.unwrap();
    for name in ["db-1", "db-2"] {
        let hash = slipway_store::TokenHash::of(name);
        let new = new_host(name, "test");
        fleet.store.create_host(&new, hash, &by).await.unwrap();
    }
    sql(&pool, "UPDATE hosts SET retired_at = now() WHERE name = 'db-2'").await;
    sql(
        &pool,
        "UPDATE hosts SET labels = '{\"role\": \"db\"}' WHERE name = 'db-1'",
    )
    .await;
    fleet.rollout(1).await;
    sql(
        &pool,
        "UPDATE steps SET state = CASE WHEN host_id = (SELECT id FROM hosts WHERE name = 'prod-2')
                                       THEN 'stuck' ELSE 'committed' END",
    )
    .await;
    sql(
        &pool,
        "UPDATE hosts h SET last_seen_at = now() + interval '1 hour', live = c.closure, drift = '[{}]'
         FROM release_closures c WHERE c.host_id = h.id",
    )
    .await;

    let counted = fleet.store.count_fleet(&NO_LIMITS).await.unwrap().counts;
    let counted: Vec<_> = counted
        .iter()
        .map(|count| {
            let release = count.release.as_ref().and_then(|release| release.number);
            let place = count.environment.as_str();
            (place, count.standing, release, count.hosts, count.drifting)
        })
        .collect();
    assert_eq!(
        counted,
        [
            ("prod", Standing::Stuck, None, 1, 1),
            ("prod", Standing::Drift, Some(1), 2, 2),
            ("test", Standing::NeverSeen, None, 1, 0),
        ]
    );

    let names = |found: &FleetHosts| -> Vec<String> {
        let names = found.items.iter().map(|host| host.name.to_string());
        names.collect()
    };
    let all = |limits, words| HostsOf {
        limits,
        environment: None,
        standings: Standing::ALL.to_vec(),
        words,
    };
    let list = async |of: HostsOf<'_>, skip, limit| {
        let found = fleet.store.list_worst_hosts(&of, skip, limit).await.unwrap();
        (names(&found), found.total)
    };
    let of = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        list(all(&NO_LIMITS, Vec::new()), 0, 2).await,
        (of(&["prod-2", "db-1"]), 4),
        "the worst first"
    );
    assert_eq!(
        list(all(&NO_LIMITS, Vec::new()), 2, 10).await,
        (of(&["prod-0", "prod-1"]), 4)
    );
    assert_eq!(
        list(all(&NO_LIMITS, vec!["role=d", "1"]), 0, 10).await,
        (of(&["db-1"]), 1),
        "a word of a label and one of a name"
    );
    assert_eq!(
        list(all(&NO_LIMITS, vec!["%"]), 0, 10).await.1,
        0,
        "a word is no pattern"
    );
    let drifting = HostsOf {
        standings: vec![Standing::Drift],
        environment: Some(fleet.environment.id),
        ..all(&NO_LIMITS, Vec::new())
    };
    assert_eq!(list(drifting, 0, 10).await, (of(&["prod-0", "prod-1"]), 2));

    let environment = TokenLimits {
        environments: Some(["test".parse().unwrap()].into()),
        ..NO_LIMITS
    };
    let host = TokenLimits {
        hosts: Some(["prod-1".parse().unwrap()].into()),
        ..NO_LIMITS
    };
    for (limits, seen) in [(&environment, "db-1"), (&host, "prod-1")] {
        assert_eq!(list(all(limits, Vec::new()), 0, 10).await, (of(&[seen]), 1));
        let told = fleet.store.list_standings(limits, None, None, 10).await.unwrap();
        assert_eq!(
            told.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(),
            [seen]
        );
        let counts = fleet.store.count_fleet(limits).await.unwrap().counts;
        assert_eq!(counts.iter().map(|count| count.hosts).sum::<u32>(), 1);
    }
}
