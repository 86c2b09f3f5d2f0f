//! Stories of the model fleet, told to the model of the database and to Postgres: they end the same way.
//!
//! The simulated instants hold in Postgres too: there `now()` is a function of the test's own.

use std::collections::HashMap;

use slipway_domain::decide::Change;
use slipway_domain::event::Actor;
use slipway_domain::plan::Wave;
use slipway_domain::snapshot::{CommandKind, Snapshot};
use slipway_domain::strategy::{Canary, Offline, OnFailure, Share};
use slipway_domain::{
    EnvironmentId, HostId, Instruction, Observation, PrincipalId, ReleaseId, Role, RolloutId, RolloutState,
    Strategy, Timestamp,
};
use slipway_sim::stories::{LIMITS, Story};
use slipway_sim::{ClosureFate, Happening, Member, Memory, SimControlPlane, SimHost};
use slipway_store::{
    AuditKey, EventAuthor, Lease, NewCommand, NewRelease, NewRollout, Store, StoreError, Stored, TokenHash,
};
use slipway_testkit::audit_key;
use slipway_wire::access::Principal;
use slipway_wire::fleet::{CreateHost, UpdateHost};
use slipway_wire::release::Source;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::runtime::Handle;

use crate::support::{new_environment, new_host, sql};

/// No lease runs out by itself, as in the model.
const LEASE_SECONDS: u32 = 1_000_000_000;

/// `now()` finds this function before Postgres' own, also where it is a column's default.
const CLOCK: &str = "
    CREATE SCHEMA sim;
    CREATE TABLE sim.clock (at timestamptz NOT NULL);
    INSERT INTO sim.clock VALUES ('epoch');
    CREATE FUNCTION sim.now() RETURNS timestamptz STABLE LANGUAGE sql AS 'SELECT at FROM sim.clock';
    DO $$
    DECLARE c record;
    BEGIN
        FOR c IN SELECT table_name, column_name FROM information_schema.columns
                 WHERE table_schema = 'public' AND column_default LIKE '%now()%' LOOP
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET DEFAULT sim.now()', c.table_name, c.column_name);
        END LOOP;
    END $$";

/// The store as a control plane. The world has one thread, and waits for each call.
struct Postgres {
    runtime: Handle,
    pool: PgPool,
    store: Store,
    key: AuditKey,
    environment: Option<EnvironmentId>,
    author: Stored<PrincipalId, Principal>,
    approver: Stored<PrincipalId, Principal>,
    hosts: Vec<HostId>,
    doubted: Vec<bool>,
    observations: u64,
    rollout: Option<RolloutId>,
    holder: usize,
    leases: HashMap<usize, Lease>,
}

impl Postgres {
    async fn new(options: PgPoolOptions, connect: PgConnectOptions) -> Self {
        let plain = options.clone().connect_with(connect.clone()).await.unwrap();
        sql(&plain, CLOCK).await;
        let connect = connect.options([("search_path", "sim,public,pg_catalog")]);
        let pool = options.connect_with(connect).await.unwrap();
        let (store, key) = (Store::from_pool(pool.clone()), audit_key());
        let by = EventAuthor::new(Actor::Console, &key);
        let person = async |name: &str, role| {
            let name = name.parse().unwrap();
            store.create_principal(&name, role, &by).await.unwrap()
        };
        let (author, approver) = (
            person("ada", Role::Deployer).await,
            person("grace", Role::Approver).await,
        );
        Self {
            runtime: Handle::current(),
            pool,
            store,
            key,
            environment: None,
            author,
            approver,
            hosts: Vec::new(),
            doubted: Vec::new(),
            observations: 0,
            rollout: None,
            holder: 0,
            leases: HashMap::new(),
        }
    }

    /// What a worker does at every tick: it renews its lease, or takes one that has run out.
    fn take_lease(&mut self, worker: usize) {
        let name = worker.to_string();
        let claimed = self.store.claim_rollouts(&name, LEASE_SECONDS, 10);
        let claimed = self.runtime.block_on(claimed).unwrap();
        let newest = claimed
            .into_iter()
            .find(|lease| Some(lease.rollout) == self.rollout);
        self.leases.extend(newest.map(|lease| (worker, lease)));
    }
}

impl SimControlPlane for Postgres {
    type Lease = Lease;

    fn set_clock(&mut self, now: Timestamp) {
        let update = sqlx::query("UPDATE sim.clock SET at = $1").bind(now);
        self.runtime.block_on(update.execute(&self.pool)).unwrap();
    }

