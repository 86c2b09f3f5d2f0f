//! Hosts and their agents' tokens.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use serde::Serialize;
use slipway_client::Client;
use slipway_domain::digest::Digest;
use slipway_domain::labels::in_words;
use slipway_domain::{HostName, StepState};
use slipway_wire::fleet::{AdoptHost, CreateHost, Host, HostDrift, HostStep, RestoreHost, UpdateHost};
use slipway_wire::release::ReleaseLabel;
use slipway_wire::rollout::{CreateRollout, Rollout, label};

use super::List;
use super::secret::{CreatedToken, Sink};
use super::status;
use crate::CliFailure;
use crate::args::HostCommand;
use crate::context::Context;
use crate::names;
use crate::output::Output;
use crate::stop;
use crate::table::{Cell, Table};
use crate::text::{ago, clean, instant, maybe_instant};

#[derive(Serialize)]
struct Created<'a> {
    host: &'a Host,
    token: &'a CreatedToken,
}

pub(super) async fn run(context: &Context, command: HostCommand) -> Result<(), CliFailure> {
    let output = context.output;
    match command {
        HostCommand::Create {
            name,
            env,
            labels,
            token_out,
        } => {
            let client = context.client()?;
            let sink = Sink::prepare(token_out.as_deref())?;
            let create = CreateHost {
                name,
                environment: env,
                labels: unique(labels)?,
            };
            let (host, token) = stop::or_stop(async {
                let created = client.create_host(&create).await?;
                Ok((created.host, sink.take(created.token)?))
            })
            .await?;
            show_created(&output, "made the host", &host, &token)
        }
        HostCommand::Restore { name, env, token_out } => {
            let client = context.client()?;
            let sink = Sink::prepare(token_out.as_deref())?;
            let restore = RestoreHost { environment: env };
            let (host, token) = stop::or_stop(async {
                let restored = client.restore_host(&name, &restore).await?;
                Ok((restored.host, sink.take(restored.token)?))
            })
            .await?;
            show_created(&output, "took the host back:", &host, &token)
        }
        HostCommand::Move { name, env } => {
            let change = UpdateHost {
                environment: Some(env),
                ..UpdateHost::default()
            };
            let host = context.client()?.update_host(&name, &change).await?;
            output.show(&host, || {
                format!("the host {} is in {} now\n", host.name, host.environment)
            })
        }
        HostCommand::Label { name, changes } => {
            let change = UpdateHost {
                labels: unique(changes)?,
                ..UpdateHost::default()
            };
            let host = context.client()?.update_host(&name, &change).await?;
            output.show(&host, || labels_text(&host))
        }
        HostCommand::List { env } => {
            let hosts = context.client()?.all_hosts(env.as_ref()).await?;
            output.show(&List { items: &hosts }, || list_text(&hosts, &output))
        }
        HostCommand::Show { name } => {
            let host = context.client()?.host(&name).await?;
            output.show(&host, || text(&host))
        }
        HostCommand::Accept { name, reason, drift } => accept(context, &name, reason, drift).await,
        HostCommand::Reboot { name } => {
            let rollout = reboot(&context.client()?, name).await?;
            output.show(&rollout, || {
                let summary = &rollout.summary;
                format!(
                    "started the rollout {}, which reboots the host: {}\nnext: slipway rollout watch {}\n",
                    names::rollout_of_release(summary),
                    summary.state,
                    summary.reference()
                )
            })
        }
        HostCommand::Token { name, token_out } => {
            let client = context.client()?;
            let sink = Sink::prepare(token_out.as_deref())?;
            let token = stop::or_stop(async { sink.take(client.new_host_token(&name).await?) }).await?;
            output.show(&token, || {
                format!("{}The host's earlier tokens are revoked.\n", token.text())
            })
        }
        HostCommand::Retire { name, yes } => {
            let client = context.client()?;
            if !yes {
                confirm(&format!("Retire the host {name} and revoke its token?"))?;
            }
            client.retire_host(&name).await?;
            output.show(&serde_json::json!({"retired": name}), || {
                format!("retired the host {name}\nto take it back: slipway host restore {name}\n")
            })
        }
    }
}

