//! An approval by somebody related to the author counts only where the environment permits it, and as long as it does.

use slipway_domain::event::Actor;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{PrincipalId, Role, RolloutId, RolloutState};
use slipway_store::{EventAuthor, NewCommand, NewToken, PreflightOf, StoreError, TokenHash, TokenOwner};
use slipway_wire::fleet::UpdateEnvironment;
use sqlx::PgPool;

use crate::decided::state;
use crate::support::{Fleet, ada, agents, claim, settle, sql, store};

async fn permit(fleet: &Fleet, allowed: bool) {
    let change = UpdateEnvironment {
        related_approval_allowed: Some(allowed),
        ..UpdateEnvironment::default()
    };
    let by = EventAuthor::new(Actor::Console, &fleet.key);
    fleet
        .store
        .update_environment(&fleet.environment.name, &change, &by)
        .await
        .unwrap();
}

/// An approver that ada, who starts rollouts, made herself.
async fn puppet(fleet: &Fleet) -> PrincipalId {
    let name = "puppet".parse().unwrap();
    let puppet = fleet
        .store
        .create_principal(&name, Role::Approver, &ada(&fleet.key))
        .await
        .unwrap();
    puppet.id
}

async fn approve(fleet: &Fleet, rollout: RolloutId, who: PrincipalId) -> Result<(), StoreError> {
    let kind = CommandKind::Approve;
    fleet
        .store
        .request_command(NewCommand::new(rollout, kind, who), &fleet.key)
        .await
        .map(drop)
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn an_approval_by_a_related_principal_stages_nothing_where_that_is_not_permitted(pool: PgPool) {
    for permitted in [true, false] {
        let environment = if permitted { "open" } else { "strict" };
        let fleet = Fleet::of(2)
            .environment(environment)
            .approval_required()
            .seed(&store(&pool))
            .await;
        let who = match fleet
            .store
            .find_principal_by_name(&"puppet".parse().unwrap())
            .await
            .unwrap()
        {
            Some(puppet) => puppet.id,
            None => puppet(&fleet).await,
        };
        for agent in &mut agents(&fleet) {
            agent.sync(&fleet.store).await;
        }
        let rollout = fleet.rollout(1).await;
        permit(&fleet, true).await;
        approve(&fleet, rollout, who).await.unwrap();
        permit(&fleet, permitted).await;
        settle(&fleet.store, &claim(&fleet.store, environment).await)
            .await
            .unwrap();
        let (now, why) = state(&fleet, rollout).await;
        if permitted {
            assert_eq!(now, RolloutState::Staging, "{why}");
            continue;
        }
        assert_eq!(now, RolloutState::Paused, "{why}");
        assert!(why.contains("by a principal related to its author"), "{why}");
        let steps = fleet.store.get_rollout(rollout).await.unwrap().steps;
        assert!(
            steps.iter().all(|step| step.attempt.is_none()),
            "a host was told something"
        );
    }
}

/// Whatever is done to the columns for the moment in which the approval is taken.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_hand_in_another_is_found_whatever_the_columns_say(pool: PgPool) {
    let fleet = Fleet::of(1).approval_required().seed(&store(&pool)).await;
    let who = puppet(&fleet).await;
    let rollout = fleet.rollout(1).await;
    let refused = approve(&fleet, rollout, who).await;
    assert!(
        matches!(refused, Err(StoreError::RelatedApproval { .. })),
        "{refused:?}"
    );
    sql(&pool, "UPDATE principals SET made_by = NULL").await;
    let refused = approve(&fleet, rollout, who).await;
    assert!(matches!(refused, Err(StoreError::Tampered(_))), "{refused:?}");

    sql(
        &pool,
        "UPDATE principals SET made_by = (SELECT id FROM principals WHERE name = 'ada') WHERE name = 'puppet'",
    )
    .await;

    // grace was made by nobody, and has a token that puppet made for her.
    let by = EventAuthor::new(Actor::Principal("puppet".parse().unwrap()), &fleet.key);
    let lent = NewToken {
        owner: TokenOwner::Principal(fleet.approver.id),
        label: "lent".to_owned(),
        hash: TokenHash::of("slw_lent"),
        expires_in_seconds: None,
        parent: None,
        limits: slipway_domain::TokenLimits::default(),
        idle_seconds: None,
    };
    fleet.store.create_token(&lent, &by).await.unwrap();
    sql(
        &pool,
        "UPDATE principals SET name = 'nobody' WHERE name = 'puppet'",
    )
    .await;
    let refused = approve(&fleet, rollout, fleet.approver.id).await;
    assert!(matches!(refused, Err(StoreError::Tampered(_))), "{refused:?}");
    sql(
        &pool,
        "UPDATE principals SET name = 'puppet' WHERE name = 'nobody'",
    )
    .await;

    // So does one that ada made for her.
    let token = NewToken {
        owner: TokenOwner::Principal(fleet.approver.id),
        label: "shared".to_owned(),
        hash: TokenHash::of("slw_shared"),
        expires_in_seconds: None,
        parent: None,
        limits: slipway_domain::TokenLimits::default(),
        idle_seconds: None,
    };
    fleet.store.create_token(&token, &ada(&fleet.key)).await.unwrap();
    for hide in [
        "SELECT",
        "UPDATE tokens SET made_by = NULL, revoked_at = now()",
        "DELETE FROM tokens",
    ] {
        sql(&pool, hide).await;
        let refused = approve(&fleet, rollout, fleet.approver.id).await;
        assert!(
            matches!(refused, Err(StoreError::RelatedApproval { .. })),
            "{hide}: {refused:?}"
        );
    }
}

/// As the approval itself would find it: by the whole chain, and not by who made whom directly.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_preflight_counts_those_whose_approval_would_be_taken(pool: PgPool) {
    let fleet = Fleet::of(1).approval_required().seed(&store(&pool)).await;
    puppet(&fleet).await;
    let by = EventAuthor::new(Actor::Principal("puppet".parse().unwrap()), &fleet.key);
    fleet
        .store
        .create_principal(&"string".parse().unwrap(), Role::Approver, &by)
        .await
        .unwrap();
    let release = fleet.release(1).await;
    let looked = async || {
        let of = PreflightOf {
            environment: fleet.environment.id,
            release,
            by: fleet.author.id,
            version: String::new(),
            hold: None,
        };
        let (subject, _) = fleet.store.load_preflight(&of, &fleet.key).await.unwrap();
        let related: Vec<String> = subject
            .environment
            .related
            .iter()
            .map(ToString::to_string)
            .collect();
        (subject.environment.approvers, related)
    };
    let puppets = vec!["puppet".to_owned(), "string".to_owned()];
    assert_eq!(looked().await, (1, puppets.clone()), "grace alone could");
    sql(
        &pool,
        "UPDATE principals SET disabled_at = now() WHERE name = 'grace'",
    )
    .await;
    assert_eq!(looked().await, (0, puppets));
    permit(&fleet, true).await;
    assert_eq!(looked().await, (2, Vec::new()));
}
