//! A primary with replicas and Sentinels that loses what it can lose, while wake-ups are sent.

use std::time::{Duration, Instant};

use slipway_domain::RolloutId;
use slipway_settings::RedisServer;
use slipway_wake::{Subscription, Topic, Wake, WakeUp};
use tokio::time::timeout;

use crate::cluster::{MEMBERS, Part, ROGUE, TestCluster};
use crate::server::{down, next, up, wait_until};

/// What docs/high-availability.md promises for Redis.
const BOUND: Duration = Duration::from_secs(15);
/// For what is not measured.
const LONG: Duration = Duration::from_mins(1);

struct Scene {
    cluster: TestCluster,
    /// A process that sends and one that hears.
    sender: Wake,
    hearer: Wake,
    rollouts: Subscription,
    primary: usize,
}

impl Scene {
    async fn start() -> Self {
        let cluster = TestCluster::start().await;
        let sender = Wake::connect(Some(&cluster.settings()), "a").unwrap();
        let hearer = Wake::connect(Some(&cluster.settings()), "a").unwrap();
        let mut rollouts = hearer.subscribe(Topic::Rollouts);
        assert_eq!(next(&mut rollouts).await, WakeUp::Reconnected);
        up(&sender).await;
        let mut scene = Self {
            cluster,
            sender,
            hearer,
            rollouts,
            primary: 0,
        };
        scene.works(BOUND).await;
        scene.settle(None).await;
        scene
    }

    /// How many of both processes are at this member's Redis.
    fn at(&self, member: usize) -> usize {
        let place = format!(
            "\"{}:{}\"",
            self.cluster.address(member),
            self.cluster.port(Part::Redis)
        );
        [&self.sender, &self.hearer]
            .into_iter()
            .filter(|wake| format!("{wake:?}").contains(&place))
            .count()
    }

    /// A wake-up that is sent arrives, and a counter is counted by Redis and not by this process alone. Gives how long it took.
    async fn works(&mut self, bound: Duration) -> Duration {
        let began = Instant::now();
        let arrives = async {
            loop {
                let rollout = RolloutId::generate();
                self.sender.publish_rollout(rollout).await;
                let came = timeout(Duration::from_millis(200), self.rollouts.recv()).await;
                if came == Ok(WakeUp::Rollouts([rollout].into())) {
                    return;
                }
            }
        };
        timeout(bound, arrives).await.expect("no wake-up came in time");
        let left = bound.saturating_sub(began.elapsed());
        let counted = wait_until("a write that is taken", left, async || {
            let key = RolloutId::generate().to_string();
            self.sender.count_failure(&key, 60).await;
            (self.hearer.count_failure(&key, 60).await.count == 2).then_some(())
        });
        counted.await;
        began.elapsed()
    }

    /// Waits until two Sentinels name a primary, other than this one, and both processes are there.
    async fn settle(&mut self, other_than: Option<usize>) {
        self.primary = wait_until("a primary that all agree on", LONG, async || {
            let votes = |member| {
                let named = (0..3).filter(|asked| self.cluster.primary_by(*asked) == Some(member));
                named.count()
            };
            (0..3).find(|member| Some(*member) != other_than && votes(*member) >= 2 && self.at(*member) == 2)
        })
        .await;
    }
}

#[tokio::test]
async fn a_primary_that_is_killed_is_replaced_and_comes_back_as_a_replica() {
    let mut scene = Scene::start().await;
    for _ in 0..2 {
        // A busy machine may have had a change of its own.
        scene.settle(None).await;
        let old = scene.primary;
        scene.cluster.kill(Part::Redis, old);
        let took = scene.works(BOUND).await;
        scene.settle(Some(old)).await;
        println!("killed: wake-ups and writes again after {took:?}");

        scene.cluster.run(Part::Redis, old);
        let state = scene.cluster.state(Part::Redis, old);
        assert!(
            state.contains("\nreplicaof "),
            "it must not begin as a primary without data: {state}"
        );
        scene.cluster.complete().await;
    }
}

#[tokio::test]
async fn a_primary_that_hangs_is_replaced_and_is_not_believed_when_it_wakes() {
    let mut scene = Scene::start().await;
    let old = scene.primary;
    scene.cluster.signal(Part::Redis, old, "STOP");
    let took = scene.works(BOUND).await;
    scene.settle(Some(old)).await;
    println!("frozen: wake-ups and writes again after {took:?}");
    scene.cluster.signal(Part::Redis, old, "CONT");
    wait_until("a replica in the place of the old primary", LONG, async || {
        let state = scene.cluster.state(Part::Redis, old);
        state.contains("\nreplicaof ").then_some(())
    })
    .await;
    scene.settle(None).await;
    scene.works(BOUND).await;
}

#[tokio::test]
async fn a_host_that_dies_takes_its_sentinel_with_it() {
    let mut scene = Scene::start().await;
    let old = scene.primary;
    scene.cluster.kill(Part::Sentinel, old);
    scene.cluster.kill(Part::Redis, old);
    let took = scene.works(BOUND).await;
    println!("host gone: wake-ups and writes again after {took:?}");
    scene.settle(Some(old)).await;

    // It comes back with nothing, as a new machine does.
    let folder = scene.cluster.path(MEMBERS[old]);
    for part in ["redis", "sentinel"] {
        std::fs::remove_dir_all(folder.join(part)).unwrap();
        std::fs::create_dir(folder.join(part)).unwrap();
    }
    scene.cluster.run(Part::Redis, old);
    scene.cluster.run(Part::Sentinel, old);
    let state = scene.cluster.state(Part::Redis, old);
    assert!(
        state.contains("\nreplicaof "),
        "it must ask who the primary is: {state}"
    );
    scene.settle(None).await;
    let primary = scene.primary;
    wait_until(
        "a Sentinel that has learned who the primary is",
        LONG,
        async || (scene.cluster.primary_by(old) == Some(primary)).then_some(()),
    )
    .await;
    scene.works(BOUND).await;
}

