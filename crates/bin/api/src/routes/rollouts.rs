//! Rollouts, their plans, and the commands to them.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use slipway_domain::calendar::{Calendar, Hold, MAX_AHEAD_DAYS, Timing};
use slipway_domain::plan::{self, Fleet, FleetHost, Wave};
use slipway_domain::rights::Subject;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{
    CommandId, EnvironmentId, EnvironmentName, HostName, Role, RolloutId, Strategy, Timestamp, TokenCommand,
    TraceParent,
};
use slipway_store::{NewCommand, NewRollout, RolloutsOf, StoreError, Stored};
use slipway_telemetry::propagation;
use slipway_wire::fleet::Environment;
use slipway_wire::page::{Page, RolloutPageQuery};
use slipway_wire::release::ReleaseLabel;
use slipway_wire::rollout::{
    CreateCommand, CreateRollout, PlannedGroup, PlannedHost, PlannedWave, Rollout, RolloutPlan,
    RolloutSummary,
};
use slipway_wire::route;
use tracing::Span;

use super::{Answer, Created, find_environment, page, requested_page, strategy_problems};
use crate::auth::RequestContext;
use crate::endpoint::endpoints;
use crate::error::{ApiError, Result};
use crate::extract::{JsonBody, QueryParams};
use crate::number::number_of;
use crate::observe::CallerSpan;
use crate::once;
use crate::reference::RolloutParam;
use crate::state::App;
use crate::text;

endpoints! {
    list: Role(Viewer) of Named,
    create: Role(Deployer) of Named as Start,
    plan_rollout: Role(Viewer) of Named as Read,
    get: Role(Viewer) of Rollout,
    // Approving takes more, which the handler sees to.
    command: Role(Deployer) of Rollout as Asked,
}

/// List rollouts
#[utoipa::path(
    get, path = route::ROLLOUTS, operation_id = "list_rollouts", tag = "rollouts", params(RolloutPageQuery),
    responses((status = 200, description = "A page, the newest first", body = Page<RolloutSummary>))
)]
async fn list(
    context: RequestContext,
    QueryParams(query): QueryParams<RolloutPageQuery>,
) -> Answer<Page<RolloutSummary>> {
    context.require_list(query.environment.as_ref())?;
    let app = &context.app;
    let (limit, after) = requested_page(query.limit, query.after.as_deref())?;
    let environment = find_environment(app, query.environment.as_ref()).await?;
    let of = RolloutsOf {
        environment,
        release: query.release,
    };
    let found = app.store.list_rollouts(of, after, limit + 1).await?;
    Ok(Json(page(found, limit, |rollout: &RolloutSummary| {
        rollout.id.to_string()
    })))
}

/// Start a rollout
///
/// To the hosts of the environment that the release has a closure for. It begins by itself, or once somebody other than
/// its author approved it where the environment asks for that. Another strategy than the environment's takes the role
/// `admin`, unless the environment allows it. Outside the environment's windows and in a freeze it waits: hosts fetch,
/// and nothing is activated. An override takes the role `approver`.
#[utoipa::path(
    post, path = route::ROLLOUTS, operation_id = "create_rollout", tag = "rollouts", request_body = CreateRollout,
    responses(
        (status = 201, description = "The rollout", body = Rollout),
        (status = 409, description = "Another rollout of the environment is under way"),
    )
)]
async fn create(
    context: RequestContext,
    Extension(CallerSpan(caller)): Extension<CallerSpan>,
    JsonBody(request): JsonBody<CreateRollout>,
) -> Created<Rollout> {
    let once = context.once(&request)?;
    let id = once.id(RolloutId::from_uuid, RolloutId::generate);
    let context = &context;
    let find = |_| async move { once::found(context.store.get_rollout(id).await) };
    once.answer(find, Box::pin(begin(context, id, &request, caller)))
        .await
}

