//! Destinations of messages.

use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use slipway_domain::{DeliveryState, DestinationKind, DestinationName};
use slipway_wire::message::{
    Confidential, CreateDestination, Delivery, DeliveryQuery, Destination, UpdateDestination,
};

use super::{List, first};
use crate::args::{CreateDestinationArgs, DestinationCommand, SetDestinationArgs};
use crate::context::Context;
use crate::table::{Cell, Table, Tone};
use crate::text::{ago, brief, clean, count, instant, maybe_instant};
use crate::{CliFailure, Exit, files, stop};

/// How long a test may take: two tries, and the wait between them.
const TEST_LIMIT: Duration = Duration::from_secs(45);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Characters of an error in a list.
const ERROR_CHARS: usize = 60;

pub(super) async fn run(context: &Context, command: DestinationCommand) -> Result<Exit, CliFailure> {
    let output = context.output;
    match command {
        DestinationCommand::Create(args) => create(context, args).await?,
        DestinationCommand::List => {
            let all = context.client()?.destinations().await?;
            output.show(&List { items: &all }, || {
                let mut table =
                    Table::new(&["NAME", "KIND", "WHERE", "STATE", "WAITING", "DEAD", "DELIVERED"]);
                for one in &all {
                    table.row([
                        one.name.as_str().into(),
                        one.kind.as_str().into(),
                        whither(one).into(),
                        state(one),
                        one.waiting.to_string().into(),
                        Cell::new(
                            one.dead.to_string(),
                            if one.dead == 0 { Tone::Plain } else { Tone::Bad },
                        ),
                        ago((output.now)(), one.delivered_at).into(),
                    ]);
                }
                table.render(
                    output.colour,
                    "no destinations; make one: slipway destination create NAME --kind KIND",
                )
            })?;
        }
        DestinationCommand::Show { name } => {
            let one = context.client()?.destination(&name).await?;
            output.show(&one, || text(&one))?;
        }
        DestinationCommand::Set(args) => {
            let name = args.name.clone();
            let one = context.client()?.update_destination(&name, &change(args)).await?;
            output.show(&one, || text(&one))?;
        }
        DestinationCommand::Delete { name } => {
            context.client()?.delete_destination(&name).await?;
            output.show(&serde_json::json!({ "deleted": name }), || {
                format!("deleted the destination {name} and its deliveries\n")
            })?;
        }
        DestinationCommand::Test { name } => return test(context, &name).await,
        DestinationCommand::Deliveries { name, state, limit } => {
            let client = context.client()?;
            let all = stop::or_stop(async {
                let deliveries = first(limit, async |limit, after| {
                    let query = DeliveryQuery {
                        state,
                        after,
                        limit: Some(limit),
                    };
                    client.deliveries(&name, &query).await
                });
                Ok::<_, CliFailure>(deliveries.await?)
            })
            .await?;
            output.show(&List { items: &all }, || list(context, &all))?;
        }
        DestinationCommand::Replay { name, delivery } => {
            let client = context.client()?;
            match (name, delivery) {
                (Some(name), _) => {
                    let replayed = client.replay_destination(&name).await?;
                    output.show(&replayed, || match replayed.replayed {
                        0 => format!("no message to {name} is dead, so nothing is sent again\n"),
                        some => format!("sending {} to {name} again\n", count(some as usize, "message")),
                    })?;
                }
                (None, Some(id)) => {
                    let delivery = client.replay_delivery(id).await?;
                    output.show(&delivery, || {
                        format!("sending {id} to {} again\n", delivery.destination)
                    })?;
                }
                // The arguments ask for one of them.
                (None, None) => {}
            }
        }
    }
    Ok(Exit::Success)
}

async fn create(context: &Context, args: CreateDestinationArgs) -> Result<(), CliFailure> {
    if args.kind == DestinationKind::Slack && args.to.is_some() {
        let failure = CliFailure::usage(
            "--to shows an address of Slack, which is a password, to every user of this machine",
        );
        return Err(failure.help("put the address into a file: --to-file FILE, or - for stdin"));
    }
    let secret = |path: Option<&Path>, what| -> Result<Option<Confidential>, CliFailure> {
        let read = path.map(|path| files::read_secret(path, what)).transpose()?;
        Ok(read.map(|secret| Confidential::new(secret.expose_secret().to_owned())))
    };
    let url = secret(args.to_file.as_deref(), "address")?;
    let new = CreateDestination {
        name: args.name,
        kind: args.kind,
        url: url.or_else(|| args.to.map(Confidential::new)),
        room: args.room,
        token: secret(args.matrix_token_file.as_deref(), "token")?,
        recipients: args.recipients,
        environments: args.environments,
        messages: args.messages,
    };
    let made =
        stop::or_stop(async { Ok::<_, CliFailure>(context.client()?.create_destination(&new).await?) })
            .await?;
    context.output.show(&made, || {
        let name = &made.destination.name;
        let secret = made.secret.as_ref().map(|secret| {
            format!(
                "secret: {}\nA receiver verifies signatures with it. It is shown now and never again.\n",
                secret.expose()
            )
        });
        format!(
            "made the destination {name} ({})\n{}next: slipway destination test {name}\n",
            made.destination.kind,
            secret.unwrap_or_default()
        )
    })
}