#[tokio::test]
async fn losing_all_of_it_stops_nobody_and_it_is_found_again() {
    let mut scene = Scene::start().await;
    // Without Sentinels there is nobody to promote; what works goes on.
    for member in 0..3 {
        scene.cluster.kill(Part::Sentinel, member);
    }
    scene.works(BOUND).await;
    for member in 0..3 {
        scene.cluster.kill(Part::Redis, member);
    }
    down(&scene.sender).await;
    down(&scene.hearer).await;
    let began = Instant::now();
    scene.sender.publish_rollout(RolloutId::generate()).await;
    assert_eq!(scene.sender.count_failure("key", 60).await.count, 1);
    assert_eq!(
        scene.sender.count_failure("key", 60).await.count,
        2,
        "it counts by itself"
    );
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    for member in 0..3 {
        scene.cluster.run(Part::Redis, member);
        scene.cluster.run(Part::Sentinel, member);
    }
    up(&scene.sender).await;
    up(&scene.hearer).await;
    scene.works(BOUND).await;
}

#[tokio::test]
async fn one_sentinel_that_names_another_server_is_not_believed() {
    let mut scene = Scene::start().await;
    // A server that none of the others knows, with a certificate of their authority, which says that it is a primary.
    let address = scene.cluster.address(ROGUE);
    let rogue = scene.cluster.path("rogue/redis.conf");
    let text = scene.cluster.state(Part::Redis, 2);
    let alone: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("replicaof") && !line.starts_with("min-replicas"))
        .map(|line| {
            line.replace(&scene.cluster.address(2), &address)
                .replace("ha-3/redis", "rogue")
                .replace("ha-3", "rogue")
        })
        .collect();
    std::fs::write(&rogue, alone.join("\n")).unwrap();
    scene.cluster.spawn(Part::Redis, ROGUE, &rogue);
    scene.cluster.kill(Part::Sentinel, 2);
    let liar = scene.cluster.path("ha-3/sentinel/sentinel.conf");
    let text = std::fs::read_to_string(&liar).unwrap();
    let alone = text
        .lines()
        // Nor does it hear them: it has another password than they.
        .filter(|line| {
            let shared = ["sentinel known", "sentinel myid", "user slipway-cluster"];
            !shared.iter().any(|word| line.starts_with(word))
        })
        .map(|line| {
            if line.starts_with("sentinel monitor") {
                format!(
                    "sentinel monitor shop {address} {} 1",
                    scene.cluster.port(Part::Redis)
                )
            } else if line.starts_with("sentinel sentinel-pass") {
                "sentinel sentinel-pass another-password-of-its-own".to_owned()
            } else if line.starts_with("sentinel config-epoch") {
                "sentinel config-epoch shop 900".to_owned()
            } else {
                line.to_owned()
            }
        });
    std::fs::write(&liar, alone.collect::<Vec<_>>().join("\n")).unwrap();
    scene.cluster.run_unprepared(Part::Sentinel, 2);
    // Whoever knows only this one is led astray.
    let mut settings = scene.cluster.settings();
    let node = (scene.cluster.address(2), scene.cluster.port(Part::Sentinel));
    settings.server = RedisServer::Sentinels {
        master: "shop".to_owned(),
        nodes: vec![node],
    };
    let astray = Wake::connect(Some(&settings), "a").unwrap();
    up(&astray).await;
    assert!(
        format!("{astray:?}").contains(&format!("\"{address}:")),
        "{astray:?}"
    );

    // Somebody who comes now, and whoever was there for some checks more.
    scene.hearer = Wake::connect(Some(&scene.cluster.settings()), "a").unwrap();
    up(&scene.hearer).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(scene.at(ROGUE), 0, "{:?} {:?}", scene.sender, scene.hearer);
    scene.works(BOUND).await;
}

#[tokio::test]
async fn nothing_starts_with_a_password_that_redis_would_misread() {
    let cluster = TestCluster::stopped();
    let file = cluster.path("cluster.password");
    for (text, words) in [
        (None, "does not exist; put the password there"),
        (
            Some("too-short"),
            "is not one word of 16 or more printable characters",
        ),
        (Some("two words on one line"), "is not one word of 16"),
        (
            Some("0123456789abcdef\n0123456789abcdef"),
            "is not one word of 16",
        ),
        (Some("0123456789abcdef\"#"), "has a quote, #, @ or backslash"),
    ] {
        match text {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        for part in [Part::Redis, Part::Sentinel] {
            let refused = cluster.try_prepare(part, 0);
            let said = String::from_utf8_lossy(&refused.stderr);
            assert!(!refused.status.success(), "{text:?}: {said}");
            assert!(
                said.contains(&file.display().to_string()) && said.contains(words),
                "{said}"
            );
            assert!(text.is_none_or(|text| !said.contains(text)), "{said}");
            assert_eq!(
                cluster.state(part, 0),
                "",
                "a file that is half made must not be there"
            );
        }
    }
}