async fn begin(
    context: &RequestContext,
    id: RolloutId,
    request: &CreateRollout,
    caller: Option<TraceParent>,
) -> Result<Rollout> {
    context.require_in(Role::Deployer, &request.environment)?;
    let environment = find_environment_of(context, request).await?;
    let is_free = || match environment.open_rollout_number {
        Some(number) => Err(ApiError::from(StoreError::EnvironmentBusy {
            environment: environment.value.name.clone(),
            number,
        })),
        None => Ok(()),
    };
    // Told first, as it makes everything else moot; the store makes sure. Not to a token that may not see its hosts.
    if context.caller.limits.hosts.is_none() {
        is_free()?;
    }
    let Prepared {
        strategy,
        waves,
        label,
        narrowed,
        ..
    } = prepare(context, &environment, request).await?;
    require_waves(context, Role::Deployer, &environment.name, &waves)?;
    is_free()?;
    if let Some(why) = &request.override_freeze {
        context.require_command(TokenCommand::OverrideFreeze)?;
        let role = context.role_in(&environment.name);
        check_override(context, role, Some(why), "override_freeze")?;
    }
    let new = NewRollout {
        id,
        environment: environment.id,
        release: label.id,
        waves,
        strategy,
        author: context.caller.id,
        not_before: request.not_before,
        override_freeze: request.override_freeze.clone(),
        // This request's span; without traces here, the ids of other processes still join.
        traceparent: propagation::place_of(&Span::current())
            .or(caller)
            .or_else(|| Some(TraceParent::begin())),
        narrowed,
    };
    context.store.create_rollout(&new, &context.audit_key).await?;
    tracing::info!(rollout_id = %id, environment = %environment.value.name, "a rollout begins");
    context.wake.publish_rollout(id).await;
    Ok(context.store.get_rollout(id).await?)
}

/// Whether the caller may do this to every host that takes part.
fn require_waves(
    context: &RequestContext,
    least: Role,
    environment: &EnvironmentName,
    waves: &[Wave],
) -> Result<()> {
    let hosts = waves.iter().flat_map(|wave| &wave.hosts).cloned();
    context.require(least, &Subject::hosts(environment.clone(), hosts))
}

/// Whether the caller, with this role, may have a rollout go on outside windows and in a freeze.
fn check_override(context: &RequestContext, role: Role, reason: Option<&str>, field: &str) -> Result<()> {
    if role < Role::Approver {
        return Err(ApiError::Forbidden(format!(
            "overriding windows and freezes takes the role approver; the token is of `{}`, who is {}. Ask somebody with \
             that role, or wait",
            context.caller.name, role
        )));
    }
    let Some(reason) = reason else {
        return Err(ApiError::field(
            field,
            "an override takes a reason; say why it cannot wait",
        ));
    };
    text::check(field, reason, text::MESSAGE)
}

/// Whether a rollout can begin at this instant.
fn check_beginning(not_before: Option<Timestamp>, now: Timestamp) -> Result<()> {
    let Some(at) = not_before else { return Ok(()) };
    let detail = if at <= now {
        format!(
            "{at} is in the past, and it is {now} now; give a later time, or leave it out to begin at once"
        )
    } else if (at - now).num_days() >= MAX_AHEAD_DAYS {
        format!("{at} is more than {MAX_AHEAD_DAYS} days ahead; start it when it is nearer")
    } else {
        return Ok(());
    };
    Err(ApiError::field("not_before", detail))
}

/// What is known of a rollout before it begins.
struct Prepared {
    hold: Option<Hold>,
    strategy: Strategy,
    fleet: Fleet,
    waves: Vec<Wave>,
    label: ReleaseLabel,
    /// Whether hosts were left out by name, or are none of the token's.
    narrowed: bool,
}

async fn find_environment_of(
    context: &RequestContext,
    request: &CreateRollout,
) -> Result<Stored<EnvironmentId, Environment>> {
    let store = &context.store;
    Ok(store.get_environment_by_name(&request.environment).await?)
}

