//! Rollouts.

mod logs;
mod plan;

use std::fmt::Write as _;

use slipway_client::Client;
use slipway_domain::calendar::{GivenTime, Hold};
use slipway_domain::digest::Digest;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::{
    EnvironmentName, HostName, Reference, ReleaseRef, RolloutId, RolloutRef, RolloutState, Strategy,
};
use slipway_text::plain;
use slipway_wire::audit::{Event, EventQuery};
use slipway_wire::page::{EnvironmentPageQuery, MAX_LIMIT};
use slipway_wire::plan::RolloutHostPlans;
use slipway_wire::problem::kind;
use slipway_wire::rollout::{CreateCommand, CreateRollout, FreezeOverride, Rollout, RolloutSummary, Step};

use super::{List, audit, first, strategy};
use crate::args::{Approval, HostArgs, Order, RolloutArg, RolloutCommand, StrategyArgs};
use crate::context::Context;
use crate::output::Output;
use crate::table::{Cell, Table, rollout_state, step_state};
use crate::text::{LIST_TEXT_CHARS, ago, brief, clean, instant, listed, maybe_instant, short_duration};
use crate::{CliFailure, Exit, names, watch};

pub(super) async fn run(context: &Context, command: RolloutCommand) -> Result<Exit, CliFailure> {
    let output = context.output;
    let client = context.client()?;
    match command {
        RolloutCommand::Plan {
            environment,
            release,
            strategy: args,
            hosts,
        } => {
            let create = request(&client, environment, release, &args, hosts).await?;
            let plan = client.plan_rollout(&create).await?;
            output.show(&plan, || plan::text(&plan, &output))?;
        }
        RolloutCommand::Start {
            environment,
            release,
            strategy: args,
            at,
            override_freeze: _,
            reason,
            hosts,
            watch: watching,
            how,
        } => {
            if !watching && (how.until_paused || how.timeout.is_some() || how.logs) {
                let failure = CliFailure::usage("--until-paused, --timeout and --logs are for watching");
                return Err(failure.help("add --watch"));
            }
            let create = CreateRollout {
                not_before: at.map(|GivenTime(at)| at),
                override_freeze: reason.as_deref().map(plain),
                ..request(&client, environment, release, &args, hosts).await?
            };
            let rollout = client.create_rollout(&create).await?;
            let summary = &rollout.summary;
            let started = names::rollout_of_release(summary);
            if watching {
                output.note(format_args!("started the rollout {started}"));
                return watch::watch(&output, &client, summary.id, &how).await;
            }
            output.show(&rollout, || {
                format!(
                    "started the rollout {started}: {}\nnext: slipway rollout watch {}\n",
                    summary.state,
                    summary.reference()
                )
            })?;
        }
        RolloutCommand::Watch { rollout, how } => {
            let id = follow_up(&client, rollout).await?;
            return watch::watch(&output, &client, id, &how).await;
        }
        RolloutCommand::List { env, limit } => {
            let rollouts = list(&client, env, limit).await?;
            output.show(&List { items: &rollouts }, || list_text(&rollouts, &output))?;
        }
        RolloutCommand::Show { rollout, plan: true } => {
            let rollout = resolve(&client, rollout, Which::OpenOrNewest).await?;
            let plans = client.rollout_host_plans(&rollout).await?;
            output.show(&plans, || plan_text(&plans))?;
        }
        RolloutCommand::Show { rollout, plan: false } => {
            let rollout = resolve(&client, rollout, Which::OpenOrNewest).await?;
            let rollout = client.rollout(&rollout).await?;
            output.show(&rollout, || text(&rollout, &output))?;
        }
        RolloutCommand::Logs(args) => return logs::run(&client, &output, args).await,
        RolloutCommand::Approve(approval) => approve(&client, &output, approval).await?,
        RolloutCommand::Pause(order) => give(&client, &output, order, CommandKind::Pause, None).await?,
        RolloutCommand::Resume(seen) => {
            give(&client, &output, seen.into(), CommandKind::Resume, None).await?;
        }
        RolloutCommand::OverrideFreeze { rollout, reason } => {
            let order = Order {
                rollout: RolloutArg::Rollout(rollout),
                reason: Some(reason),
            };
            give(&client, &output, order, CommandKind::OverrideFreeze, None).await?;
        }
        RolloutCommand::Revert(order) => give(&client, &output, order, CommandKind::Revert, None).await?,
        RolloutCommand::Abort(order) => give(&client, &output, order, CommandKind::Abort, None).await?,
        RolloutCommand::Events { rollout, after } => {
            let rollout = resolve(&client, rollout, Which::OpenOrNewest).await?;
            let events = events(&client, &rollout, after).await?;
            output.show(&List { items: &events }, || {
                if events.is_empty() {
                    return format!("no events after number {after}\n");
                }
                events.iter().map(audit::line).collect()
            })?;
        }
    }
    Ok(Exit::Success)
}

