//! The fleet at a glance.

mod live;

use std::fmt::Write as _;

use serde::Serialize;
use slipway_client::{Client, ClientError};
use slipway_domain::{EnvironmentName, StepState};
use slipway_verify::NOTABLE_SKEW_SECONDS;
use slipway_wire::fleet::{Environment, Host};
use slipway_wire::release::ReleaseLabel;
use slipway_wire::rollout::label;

use crate::context::Context;
use crate::output::Output;
use crate::table::{Cell, Table, Tone, step_state};
use crate::text::{ago, clean, count, left_out};
use crate::{CliFailure, Exit, stop};

#[derive(Serialize)]
struct Fleet {
    environments: Vec<Environment>,
    hosts: Vec<Host>,
}

pub(super) async fn run(context: &Context, environment: Option<EnvironmentName>) -> Result<(), CliFailure> {
    let fleet = read(&context.client()?, environment.as_ref()).await?;
    context.output.show(&fleet, || text(&fleet, &context.output))
}

/// Shows the fleet as it changes, until somebody asks to stop.
pub(super) async fn watch(
    context: &Context,
    environment: Option<EnvironmentName>,
    logs: bool,
) -> Result<Exit, CliFailure> {
    if context.output.json {
        let failure = CliFailure::usage("--json is one document, and --watch has no end");
        return Err(failure.help("ask again and again: slipway status --json"));
    }
    let client = context.client()?;
    tokio::select! {
        failure = live::watch(&client, &context.output, environment.as_ref(), logs) => match failure? {},
        exit = stop::asked() => Ok(exit),
    }
}

async fn read(client: &Client, environment: Option<&EnvironmentName>) -> Result<Fleet, ClientError> {
    let environments = match environment {
        Some(name) => vec![client.environment(name).await?],
        None => client.environments().await?,
    };
    let hosts = client.all_hosts(environment).await?;
    Ok(Fleet { environments, hosts })
}

fn text(fleet: &Fleet, output: &Output) -> String {
    let mut text = String::new();
    for environment in &fleet.environments {
        let hosts: Vec<&Host> = fleet
            .hosts
            .iter()
            .filter(|host| host.environment == environment.name && host.retired_at.is_none())
            .collect();
        let online = hosts.iter().filter(|host| host.online).count();
        let rollout = environment
            .open_rollout
            .map_or("no rollout under way".to_owned(), |id| {
                let rollout = label(id, environment.open_rollout_number);
                format!("rollout {rollout} under way")
            });
        let release = environment.release.as_ref();
        let release = release.map(|release| format!("release {}, ", clean(&release.to_string())));
        let _ = writeln!(
            text,
            "{}: {}{}, {online} online; {rollout}",
            environment.name,
            release.unwrap_or_default(),
            count(hosts.len(), "host")
        );
        text.push_str(&table(&hosts, output));
        for note in hosts.iter().flat_map(|host| notes(host)) {
            let _ = writeln!(text, "! {note}");
        }
        let skipped = hosts.iter().filter_map(|host| {
            let step = host.step.as_ref().filter(|step| step.state == StepState::Skipped);
            Some((&host.name, step?.reason.as_deref()?))
        });
        for line in left_out(skipped) {
            let _ = writeln!(text, "  {line}");
        }
        text.push('\n');
    }
    if text.is_empty() {
        text.push_str("no environments; make one: slipway env create NAME\n");
    }
    text
}

fn table(hosts: &[&Host], output: &Output) -> String {
    let now = (output.now)();
    let mut table = Table::new(&[
        "HOST",
        "STATE",
        "SEEN",
        "RELEASE",
        "VERSION",
        "COMMIT",
        "LIVE",
        "BOOT DEFAULT",
        "STEP",
        "SKEW",
    ]);
    for host in hosts {
        let mut row = vec![
            host.name.as_str().into(),
            presence(host),
            ago(now, host.last_seen_at).into(),
        ];
        row.extend(what_runs(host));
        row.extend([
            boot_default(host),
            host.step
                .as_ref()
                .map_or_else(|| "-".into(), |step| step_state(step.state)),
            skew(host),
        ]);
        table.row(row);
    }
    table.render(output.colour, "no hosts")
}