/// Checks what is asked for and plans the waves. Starting a rollout and showing its plan both come here.
async fn prepare(
    context: &RequestContext,
    environment: &Stored<EnvironmentId, Environment>,
    request: &CreateRollout,
) -> Result<Prepared> {
    let now = context.store.now().await?;
    check_beginning(request.not_before, now)?;
    let timing = Timing {
        calendar: Calendar {
            windows: environment.windows.clone(),
            freezes: environment.freezes.clone(),
        },
        not_before: request.not_before,
        overridden: request.override_freeze.is_some(),
    };
    let release = context.release_in(&environment.name, &request.release).await?;
    let label = context.store.get_release_label(release).await?;
    let mut fleet = context.store.list_fleet(release, environment.id).await?;
    // A token of some hosts never speaks for the whole environment, whatever its release names.
    let hides = |may: &BTreeSet<HostName>| fleet.keys().any(|host| !may.contains(host));
    let is_of_some = context.caller.limits.hosts.as_ref().is_some_and(hides);
    let narrowed = narrow(&mut fleet, request)? || is_of_some;
    if !fleet.values().any(|host| host.takes_part) {
        return Err(StoreError::NoHosts {
            environment: environment.name.clone(),
        }
        .into());
    }
    let strategy = match &request.strategy {
        Some(_) if request.reboot => {
            return Err(ApiError::field(
                "reboot",
                "it is for the environment's own strategy; leave it out and give the strategy reboot: always",
            ));
        }
        None if request.reboot => environment.strategy.rebooting(),
        Some(own) if *own != environment.strategy => {
            let role = context.role_in(&environment.name);
            if role < Role::Admin && !environment.own_strategy_allowed {
                return Err(ApiError::Forbidden(format!(
                    "another strategy than that of environment `{name}` takes the role admin; `{}` is {}. Leave it out, or \
                     let an admin allow it: slipway env set {name} --own-strategy-allowed true",
                    context.caller.name,
                    role,
                    name = environment.name
                )));
            }
            own.clone()
        }
        _ => environment.strategy.clone(),
    };
    strategy.check(&fleet).map_err(strategy_problems)?;
    let waves = plan::waves(&strategy, &fleet);
    Ok(Prepared {
        hold: timing.hold(now),
        strategy,
        fleet,
        waves,
        label,
        narrowed,
    })
}

/// Leaves alone the hosts that the request does not name, if it names any. Tells whether that is so for one.
fn narrow(fleet: &mut Fleet, request: &CreateRollout) -> Result<bool> {
    if request.hosts.is_empty() {
        return Ok(false);
    }
    let takes_part = |name: &&HostName| fleet.get(*name).is_some_and(|host| host.takes_part);
    let unknown: Vec<HostName> = request
        .hosts
        .iter()
        .filter(|name| !takes_part(name))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        let environment = &request.environment;
        return Err(StoreError::UnknownHosts {
            problem: format!("not hosts of environment `{environment}` with a closure in the release"),
            names: unknown,
        }
        .into());
    }
    let mut narrowed = false;
    for (name, host) in fleet {
        let left_out = host.takes_part && !request.hosts.contains(name);
        host.takes_part &= !left_out;
        narrowed |= left_out;
    }
    Ok(narrowed)
}

/// Show what a rollout would do
///
/// Answers with the waves that a rollout would have if it began now, or with what would keep it from beginning. Nothing
/// begins.
#[utoipa::path(
    post, path = route::ROLLOUT_PLANS, operation_id = "plan_rollout", tag = "rollouts", request_body = CreateRollout,
    responses((status = 200, description = "The plan", body = RolloutPlan))
)]
async fn plan_rollout(
    context: RequestContext,
    JsonBody(request): JsonBody<CreateRollout>,
) -> Answer<RolloutPlan> {
    context.require_in(Role::Viewer, &request.environment)?;
    let environment = find_environment_of(&context, &request).await?;
    let prepared = prepare(&context, &environment, &request).await?;
    require_waves(&context, Role::Viewer, &environment.name, &prepared.waves)?;
    let mut plan = shown(environment.value, prepared);
    plan.open_rollout = context.visible(plan.open_rollout).await?;
    plan.open_rollout_number = plan.open_rollout.and(plan.open_rollout_number);
    if let Some(may) = &context.caller.limits.hosts {
        plan.left_alone.retain(|host| may.contains(host));
    }
    Ok(Json(plan))
}