async fn request(
    client: &Client,
    environment: EnvironmentName,
    release: ReleaseRef,
    args: &StrategyArgs,
    hosts: HostArgs,
) -> Result<CreateRollout, CliFailure> {
    let base = if strategy::changes_the_old(args) {
        client.environment(&environment).await?.strategy
    } else {
        Strategy::default()
    };
    let strategy = strategy::is_given(args)
        .then(|| strategy::build(args, base))
        .transpose()?;
    Ok(CreateRollout {
        environment,
        release,
        strategy,
        not_before: None,
        override_freeze: None,
        hosts: hosts.hosts,
        reboot: hosts.reboot,
    })
}

#[derive(PartialEq)]
pub(super) enum Which {
    /// An order is only ever meant for a rollout that is not over.
    Open,
    OpenOrNewest,
}

/// The rollout that is meant; for an environment the one under way, or else its newest.
pub(super) async fn resolve(
    client: &Client,
    rollout: RolloutArg,
    which: Which,
) -> Result<RolloutRef, CliFailure> {
    let name = match rollout {
        RolloutArg::Rollout(rollout) => return Ok(rollout),
        RolloutArg::Environment(name) => name,
    };
    let environment = match client.environment(&name).await {
        Err(error) if error.is(kind::NOT_FOUND) => {
            return Err(
                CliFailure::not_found(format!("`{name}` is neither a rollout nor an environment")).help(
                    "give a rollout's number, which `slipway rollout list` shows; a release's name is none",
                ),
            );
        }
        other => other?,
    };
    if let Some(id) = environment.open_rollout {
        return Ok(id.into());
    }
    if which == Which::Open {
        return Err(
            CliFailure::not_found(format!("the environment {name} has no rollout under way"))
                .help(format!("slipway rollout list --env {name}")),
        );
    }
    let query = EnvironmentPageQuery {
        environment: Some(name.clone()),
        after: None,
        limit: Some(1),
    };
    let newest = client.rollouts(&query).await?.items.into_iter().next();
    newest.map(|rollout| rollout.id.into()).ok_or_else(|| {
        CliFailure::not_found(format!("the environment {name} never had a rollout"))
            .help(format!("start one: slipway rollout start {name} RELEASE"))
    })
}

/// What the reference means now, whatever it will mean later.
async fn follow_up(client: &Client, rollout: RolloutArg) -> Result<RolloutId, CliFailure> {
    Ok(match resolve(client, rollout, Which::OpenOrNewest).await? {
        Reference::Id(id) => id,
        other => client.rollout(&other).await?.summary.id,
    })
}

/// An approval is for a plan, and nobody approves one that they have not looked at.
async fn approve(client: &Client, output: &Output, approval: Approval) -> Result<(), CliFailure> {
    let Approval { order, plan } = approval;
    let id = &order.rollout;
    let Some(plan) = plan else {
        let plans = client.rollout_host_plans(id).await?;
        let look = format!("slipway rollout show --plan {id}");
        if let Some(why) = why_not_yet(&plans) {
            return Err(CliFailure::usage(why).help(format!("look again: {look}")));
        }
        let failure = CliFailure::usage("an approval is for a plan: give it with --plan");
        return Err(failure.help(format!(
            "look at it with `{look}`; if it is what you want: slipway rollout approve {id} --plan {}",
            plans.digest
        )));
    };
    give(client, output, order.into(), CommandKind::Approve, Some(plan)).await
}