/// What the host runs: the number of its release, the version, the commit and the store path.
pub(super) fn what_runs(host: &Host) -> [Cell; 4] {
    let release = host.release.as_ref();
    let number = release.and_then(|release| release.number);
    [
        Cell::maybe(number.map(|number| format!("#{number}"))),
        Cell::maybe(host.version()),
        Cell::maybe(release.and_then(ReleaseLabel::short_rev)),
        Cell::maybe(host.live.as_ref().map(slipway_domain::StorePath::short)),
    ]
}

fn boot_default(host: &Host) -> Cell {
    match (&host.live, &host.boot_default) {
        (Some(live), Some(boot)) if live == boot => "same".into(),
        (Some(_), Some(boot)) => Cell::new(format!("differs: {}", boot.short()), Tone::Busy),
        _ => "unknown".into(),
    }
}

/// Whether the host is there, as a cell.
pub(super) fn presence(host: &Host) -> Cell {
    let tone = if host.online && host.trouble.is_none() {
        Tone::Good
    } else {
        Tone::Bad
    };
    Cell::new(presence_text(host), tone)
}

/// Whether the host is there.
pub(super) fn presence_text(host: &Host) -> &'static str {
    match (host.retired_at, &host.trouble, host.online) {
        (Some(_), _, _) => "retired",
        (None, Some(_), _) => "in trouble",
        (None, None, true) => "online",
        (None, None, false) => "offline",
    }
}

/// How far the host's clock is off.
pub(super) fn skew_text(host: &Host) -> String {
    host.clock_skew_seconds
        .map_or_else(|| "unknown".to_owned(), |seconds| format!("{seconds:+} s"))
}

fn skew(host: &Host) -> Cell {
    let tone = match host.clock_skew_seconds {
        Some(seconds) if seconds.unsigned_abs() > NOTABLE_SKEW_SECONDS => Tone::Bad,
        _ => Tone::Plain,
    };
    Cell::new(skew_text(host), tone)
}

fn notes(host: &Host) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(seconds) = host
        .clock_skew_seconds
        .filter(|s| s.unsigned_abs() > NOTABLE_SKEW_SECONDS)
    {
        let way = if seconds > 0 { "ahead" } else { "behind" };
        notes.push(format!(
            "{}: its clock is {} s {way}; set it",
            host.name,
            seconds.unsigned_abs()
        ));
    }
    if let Some(trouble) = &host.trouble {
        notes.push(format!("{}: {}", host.name, clean(trouble)));
    }
    if let Some(trouble) = &host.journal_trouble {
        notes.push(format!("{}: its agent's journal: {}", host.name, clean(trouble)));
    }
    if let Some(drift) = &host.drift {
        notes.extend(drift.items.iter().map(|item| {
            format!(
                "{}: {}: expected {}, found {}",
                host.name,
                item.kind.words(),
                clean(&drift.named(&item.expected)),
                clean(&drift.named(&item.found))
            )
        }));
    }
    if !host.pending_reboot.is_empty() {
        let parts = host.pending_reboot.join(", ");
        notes.push(format!(
            "{}: a reboot is pending for {}; slipway host reboot {}",
            host.name,
            clean(&parts),
            host.name
        ));
    }
    if let Some(step) = &host.step
        && let Some(reason) = &step.reason
    {
        let state = match step.state {
            // That nothing happened to a host is no news of it.
            StepState::Skipped => return notes,
            StepState::Reverted => "went back",
            state => state.as_str(),
        };
        notes.push(format!("{}: {state}: {}", host.name, clean(reason)));
    }
    notes
}