/// Without a digest it accepts what the host shows now, and says what that was.
async fn accept(
    context: &Context,
    name: &HostName,
    reason: String,
    drift: Option<Digest>,
) -> Result<(), CliFailure> {
    let client = context.client()?;
    let before = client.host(name).await?;
    let seen = before.drift.as_ref();
    let digest = drift.or(seen.map(|drift| drift.digest));
    let Some(digest) = digest else {
        let problem = format!("the host {name} does not drift, so there is nothing to accept");
        return Err(CliFailure::usage(problem).help(format!("look at it: slipway host show {name}")));
    };
    let adopt = AdoptHost {
        drift: digest,
        reason,
    };
    let host = client.adopt_host(name, &adopt).await?;
    context.output.show(&host, || {
        let mut text = format!("accepted on {name}, from now on expected:\n");
        if let Some(drift) = seen {
            for item in &drift.items {
                let _ = writeln!(text, "  {}: {}", item.kind, clean(&named(drift, &item.found)));
            }
        }
        text
    })
}

/// Starts a rollout to that host alone, of the release that it runs.
async fn reboot(client: &Client, name: HostName) -> Result<Rollout, CliFailure> {
    let host = client.host(&name).await?;
    // A control plane before numbers tells it by the step alone.
    let committed = host
        .step
        .filter(|step| step.state == StepState::Committed && host.live.as_ref() == Some(&step.closure));
    let release = match (host.release, committed) {
        (Some(release), _) => release.id,
        (None, Some(step)) => client.rollout(step.rollout).await?.summary.release,
        (None, None) => {
            return Err(CliFailure::usage(format!(
                "it is not known which release {name} runs: no rollout brought it what is live there"
            ))
            .help(format!(
                "slipway rollout start {} RELEASE --host {name} --reboot",
                host.environment
            )));
        }
    };
    let create = CreateRollout {
        environment: host.environment,
        release: release.into(),
        strategy: None,
        not_before: None,
        override_freeze: None,
        hosts: vec![name],
        reboot: true,
    };
    Ok(client.create_rollout(&create).await?)
}

fn list_text(hosts: &[Host], output: &Output) -> String {
    let now = (output.now)();
    let mut table = Table::new(&[
        "HOST", "ENV", "STATE", "SEEN", "RELEASE", "VERSION", "COMMIT", "LIVE", "AGENT", "LABELS",
    ]);
    for host in hosts {
        let mut row = vec![
            host.name.as_str().into(),
            host.environment.as_str().into(),
            status::presence(host),
            ago(now, host.last_seen_at).into(),
        ];
        row.extend(status::what_runs(host));
        row.extend([
            Cell::maybe(host.agent_version.as_ref()),
            Cell::maybe((!host.labels.is_empty()).then(|| in_words(&host.labels))),
        ]);
        table.row(row);
    }
    table.render(
        output.colour,
        "no hosts; make one: slipway host create NAME --env ENV",
    )
}

fn labels_text(host: &Host) -> String {
    if host.labels.is_empty() {
        format!("the host {} has no labels now\n", host.name)
    } else {
        format!(
            "the host {} has now: {}\n",
            host.name,
            clean(&in_words(&host.labels))
        )
    }
}

fn show_created(output: &Output, what: &str, host: &Host, token: &CreatedToken) -> Result<(), CliFailure> {
    output.show(&Created { host, token }, || {
        format!(
            "{what} {} in {}\n{}next: on that host, put the token where AGENT_TOKEN_FILE points and start slipway-agent\n",
            host.name,
            host.environment,
            token.text()
        )
    })
}

fn unique<V>(labels: Vec<(String, V)>) -> Result<BTreeMap<String, V>, CliFailure> {
    let mut map = BTreeMap::new();
    for (key, value) in labels {
        if map.insert(key.clone(), value).is_some() {
            return Err(CliFailure::usage(format!(
                "the label `{key}` is given twice; give each once"
            )));
        }
    }
    Ok(map)
}

pub(super) fn confirm(question: &str) -> Result<(), CliFailure> {
    if !io::stdin().is_terminal() {
        return Err(CliFailure::usage("there is no terminal to ask on").help("add --yes if you are sure"));
    }
    // A question is no output: it goes to stderr, as the answer comes from the terminal.
    let _ = io::Write::write_all(&mut io::stderr(), format!("{question} [y/N] ").as_bytes());
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|error| CliFailure::io("cannot read the answer", &error))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(CliFailure::usage("nothing was changed").help("answer y, or add --yes"))
    }
}