fn change(args: SetDestinationArgs) -> UpdateDestination {
    let given = |all: bool, is_empty: bool| all || !is_empty;
    UpdateDestination {
        enabled: args.enabled,
        environments: given(args.all_environments, args.environments.is_empty()).then_some(args.environments),
        messages: given(args.all_messages, args.messages.is_empty()).then_some(args.messages),
        recipients: (!args.recipients.is_empty()).then_some(args.recipients),
    }
}

/// Sends a test, and looks until it was taken, or was tried and not taken.
async fn test(context: &Context, name: &DestinationName) -> Result<Exit, CliFailure> {
    let client = context.client()?;
    let delivery = stop::or_stop(async {
        let mut delivery = client.test_destination(name).await?;
        let wait = async {
            while delivery.state == DeliveryState::Waiting && delivery.last_error.is_none() {
                tokio::time::sleep(LOOK).await;
                delivery = client.delivery(delivery.id).await?;
            }
            Ok::<_, CliFailure>(())
        };
        // Where the time is up, nobody has tried it.
        if let Ok(done) = tokio::time::timeout(TEST_LIMIT, wait).await {
            done?;
        }
        Ok::<_, CliFailure>(delivery)
    })
    .await?;
    let delivered = delivery.state == DeliveryState::Delivered;
    // The receiver's words may be in it.
    let last_error = delivery.last_error.as_deref().map(clean);
    context.output.show(&delivery, || match &last_error {
        _ if delivered => format!("delivered the test to {name}\n"),
        Some(error) if delivery.state == DeliveryState::Dead => format!(
            "not delivered to {name}: {error}\nThe destination is disabled, and all that waited for it is dead. When the receiver is back:\n  \
             slipway destination set {name} --enabled true\n  slipway destination replay {name}\n"
        ),
        Some(error) => format!("not delivered to {name}: {error}\nIt is tried again for a day.\n"),
        None => format!(
            "not delivered to {name} within {} s: no worker sent it; see that one runs: slipway verify\n",
            TEST_LIMIT.as_secs()
        ),
    })?;
    Ok(if delivered {
        Exit::Success
    } else {
        Exit::VerifyFailed
    })
}

fn list(context: &Context, all: &[Delivery]) -> String {
    let mut table = Table::new(&[
        "DELIVERY",
        "MESSAGE",
        "ENVIRONMENT",
        "STATE",
        "TRIES",
        "QUEUED",
        "WHY",
    ]);
    for one in all {
        let tone = match one.state {
            DeliveryState::Delivered => Tone::Good,
            DeliveryState::Waiting => Tone::Busy,
            DeliveryState::Dead => Tone::Bad,
        };
        table.row([
            one.id.to_string().into(),
            one.message.kind.as_str().into(),
            Cell::maybe(one.message.data.environment.as_ref()),
            Cell::new(one.state.as_str(), tone),
            one.attempts.to_string().into(),
            instant(one.created_at).into(),
            Cell::maybe(
                (one.waits_for_words())
                    .or_else(|| one.last_error.clone())
                    .map(|text| brief(&text, ERROR_CHARS)),
            ),
        ]);
    }
    table.render(context.output.colour, "no deliveries")
}

fn text(one: &Destination) -> String {
    let list = |texts: Vec<String>| {
        if texts.is_empty() {
            "all".to_owned()
        } else {
            texts.join(", ")
        }
    };
    let rows = [
        ("kind", one.kind.to_string()),
        ("where", whither(one)),
        (
            "environments",
            list(one.environments.iter().map(ToString::to_string).collect()),
        ),
        (
            "messages",
            list(one.messages.iter().map(ToString::to_string).collect()),
        ),
        (
            "enabled",
            match &one.disabled_because {
                Some(why) => format!("no: {why}"),
                None => "yes".to_owned(),
            },
        ),
        (
            "failing",
            one.failing
                .as_deref()
                .filter(|_| one.enabled)
                .unwrap_or("no")
                .to_owned(),
        ),
        ("waiting", one.waiting.to_string()),
        ("dead", one.dead.to_string()),
        ("delivered", maybe_instant(one.delivered_at)),
        (
            "made",
            format!("{} by {}", instant(one.created_at), one.created_by),
        ),
    ];
    let rows = rows.map(|(name, value)| format!("{name:<13} {}\n", clean(&value)));
    format!("{}\n{}", one.name, rows.concat())
}

fn whither(one: &Destination) -> String {
    let room = one
        .room
        .as_ref()
        .map(|room| format!(" {room}"))
        .unwrap_or_default();
    match &one.address {
        Some(address) => format!("{address}{room}"),
        None => one.recipients.join(", "),
    }
}

fn state(one: &Destination) -> Cell {
    match (one.enabled, &one.failing) {
        (false, _) => Cell::new("disabled", Tone::Bad),
        (true, Some(why)) => Cell::new(format!("failing: {}", brief(why, ERROR_CHARS)), Tone::Bad),
        (true, None) => Cell::new("enabled", Tone::Good),
    }
}
