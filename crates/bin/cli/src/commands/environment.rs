//! Environments.

use std::fmt::Write as _;

use slipway_domain::calendar::GivenTime;
use slipway_domain::{Freeze, Strategy, Window};
use slipway_text::plain;
use slipway_wire::fleet::{CreateEnvironment, CreateFreeze, Environment, UpdateEnvironment};
use slipway_wire::rollout::label;

use super::host::confirm;
use super::{List, strategy};
use crate::CliFailure;
use crate::args::{EnvChange, EnvCommand};
use crate::context::Context;
use crate::table::{Cell, Table};
use crate::text::{clean, count, instant};

pub(super) async fn run(context: &Context, command: EnvCommand) -> Result<(), CliFailure> {
    let output = context.output;
    match command {
        EnvCommand::Create {
            name,
            strategy: args,
            approval_required,
            own_strategy_allowed,
            related_approval_allowed,
            windows,
        } => {
            let strategy = strategy::build(&args, Strategy::default())?;
            let create = CreateEnvironment {
                name,
                strategy,
                approval_required,
                own_strategy_allowed,
                related_approval_allowed,
                windows,
            };
            let made = context.client()?.create_environment(&create).await?;
            output.show(&made, || {
                format!(
                    "made the environment {name}\nnext: slipway host create HOST --env {name}\n",
                    name = made.name
                )
            })
        }
        EnvCommand::List => {
            let all = context.client()?.environments().await?;
            output.show(&List { items: &all }, || {
                let mut table = Table::new(&["NAME", "HOSTS", "APPROVAL", "ROLLOUT UNDER WAY"]);
                for environment in &all {
                    table.row([
                        environment.name.as_str().into(),
                        environment.hosts.to_string().into(),
                        Cell::from(approval(environment)),
                        Cell::maybe(
                            environment
                                .open_rollout
                                .map(|id| label(id, environment.open_rollout_number)),
                        ),
                    ]);
                }
                table.render(
                    output.colour,
                    "no environments; make one: slipway env create NAME",
                )
            })
        }
        EnvCommand::Show { name } => {
            let environment = context.client()?.environment(&name).await?;
            output.show(&environment, || text(&environment))
        }
        EnvCommand::Delete { name, yes } => {
            let client = context.client()?;
            if !yes {
                confirm(&format!("Delete the environment {name}?"))?;
            }
            client.delete_environment(&name).await?;
            output.show(&serde_json::json!({"deleted": name}), || {
                format!("deleted the environment {name}\n")
            })
        }
        EnvCommand::Freeze {
            name,
            until,
            from,
            reason,
        } => {
            let create = CreateFreeze {
                from: from.map(|GivenTime(at)| at),
                until: until.0,
                reason: plain(&reason),
            };
            let freeze = context.client()?.create_freeze(&name, &create).await?;
            output.show(&freeze, || {
                format!(
                    "froze the environment {name} until {}\nto end it before: slipway env thaw {}\n",
                    instant(freeze.until),
                    freeze.id
                )
            })
        }
        EnvCommand::Thaw { freeze } => {
            context.client()?.delete_freeze(freeze).await?;
            output.show(&serde_json::json!({"ended": freeze}), || {
                format!("ended the freeze {freeze}\n")
            })
        }
        EnvCommand::Set(change) => {
            let environment = set(context, change).await?;
            output.show(&environment, || text(&environment))
        }
    }
}

async fn set(context: &Context, change: EnvChange) -> Result<Environment, CliFailure> {
    let new_strategy = strategy::is_given(&change.strategy);
    let rules = [
        change.approval_required,
        change.own_strategy_allowed,
        change.related_approval_allowed,
    ];
    let windows = (change.no_windows || !change.windows.is_empty()).then_some(change.windows);
    if !new_strategy && windows.is_none() && rules.iter().all(Option::is_none) {
        return Err(CliFailure::usage("there is nothing to change").help(
            "give --strategy, --set, --approval-required, --own-strategy-allowed, --related-approval-allowed, --window or \
             --no-windows",
        ));
    }
    let client = context.client()?;
    let base = if strategy::changes_the_old(&change.strategy) {
        client.environment(&change.name).await?.strategy
    } else {
        Strategy::default()
    };
    let update = UpdateEnvironment {
        strategy: new_strategy
            .then(|| strategy::build(&change.strategy, base))
            .transpose()?,
        approval_required: change.approval_required,
        own_strategy_allowed: change.own_strategy_allowed,
        related_approval_allowed: change.related_approval_allowed,
        windows,
    };
    Ok(client.update_environment(&change.name, &update).await?)
}

fn approval(environment: &Environment) -> &'static str {
    if environment.approval_required {
        "required"
    } else {
        "not required"
    }
}

const fn allowed(is_allowed: bool) -> &'static str {
    if is_allowed { "allowed" } else { "not allowed" }
}

/// When rollouts may begin something there.
fn times(environment: &Environment) -> String {
    let mut text = String::new();
    let windows = environment.windows.iter().map(Window::to_string);
    let freezes = environment.freezes.iter().map(|freeze| {
        let Freeze {
            id,
            from,
            until,
            reason,
            by,
        } = freeze;
        format!(
            "{} to {} by {by}: {} ({id})",
            instant(*from),
            instant(*until),
            clean(reason)
        )
    });
    let hold = environment.hold.iter().map(|hold| clean(&hold.words_of_all()));
    for (name, line) in windows
        .map(|line| ("window", line))
        .chain(freezes.map(|line| ("frozen", line)))
        .chain(hold.map(|line| ("rollouts now", line)))
    {
        let _ = writeln!(text, "{name:17}  {line}");
    }
    text
}

fn text(environment: &Environment) -> String {
    let rollout = environment
        .open_rollout
        .map_or("none".to_owned(), |id| label(id, environment.open_rollout_number));
    let release = environment.release.as_ref();
    let release = release.map_or("none yet".to_owned(), |release| clean(&release.to_string()));
    let times = times(environment);
    format!(
        "environment        {}\nrelease            {release}\nhosts              {}\napproval           {}\nown strategies     {}\nrelated approval   {}\nrollout under way  {rollout}\n{times}made               {}\nstrategy\n{}",
        environment.name,
        count(environment.hosts as usize, "host"),
        approval(environment),
        allowed(environment.own_strategy_allowed),
        allowed(environment.related_approval_allowed),
        instant(environment.created_at),
        strategy::text(&environment.strategy, "  "),
    )
}