/// Why no approval of the rollout would be taken now, while hosts fetch.
fn why_not_yet(plans: &RolloutHostPlans) -> Option<String> {
    let fetching: Vec<&str> = plans.still_fetching().map(HostName::as_str).collect();
    let is_waiting = plans.state == RolloutState::PendingApproval && !fetching.is_empty();
    is_waiting.then(|| {
        format!(
            "it cannot be approved yet: {} still to fetch: {}",
            match fetching.len() {
                1 => "1 online host has".to_owned(),
                several => format!("{several} online hosts have"),
            },
            listed(&fetching, super::plan::MOST_NAMED)
        )
    })
}

fn plan_text(plans: &RolloutHostPlans) -> String {
    let mut text = super::plan::of_rollout(plans);
    if plans.state != RolloutState::PendingApproval {
        return text;
    }
    let id = plans
        .rollout_number
        .map_or(RolloutRef::Id(plans.rollout), RolloutRef::Number);
    let _ = match (why_not_yet(plans), &plans.approval_refused) {
        (Some(why), _) => writeln!(text, "\n{why}\nlook again: slipway rollout show --plan {id}"),
        (None, Some(refused)) => writeln!(text, "\nyou cannot approve it: {}", clean(refused)),
        (None, None) => writeln!(
            text,
            "\nto approve it: slipway rollout approve {id} --plan {}",
            plans.digest
        ),
    };
    text
}

async fn give(
    client: &Client,
    output: &Output,
    order: Order,
    command: CommandKind,
    plan: Option<Digest>,
) -> Result<(), CliFailure> {
    let rollout = resolve(client, order.rollout, Which::Open).await?;
    let request = CreateCommand {
        command,
        reason: order.reason.as_deref().map(plain),
        plan,
    };
    let rollout = client.command_rollout(&rollout, &request).await?;
    output.show(&rollout, || {
        let summary = &rollout.summary;
        let label = summary.label();
        let done = match (command, plan) {
            (CommandKind::Approve, Some(plan)) => {
                format!("approved the rollout {label} with the plan {plan}")
            }
            (CommandKind::Approve, None) => format!("approved the rollout {label}"),
            (CommandKind::OverrideFreeze, _) => {
                format!("overrode the windows and freezes for the rollout {label}")
            }
            _ => format!("asked the rollout {label} to {}", command.as_str()),
        };
        format!(
            "{done}; a worker takes it up, until then it is {}\nnext: slipway rollout watch {}\n",
            summary.state,
            summary.reference()
        )
    })
}

async fn list(
    client: &Client,
    environment: Option<EnvironmentName>,
    limit: u32,
) -> Result<Vec<RolloutSummary>, CliFailure> {
    let rollouts = first(limit, async |limit, after| {
        let query = EnvironmentPageQuery {
            environment: environment.clone(),
            after,
            limit: Some(limit),
        };
        client.rollouts(&query).await
    });
    Ok(rollouts.await?)
}

async fn events(client: &Client, id: &RolloutRef, mut after: i64) -> Result<Vec<Event>, CliFailure> {
    let mut events = Vec::new();
    loop {
        let query = EventQuery {
            after: Some(after),
            limit: Some(MAX_LIMIT),
            ..EventQuery::default()
        };
        let page = client.rollout_events(id, &query, None).await?.items;
        match page.last() {
            Some(last) if last.number > after => after = last.number,
            _ => return Ok(events),
        }
        events.extend(page);
    }
}