/// The release before its path, where a rollout brought it.
fn named(drift: &HostDrift, path: &str) -> String {
    drift
        .release_of(path)
        .map_or_else(|| path.to_owned(), |release| format!("{release}, {path}"))
}

fn release(label: Option<&ReleaseLabel>) -> String {
    label.map_or("-".to_owned(), |label| clean(&label.to_string()))
}

/// What the step brings or tried to bring; nothing where that is live.
fn asked(step: &HostStep) -> Option<String> {
    let release = step.release.as_ref();
    let release = release.map(|release| format!("{}, ", clean(&release.to_string())));
    let what = format!("{}{}", release.unwrap_or_default(), step.closure);
    match step.state {
        StepState::Committed => None,
        StepState::Reverted => Some(format!("last asked    {what} (went back)")),
        StepState::Skipped => Some(format!("last asked    {what} (left out)")),
        StepState::Stuck => Some(format!("last asked    {what} (stuck)")),
        _ => Some(format!("becomes       {what}")),
    }
}

fn text(host: &Host) -> String {
    let path = |path: &Option<slipway_domain::StorePath>| {
        path.as_ref().map_or("unknown".to_owned(), ToString::to_string)
    };
    let mut text = format!(
        "host          {}\nenvironment   {}\nstate         {}\nlast seen     {}\nrelease       {}\nversion       {}\nlive          {}\nboot default  {}\nagent         {}\nclock         {}\nmade          {}\n",
        host.name,
        host.environment,
        status::presence_text(host),
        maybe_instant(host.last_seen_at),
        release(host.release.as_ref()),
        host.version().as_deref().map_or("-".to_owned(), clean),
        path(&host.live),
        path(&host.boot_default),
        clean(host.agent_version.as_deref().unwrap_or("-")),
        status::skew_text(host),
        instant(host.created_at),
    );
    for (key, value) in &host.labels {
        let _ = writeln!(text, "label         {}={}", clean(key), clean(value));
    }
    if let Some(step) = &host.step {
        let reason = step.reason.as_deref().map(|why| format!(": {}", clean(why)));
        let _ = writeln!(
            text,
            "step          {} in rollout {}{}",
            step.state,
            label(step.rollout, step.rollout_number),
            reason.unwrap_or_default()
        );
        if let Some(asked) = asked(step) {
            let _ = writeln!(text, "{asked}");
        }
    }
    if let Some(message) = host.report.as_ref().and_then(|report| report.message.as_deref()) {
        let _ = writeln!(text, "agent says    {}", clean(message));
    }
    let hooks = host.report.as_ref().and_then(|report| report.hooks.as_ref());
    if let Some(hook) = hooks.and_then(|hooks| hooks.running.as_ref()) {
        let (name, when) = (clean(&hook.name), hook.when.as_str());
        let _ = writeln!(text, "hook          {name} ({when}) runs");
    }
    if let Some(attempt) = host.unsettled {
        let _ = writeln!(
            text,
            "unsettled     attempt {attempt} is neither committed nor taken back"
        );
    }
    if let Some(trouble) = &host.journal_trouble {
        let _ = writeln!(text, "journal       {}", clean(trouble));
    }
    if let Some(trouble) = &host.trouble {
        let _ = writeln!(text, "trouble       {}", clean(trouble));
    }
    if let Some(drift) = &host.drift {
        for item in &drift.items {
            let _ = writeln!(
                text,
                "drift         {}, since {}\n  expected    {}\n  found       {}",
                item.kind.words(),
                instant(item.since),
                clean(&named(drift, &item.expected)),
                clean(&named(drift, &item.found))
            );
        }
        let _ = writeln!(
            text,
            "to accept it  slipway host accept {} --reason TEXT --drift {}",
            host.name, drift.digest
        );
    }
    if let Some(accepted) = &host.accepted {
        let _ = writeln!(
            text,
            "accepted      by {} at {}: {}\n  runs        {}",
            clean(accepted.by_words()),
            instant(accepted.at),
            clean(&accepted.reason),
            accepted.live
        );
    }
    if !host.pending_reboot.is_empty() {
        let parts = clean(&host.pending_reboot.join(", "));
        let _ = writeln!(text, "reboot        pending for {parts}");
    }
    if let Some(unknown) = &host.unknown {
        let _ = writeln!(text, "not known     {}", clean(unknown));
    }
    text
}