    fn enroll(&mut self, hosts: &[SimHost]) {
        let by = EventAuthor::new(Actor::Console, &self.key);
        self.doubted = vec![false; hosts.len()];
        self.runtime.block_on(async {
            let new = new_environment("prod");
            let environment = self.store.create_environment(&new, &by).await.unwrap();
            for host in hosts {
                let new = CreateHost {
                    labels: host.labels.clone(),
                    ..new_host(host.name.as_str(), "prod")
                };
                let hash = TokenHash::of(host.name.as_str());
                let (host, _) = self.store.create_host(&new, hash, &by).await.unwrap();
                self.hosts.push(host.id);
            }
            self.environment = Some(environment.id);
        });
    }

    fn relabel(&mut self, i: usize, host: &SimHost) {
        let by = EventAuthor::new(Actor::Console, &self.key);
        self.runtime.block_on(async {
            let known = self.store.get_host_by_name(&host.name).await.unwrap();
            assert_eq!(known.id, self.hosts[i]);
            let gone = known.labels.keys().map(|name| (name.clone(), None));
            let new = host.labels.iter();
            let new = new.map(|(name, value)| (name.clone(), Some(value.clone())));
            let change = UpdateHost {
                labels: gone.chain(new).collect(),
                ..UpdateHost::default()
            };
            self.store.update_host(&host.name, &change, &by).await.unwrap();
        });
    }

    fn begin_rollout(&mut self, strategy: &Strategy, hosts: &[SimHost], waves: &[Wave], version: u32) {
        let closures = hosts.iter().map(|host| (host.name.clone(), host.target(version)));
        let release = NewRelease {
            id: ReleaseId::generate(),
            source: Source::default(),
            message: None,
            author: self.author.id,
            closures: closures.collect(),
            manifest: None,
            name: None,
        };
        let id = self.runtime.block_on(async {
            let release = self.store.create_release(&release, &self.key).await.unwrap();
            let new = NewRollout {
                id: RolloutId::generate(),
                environment: self.environment.unwrap(),
                release: release.id,
                strategy: strategy.clone(),
                waves: waves.to_vec(),
                author: self.author.id,
                not_before: None,
                override_freeze: None,
                traceparent: None,
                narrowed: false,
            };
            self.store.create_rollout(&new, &self.key).await.unwrap()
        });
        self.rollout = Some(id);
        self.leases.clear();
        self.take_lease(self.holder);
    }

    fn observe(&mut self, i: usize, host: &SimHost) -> Instruction {
        let id = self.hosts[i];
        self.observations += 1;
        self.runtime.block_on(async {
            if self.doubted[i] != host.doubt.is_some() {
                self.doubted[i] = !self.doubted[i];
                sqlx::query(
                    "UPDATE hosts SET second_life_at = CASE WHEN $2 THEN now() + interval '50 years' END WHERE id = $1",
                )
                .bind(id.as_uuid())
                .bind(self.doubted[i])
                .execute(&self.pool)
                .await
                .unwrap();
            }
            let seen = Observation {
                host: host.name.clone(),
                agent_version: "test".to_owned(),
                clock: self.store.now().await.unwrap(),
                boot_id: "b0075eed".to_owned(),
                counter: Some(self.observations),
                live: Some(host.live.clone()),
                boot_default: Some(host.boot.clone()),
                report: host.report(),
                unsettled: host.unsettled(),
                journal_trouble: None,
                plan: None,
                facts: None,
                overrides: None,
                pending_reboot: None,
            };
            let recorded = self.store.record_observation(id, &seen).await.unwrap();
            let told = self.store.instruct(recorded.assigned, &self.key).await;
            told.unwrap().remove(&id).unwrap_or(Instruction::Idle)
        })
    }

