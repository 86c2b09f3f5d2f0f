//! Rollouts as the api makes, reads and commands them.

use slipway_domain::event::Actor;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{
    AttemptOrigin, Instruction, ReleaseId, RolloutId, RolloutState, StepState, TraceParent, plan,
};
use slipway_store::{NewCommand, NewRollout, RolloutsOf, StoreError};
use slipway_wire::fleet::UpdateHost;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{
    Fleet, ada, agents, claim, open_rollouts, refusals, settings, settle, sql, store, wave,
};
use slipway_store::Store;

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_has_a_step_for_every_host_of_its_waves(pool: PgPool) {
    let fleet = Fleet::of(5).seed(&store(&pool)).await;
    let release = fleet.release(1).await;
    let plan = fleet.plan(release);
    let id = fleet.store.create_rollout(&plan, &fleet.key).await.unwrap();
    let rollout = fleet.store.get_rollout(id).await.unwrap();
    assert_eq!(rollout.summary.state, RolloutState::Staging);
    assert_eq!(rollout.summary.release, release);
    assert_eq!(
        (rollout.summary.author.clone(), rollout.approver.clone()),
        (fleet.author.name.clone(), None)
    );
    let mut at = rollout.steps.iter();
    for (wave, planned) in (0..).zip(&plan.waves) {
        for host in &planned.hosts {
            let step = at.next().unwrap();
            assert_eq!(
                (step.wave, &step.host, step.state),
                (wave, host, StepState::Waiting)
            );
        }
    }
    assert_eq!(at.next(), None);
    assert_eq!(open_rollouts(&fleet.store).await, [id]);
    let counts = fleet.store.count_rollouts().await.unwrap();
    assert_eq!(counts.len(), RolloutState::ALL.len());
    assert_eq!(counts[&RolloutState::Staging], 1);
    let environment = fleet
        .store
        .get_environment_by_name(&fleet.environment.name)
        .await
        .unwrap();
    assert_eq!(environment.open_rollout, Some(id));
    let events = fleet.store.list_events(id, 0, 10).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].event.kind.as_str(), events[0].event.to.as_deref()),
        ("rollout.created", Some("staging"))
    );
    assert!(
        events[0]
            .event
            .cause_text()
            .starts_with("rollout #1 of release #1"),
        "{}",
        events[0].event.cause
    );
    let nothing = RolloutId::generate();
    let error = fleet.store.get_rollout(nothing).await.unwrap_err();
    assert_eq!(error.to_string(), format!("there is no rollout `{nothing}`"));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn what_cannot_be_rolled_out_is_refused(pool: PgPool) {
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let other = Fleet::of(1).environment("dev").seed(&fleet.store).await;
    let good = fleet.plan(fleet.release(1).await);
    let refused = async |change: &dyn Fn(&mut NewRollout)| {
        let mut plan = good.clone();
        change(&mut plan);
        fleet
            .store
            .create_rollout(&plan, &fleet.key)
            .await
            .unwrap_err()
            .to_string()
    };
    let nothing = ReleaseId::generate();
    assert_eq!(
        refused(&|p| p.release = nothing).await,
        format!("there is no release `{nothing}`")
    );
    assert_eq!(
        refused(&|p| p.environment = other.environment.id).await,
        "not hosts of environment `dev` with a closure in the release: prod-0, prod-1"
    );
    assert_eq!(
        refused(&|p| p.waves.push(wave(1, &["dev-0"]))).await,
        "not hosts of environment `prod` with a closure in the release: dev-0"
    );
    assert_eq!(
        refused(&|p| p.waves = vec![wave(0, &[])]).await,
        "the release has no closure for any host of environment `prod`"
    );
    assert!(open_rollouts(&fleet.store).await.is_empty());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_step_keeps_its_group_whatever_becomes_of_the_label(pool: PgPool) {
    let order = serde_json::from_str(r#"{"order": ["role=db", "role=app"]}"#).unwrap();
    let fleet = Fleet::of(3).strategy(order).seed(&store(&pool)).await;
    let (store, by) = (&fleet.store, ada(&fleet.key));
    let label = async |host: &str, labels: &[(&str, &str)]| {
        let labels = labels.iter();
        let change = UpdateHost {
            labels: labels
                .map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())))
                .collect(),
            ..UpdateHost::default()
        };
        store
            .update_host(&host.parse().unwrap(), &change, &by)
            .await
            .unwrap();
    };
    label("prod-0", &[("role", "app")]).await;
    label("prod-2", &[("role", "db"), ("slipway.cluster", "main")]).await;
    let release = fleet.release(1).await;
    let strategy = &fleet.environment.strategy;
    let hosts = store.list_fleet(release, fleet.environment.id).await.unwrap();
    let mut plan = fleet.plan(release);
    plan.waves = plan::waves(strategy, &hosts);

    label("prod-1", &[("role", "app")]).await;
    let error = store.create_rollout(&plan, &fleet.key).await.unwrap_err();
    assert!(matches!(error, StoreError::LabelsChanged { .. }), "{error}");
    assert!(
        error.to_string().contains("the labels of prod-1 were changed"),
        "{error}"
    );
    let hosts = store.list_fleet(release, fleet.environment.id).await.unwrap();
    plan.waves = plan::waves(strategy, &hosts);
    let id = store.create_rollout(&plan, &fleet.key).await.unwrap();

    let places = async || {
        let steps = store.get_rollout(id).await.unwrap().steps.into_iter();
        steps
            .map(|step| {
                (
                    step.wave,
                    step.host.to_string(),
                    step.group,
                    step.canary,
                    step.cluster,
                )
            })
            .collect::<Vec<_>>()
    };
    let expected = [
        (0, "prod-2".to_owned(), 0, true, Some("main".to_owned())),
        (1, "prod-0".to_owned(), 1, true, None),
        (2, "prod-1".to_owned(), 1, false, None),
    ];
    assert_eq!(places().await, expected);
    label("prod-2", &[("role", "edge"), ("slipway.cluster", "other")]).await;
    assert_eq!(
        places().await,
        expected,
        "a label moves no host of a rollout under way"
    );
    let lease = claim(store, "w").await;
    let (snapshot, _) = store.load_snapshot(&lease, &fleet.key).await.unwrap();
    let loaded: Vec<_> = snapshot
        .steps
        .iter()
        .map(|step| (step.group, step.canary, step.cluster.as_deref()))
        .collect();
    assert_eq!(
        loaded,
        [(0, true, Some("main")), (1, true, None), (1, false, None)]
    );
    assert_eq!(snapshot.swapped, None);
    let report = store.verify_chain(&fleet.key).await.unwrap();
    assert_eq!(report.problem, None);

    // Written by a program of the release before.
    sql(
        &pool,
        "UPDATE steps SET host_group = DEFAULT, canary = NULL, cluster = NULL",
    )
    .await;
    let (snapshot, _) = store.load_snapshot(&lease, &fleet.key).await.unwrap();
    let loaded: Vec<_> = snapshot
        .steps
        .iter()
        .map(|step| (step.group, step.canary))
        .collect();
    assert_eq!(loaded, [(0, true), (0, false), (0, false)]);
    assert!(
        snapshot.swapped.is_some(),
        "somebody who changes a group by hand is found"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn one_open_rollout_an_environment_under_a_race(options: PgPoolOptions, connect: PgConnectOptions) {
    let pool = options.connect_with(connect.clone()).await.unwrap();
    let fleet = Fleet::of(2).seed(&store(&pool)).await;
    let plan = fleet.plan(fleet.release(1).await);
    let wide = Store::connect(&settings(&connect, None), "race");
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, plan, key) = (wide.clone(), plan.clone(), fleet.key.clone());
            tokio::spawn(async move { store.create_rollout(&plan, &key).await })
        })
        .collect();
    let (mut made, mut refused) = (Vec::new(), Vec::new());
    for task in tasks {
        match task.await.unwrap() {
            Ok(id) => made.push(id),
            Err(StoreError::EnvironmentBusy { environment, number }) => refused.push((environment, number)),
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((made.len(), refused.len()), (1, 7));
    let open = fleet.store.get_rollout(made[0]).await.unwrap().summary.number;
    assert!(
        refused
            .iter()
            .all(|(name, number)| *name == fleet.environment.name && Some(*number) == open)
    );
    wide.close().await;

    // The index holds by itself, too.
    let error = sqlx::query(
        "INSERT INTO rollouts (id, environment_id, release_id, strategy, state, author_id)
         SELECT gen_random_uuid(), environment_id, release_id, strategy, state, author_id FROM rollouts",
    )
    .execute(&pool)
    .await
    .unwrap_err();
    assert!(error.to_string().contains("rollouts_one_open_idx"), "{error}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn rollouts_are_listed_in_pages(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let other = Fleet::of(1).environment("dev").seed(&fleet.store).await;
    let mut made = Vec::new();
    for version in 1..=3 {
        made.insert(0, fleet.rollout(version).await);
        settle(&fleet.store, &claim(&fleet.store, "w").await)
            .await
            .unwrap();
    }
    let elsewhere = other.rollout(1).await;
    let of_environment = RolloutsOf {
        environment: Some(fleet.environment.id),
        ..RolloutsOf::default()
    };
    let first = fleet.store.list_rollouts(of_environment, None, 2).await.unwrap();
    let rest = fleet
        .store
        .list_rollouts(of_environment, Some(made[1]), 2)
        .await
        .unwrap();
    let ids: Vec<_> = first.iter().chain(&rest).map(|rollout| rollout.id).collect();
    assert_eq!(ids, made);
    assert!(first.iter().all(|rollout| rollout.finished_at.is_some()));
    let all = fleet
        .store
        .list_rollouts(RolloutsOf::default(), None, 10)
        .await
        .unwrap();
    assert_eq!((all.len(), all[0].id), (4, elsewhere));
    for rollout in &all {
        let of_release = RolloutsOf {
            release: Some(rollout.release),
            ..RolloutsOf::default()
        };
        let found = fleet.store.list_rollouts(of_release, None, 10).await.unwrap();
        let ids: Vec<_> = found.iter().map(|found| found.id).collect();
        assert_eq!(ids, [rollout.id]);
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_command_that_does_not_fit_is_refused_at_once(pool: PgPool) {
    let fleet = Fleet::of(2).approval_required().seed(&store(&pool)).await;
    let id = fleet.rollout(1).await;
    let ask = async |kind, who| {
        fleet
            .store
            .request_command(NewCommand::new(id, kind, who).because("because"), &fleet.key)
            .await
    };
    let error = ask(CommandKind::Pause, fleet.author.id).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "a rollout that is pending_approval cannot take `pause`"
    );
    let error = ask(CommandKind::Approve, fleet.author.id).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "whoever started a rollout cannot approve it; ask somebody else"
    );
    ask(CommandKind::Approve, fleet.approver.id).await.unwrap();

    let detail = fleet.store.get_rollout(id).await.unwrap();
    assert_eq!(detail.pending_commands, [CommandKind::Approve]);
    assert_eq!(
        detail.summary.state,
        RolloutState::PendingApproval,
        "only the worker changes states"
    );
    settle(&fleet.store, &claim(&fleet.store, "w").await)
        .await
        .unwrap();
    let detail = fleet.store.get_rollout(id).await.unwrap();
    assert!(detail.pending_commands.is_empty());
    assert_eq!(detail.approver, Some(fleet.approver.name.clone()));
    assert_eq!(refusals(&pool).await, [None]);

    let kinds: Vec<_> = fleet.store.list_events(id, 0, 100).await.unwrap();
    let told = |kind: &str| kinds.iter().find(|event| event.event.kind == kind).unwrap();
    assert_eq!(
        told("command.requested").event.actor,
        told("command.taken").event.actor
    );
    let asked = &told("command.requested").event;
    assert_eq!(
        (&asked.actor, asked.cause_text()),
        (&Actor::Principal(fleet.approver.name.clone()), "approve: because")
    );
    let nothing = RolloutId::generate();
    let error = fleet
        .store
        .request_command(
            NewCommand::new(nothing, CommandKind::Abort, fleet.author.id),
            &fleet.key,
        )
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), format!("there is no rollout `{nothing}`"));
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_late_command_is_refused_by_the_worker(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let id = fleet.rollout(1).await;
    for _ in 0..2 {
        fleet
            .store
            .request_command(
                NewCommand::new(id, CommandKind::Abort, fleet.author.id),
                &fleet.key,
            )
            .await
            .unwrap();
    }
    let lease = claim(&fleet.store, "w").await;
    settle(&fleet.store, &lease).await.unwrap();
    fleet.store.release_lease(&lease).await.unwrap();
    let taken = refusals(&pool).await;
    assert_eq!((taken.len(), &taken[0]), (2, &None));
    assert_eq!(
        fleet.store.get_rollout(id).await.unwrap().summary.state,
        RolloutState::Aborted
    );
    let error = fleet
        .store
        .request_command(
            NewCommand::new(id, CommandKind::Abort, fleet.author.id),
            &fleet.key,
        )
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "a rollout that is aborted cannot take `abort`");

    // One that came in while the rollout ended: the worker takes the rollout up again to say no.
    sql(
        &pool,
        "UPDATE rollout_commands SET applied_at = NULL, refused = NULL WHERE seq = (SELECT max(seq) FROM rollout_commands)",
    )
    .await;
    settle(&fleet.store, &claim(&fleet.store, "w").await)
        .await
        .unwrap();
    assert_eq!(
        refusals(&pool).await,
        [None, Some("the rollout is over (aborted)".to_owned())]
    );
    assert!(ada(&fleet.key).actor.name() == "ada");
}