fn shown(environment: Environment, prepared: Prepared) -> RolloutPlan {
    let Prepared {
        hold,
        strategy,
        fleet,
        waves,
        label,
        narrowed: _,
    } = prepared;
    let host = |name: &HostName| {
        let known = fleet.get(name);
        PlannedHost {
            host: name.clone(),
            online: known.is_some_and(|host| host.online),
            cluster: known.and_then(FleetHost::cluster).map(ToOwned::to_owned),
        }
    };
    let mut groups: BTreeMap<u32, Vec<PlannedWave>> = BTreeMap::new();
    for (number, wave) in (0..).zip(&waves).filter(|(_, wave)| !wave.hosts.is_empty()) {
        groups.entry(wave.group).or_default().push(PlannedWave {
            wave: number,
            canary: wave.canary,
            hosts: wave.hosts.iter().map(host).collect(),
        });
    }
    let group = |(group, waves): (u32, Vec<PlannedWave>)| {
        let hosts = waves.iter().map(|wave| wave.hosts.len()).sum();
        PlannedGroup {
            group,
            name: strategy.group_name(group),
            max_unavailable: strategy.max_out_of(group, hosts).map(number_of),
            waves,
        }
    };
    let left_alone = fleet.iter().filter(|(_, host)| !host.takes_part);
    RolloutPlan {
        environment: environment.name,
        release: label.id,
        max_unavailable: number_of(strategy.max_out(fleet.len())),
        groups: groups.into_iter().map(group).collect(),
        left_alone: left_alone.map(|(name, _)| name.clone()).collect(),
        approval_required: environment.approval_required,
        open_rollout: environment.open_rollout,
        hold,
        strategy,
        release_label: Some(label),
        open_rollout_number: environment.open_rollout_number,
    }
}

/// Show a rollout
#[utoipa::path(
    get, path = route::ROLLOUT, operation_id = "get_rollout", tag = "rollouts", params(("id" = String, Path, description = "Its number, id or the beginning of its id; `latest`, `previous`, also with `@ENV`")),
    responses((status = 200, description = "The rollout with all its steps", body = Rollout))
)]
async fn get(State(app): State<App>, RolloutParam(id): RolloutParam) -> Answer<Rollout> {
    Ok(Json(app.store.get_rollout(id).await?))
}

/// Approve, pause, resume, revert or abort a rollout, or override a freeze
///
/// The worker carries it out; events tell when, and what came of it. Approving takes the role `approver`, and somebody
/// other than the author. Unless the environment allows it, author and approver must not be related: neither created
/// the other or gave it a token. An approval names the plan that was looked at, and is refused with another one.
/// `override_freeze` takes the role `approver` and a reason: the rollout does not wait for windows and freezes any more.
#[utoipa::path(
    post, path = route::ROLLOUT_COMMANDS, operation_id = "command_rollout", tag = "rollouts", request_body = CreateCommand,
    params(("id" = String, Path, description = "Its number, id or the beginning of its id; `latest`, `previous`, also with `@ENV`")),
    responses(
        (status = 202, description = "The rollout as it stands, with the command among those waiting", body = Rollout),
        (status = 409, description = "The rollout's state does not take the command"),
    )
)]
async fn command(
    context: RequestContext,
    RolloutParam(id): RolloutParam,
    JsonBody(request): JsonBody<CreateCommand>,
) -> Result<(StatusCode, Json<Rollout>)> {
    text::check_opt("reason", request.reason.as_deref(), text::MESSAGE)?;
    if request.plan.is_some() && request.command != CommandKind::Approve {
        return Err(ApiError::field(
            "plan",
            "only an approval is for a plan; leave it out".to_owned(),
        ));
    }
    context.require_command(request.command.into())?;
    let role = context.role_for_rollout(id).await?;
    if request.command == CommandKind::Approve && role < Role::Approver {
        return Err(ApiError::Forbidden(format!(
            "approving takes the role approver; the token is of `{}`, who is {}. Ask somebody with that role",
            context.caller.name, role
        )));
    }
    if request.command == CommandKind::OverrideFreeze {
        check_override(&context, role, request.reason.as_deref(), "reason")?;
    }
    let command = NewCommand {
        id: context
            .once(&request)?
            .id(CommandId::from_uuid, CommandId::generate),
        reason: request.reason.as_deref(),
        plan: request.plan,
        ..NewCommand::new(id, request.command, context.caller.id)
    };
    let id = context.store.request_command(command, &context.audit_key).await?;
    tracing::info!(rollout_id = %id, command = request.command.as_str(), "a command was given");
    context.wake.publish_rollout(id).await;
    Ok((StatusCode::ACCEPTED, Json(context.store.get_rollout(id).await?)))
}