    fn request(&mut self, kind: CommandKind) {
        let asked = self.store.request_command(
            NewCommand::new(self.rollout.unwrap(), kind, self.approver.id),
            &self.key,
        );
        match self.runtime.block_on(asked) {
            Ok(_) | Err(StoreError::CommandRefused { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn claim(&mut self, worker: usize) {
        self.holder = worker;
        let others = sqlx::query("UPDATE rollouts SET lease_expires_at = now() WHERE lease_owner <> $1");
        let expire = others.bind(worker.to_string()).execute(&self.pool);
        self.runtime.block_on(expire).unwrap();
        self.take_lease(worker);
    }

    fn read(&mut self, worker: usize) -> Option<(Lease, Snapshot)> {
        if self.holder == worker {
            self.take_lease(worker);
        }
        let lease = self.leases.get(&worker)?;
        match self.runtime.block_on(self.store.load_snapshot(lease, &self.key)) {
            Ok((snapshot, _)) => Some((lease.clone(), snapshot)),
            Err(StoreError::StaleLease { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn write(&mut self, lease: &Lease, changes: &[Change]) -> Result<bool, String> {
        match self.runtime.block_on(self.store.apply(lease, changes, &self.key)) {
            Ok(_) => Ok(true),
            Err(StoreError::StaleLease { .. }) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    fn snapshot(&self) -> Snapshot {
        let lease = &self.leases[&self.holder];
        let loaded = self.store.load_snapshot(lease, &self.key);
        self.runtime.block_on(loaded).unwrap().0
    }
}

/// Tells a story to both. The store's must be the model's word for word, and its log whole with an event for each change.
async fn tell(options: PgPoolOptions, connect: PgConnectOptions, story: Story) -> Vec<String> {
    let expected = story.tell(Memory::new());
    let account = expected.account();
    let postgres = Postgres::new(options, connect).await;
    let (database, key) = (postgres.store.clone(), postgres.key.clone());
    let told = tokio::task::spawn_blocking(move || {
        let world = story.tell(postgres);
        (world.account(), world.written)
    });
    let (found, written) = told.await.unwrap();
    for (found, expected) in found.iter().zip(&account) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), account.len());
    let report = database.verify_chain(&key).await.unwrap();
    assert_eq!(report.problem, None);
    let events = database.list_all_events(0, 1000).await.unwrap();
    let decided = events.iter().filter(|event| {
        let kind = event.event.kind.as_str();
        event.event.rollout.is_some() && !matches!(kind, "rollout.created" | "command.requested")
    });
    let decided: Vec<&str> = decided.map(|event| event.event.cause_text()).collect();
    let causes: Vec<&str> = written.iter().map(|change| change.cause.as_str()).collect();
    assert_eq!(decided, causes);
    account
}

fn members(fates: &[ClosureFate]) -> Vec<Member> {
    fates.iter().copied().map(Member::from).collect()
}

fn strategy() -> Strategy {
    Strategy {
        limits: LIMITS,
        ..Strategy::default()
    }
}

/// The numbered stories that end in these states, each in a test of its own.
macro_rules! stories_by_chance {
    ($($name:ident: $number:literal;)*) => {
        $(#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
        async fn $name(options: PgPoolOptions, connect: PgConnectOptions) {
            tell(options, connect, Story::of_number($number)).await;
        })*
    };
}

stories_by_chance! {
    a_story_by_chance_ends_the_same_way_1: 1;
    a_story_by_chance_ends_the_same_way_2: 2;
    a_story_by_chance_ends_the_same_way_3: 3;
    a_story_by_chance_ends_the_same_way_4: 4;
    a_story_by_chance_ends_the_same_way_5: 5;
    a_story_by_chance_ends_the_same_way_6: 6;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_failed_canary_ends_the_same_way(options: PgPoolOptions, connect: PgConnectOptions) {
    let story = Story {
        strategy: strategy(),
        members: members(&[ClosureFate::FailsChecks, ClosureFate::Good, ClosureFate::Good]),
        stuck: 0,
        happenings: vec![Happening::Turns, Happening::Drive],
    };
    let account = tell(options, connect, story).await;
    let reverted = format!("{:?}", RolloutState::Reverted);
    assert!(
        account
            .iter()
            .any(|line| line.starts_with(&format!("({reverted}"))),
        "{account:#?}"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_pause_a_resume_and_a_second_release_end_the_same_way(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    use Happening::{Claim, Command, Decide, Drive, Lose, Pass, Reach, Reboot, Release, Sync, Turns, Write};
    let strategy = Strategy {
        canary: Canary::Number(1),
        batch: Share::Number(2),
        max_unavailable: Share::Number(2),
        on_failure: OnFailure::Pause,
        offline: Offline::Wait,
        ..strategy()
    };
    let mut happenings = vec![Turns, Drive, Turns, Drive, Command(CommandKind::Pause), Drive];
    happenings.extend([Turns, Pass(30), Command(CommandKind::Resume), Drive]);
    // A worker back from the dead, a lost answer, a power cut and a host that is away for a while.
    happenings.extend([
        Sync(0),
        Decide(0),
        Claim(1),
        Write(0),
        Sync(1),
        Lose(1),
        Reboot(1),
    ]);
    happenings.extend([Reach(2, false), Pass(50), Turns, Drive, Reach(2, true)]);
    for _ in 0..20 {
        happenings.extend([Turns, Drive, Pass(10)]);
    }
    happenings.extend([Release(2), Turns, Drive, Command(CommandKind::Revert), Drive]);
    let story = Story {
        strategy,
        members: members(&[ClosureFate::Good, ClosureFate::FailsSwitch, ClosureFate::Good]),
        stuck: 1,
        happenings,
    };
    tell(options, connect, story).await;
}