fn list_text(rollouts: &[RolloutSummary], output: &Output) -> String {
    let now = (output.now)();
    let mut table = Table::new(&[
        "ROLLOUT", "ENV", "STATE", "RELEASE", "STARTED", "TOOK", "BY", "REASON",
    ]);
    for rollout in rollouts {
        let took = rollout
            .finished_at
            .map(|end| short_duration(end - rollout.created_at));
        table.row([
            rollout.label().into(),
            rollout.environment.as_str().into(),
            rollout_state(rollout.state),
            names::release(rollout.release, rollout.release_label.as_ref()).into(),
            ago(now, Some(rollout.created_at)).into(),
            Cell::maybe(took),
            rollout.author.as_str().into(),
            Cell::maybe(
                (rollout
                    .hold
                    .as_ref()
                    .map(Hold::words)
                    .or_else(|| rollout.reason.clone()))
                .map(|reason| brief(&reason, LIST_TEXT_CHARS)),
            ),
        ]);
    }
    table.render(
        output.colour,
        "no rollouts; start one: slipway rollout start ENV RELEASE",
    )
}

fn text(rollout: &Rollout, output: &Output) -> String {
    let summary = &rollout.summary;
    let reason = summary.reason.as_deref().map(|why| format!(": {}", clean(why)));
    let mut text = format!(
        "rollout      {}\nenvironment  {}\nrelease      {}\nstate        {}{}\nsince        {}\nstarted      {} by {}\nover         {}\n",
        names::rollout_and_id(summary.id, summary.number),
        summary.environment,
        names::release_and_id(summary.release, summary.release_label.as_ref()),
        summary.state,
        reason.unwrap_or_default(),
        instant(summary.since),
        instant(summary.created_at),
        summary.author,
        maybe_instant(summary.finished_at),
    );
    if let Some(done) = &rollout.last_command {
        let why = done.reason.as_deref().map(|why| format!(": {}", clean(why)));
        let _ = writeln!(
            text,
            "last command {}, by {} at {}{}",
            done.command.as_str(),
            done.by,
            instant(done.at),
            why.unwrap_or_default()
        );
    }
    if let Some(at) = rollout.not_before {
        let _ = writeln!(text, "not before   {}", instant(at));
    }
    if let Some(hold) = &summary.hold {
        let until = hold
            .until
            .map_or("no window opens within two years".to_owned(), instant);
        let _ = writeln!(text, "waits until  {until}: {}", clean(&hold.why));
    }
    if let Some(FreezeOverride { by, reason }) = &rollout.overridden {
        let _ = writeln!(
            text,
            "overrides    windows and freezes, by {by}: {}",
            clean(reason)
        );
    }
    if let Some(trace) = &rollout.trace_id {
        let _ = writeln!(text, "trace        {}", clean(trace));
    }
    if let Some(approver) = &rollout.approver {
        let plan = rollout.approved_plan.map(|plan| format!(", the plan {plan}"));
        let _ = writeln!(text, "approved by  {approver}{}", plan.unwrap_or_default());
    }
    if !rollout.pending_commands.is_empty() {
        let pending: Vec<_> = rollout
            .pending_commands
            .iter()
            .map(|kind| kind.as_str())
            .collect();
        let _ = writeln!(text, "asked to     {}", pending.join(", "));
    }
    let _ = write!(text, "strategy\n{}\n", strategy::text(&rollout.strategy, "  "));
    text.push_str(&steps(rollout, output));
    text
}

/// Why the step is where it is; while hooks run, which one.
fn reason(step: &Step) -> Option<String> {
    let hook = step.hook.as_ref().map(|hook| format!("the hook `{hook}` runs"));
    hook.or_else(|| step.why_with_time())
}

fn steps(rollout: &Rollout, output: &Output) -> String {
    let now = (output.now)();
    let ordered = !rollout.strategy.order.is_empty();
    let mut heads = vec!["WAVE", "HOST", "STATE", "SINCE", "FAILURES", "CLOSURE", "REASON"];
    if ordered {
        heads.insert(0, "GROUP");
    }
    let mut table = Table::new(&heads);
    for step in &rollout.steps {
        let mut row: Vec<Cell> = vec![
            watch::wave_name(step.wave, step.canary).into(),
            step.host.as_str().into(),
            step_state(step.state),
            ago(now, Some(step.since)).into(),
            step.failures.to_string().into(),
            step.closure.short().into(),
            Cell::maybe(reason(step).as_deref()),
        ];
        if ordered {
            row.insert(0, rollout.strategy.group_name(step.group).into());
        }
        table.row(row);
    }
    table.render(output.colour, "no hosts take part")
}