/// A claim ignores what is locked, so a worker that looks right after a refusal would find nothing.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_refused_command_has_let_go_of_its_rollout_when_it_answers(pool: PgPool) {
    let fleet = Fleet::of(1).approval_required().seed(&store(&pool)).await;
    let rollout = fleet.rollout(1).await;
    let mut connections = Vec::new();
    for _ in 0..3 {
        connections.push(pool.acquire().await.unwrap());
    }
    // Idle ones, so that who looks next does not have to wait for the one of the refusal.
    drop(connections);
    for _ in 0..20 {
        let asked = fleet.store.request_command(
            NewCommand::new(rollout, CommandKind::Approve, fleet.author.id),
            &fleet.key,
        );
        assert!(matches!(asked.await, Err(StoreError::SelfApproval)));
        let held = "SELECT count(*) FROM (SELECT FROM rollouts FOR UPDATE SKIP LOCKED) AS free";
        let free: i64 = sqlx::query_scalar(held).fetch_one(&pool).await.unwrap();
        assert_eq!(free, 1);
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_place_of_a_rollout_in_its_trace_reaches_the_worker_and_every_agent(pool: PgPool) {
    let fleet = Fleet::of(1).seed(&store(&pool)).await;
    let traceparent: TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        .parse()
        .unwrap();
    let plan = NewRollout {
        traceparent: Some(traceparent.clone()),
        ..fleet.plan(fleet.release(1).await)
    };
    let rollout = fleet.store.create_rollout(&plan, &fleet.key).await.unwrap();
    let shown = fleet.store.get_rollout(rollout).await.unwrap();
    assert_eq!(
        shown.trace_id.as_deref(),
        Some("0af7651916cd43dd8448eb211c80319c")
    );
    let lease = claim(&fleet.store, "one").await;
    assert_eq!(lease.traceparent, Some(traceparent.clone()));
    // Nothing is staged for a host that nobody heard of.
    agents(&fleet)[0].sync(&fleet.store).await;
    settle(&fleet.store, &lease).await.unwrap();

    // A later version's form, or none as release 0.1.0 leaves it: the work goes on without the trace.
    let told = async || {
        let assigned = fleet
            .store
            .find_assigned(&[*fleet.hosts.values().next().unwrap()])
            .await
            .unwrap();
        let told = fleet.store.instruct(assigned, &fleet.key).await.unwrap();
        match told.into_values().next() {
            Some(Instruction::Stage { origin, .. }) => origin.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    for (column, traceparent) in [
        (None, Some(traceparent)),
        (Some("'cc-new'"), None),
        (Some("NULL"), None),
    ] {
        if let Some(column) = column {
            sql(&pool, &format!("UPDATE rollouts SET traceparent = {column}")).await;
        }
        assert_eq!(told().await, AttemptOrigin { rollout, traceparent });
    }
    assert_eq!(fleet.store.get_rollout(rollout).await.unwrap().trace_id, None);
}
