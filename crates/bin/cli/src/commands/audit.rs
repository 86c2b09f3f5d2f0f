//! The audit log and the proof that it is whole.

mod anchor;

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;
use slipway_verify::audit::{self, AuditProof, Expected, KeyList, NotedHeads};
use slipway_wire::audit::{Event, EventQuery, SealKeyUse};
use slipway_wire::page::MAX_LIMIT;

use super::List;
use crate::args::AuditCommand;
use crate::context::Context;
use crate::text::clean;
use crate::{CliFailure, Exit, files};

pub(super) async fn run(context: &Context, command: AuditCommand) -> Result<Exit, CliFailure> {
    match command {
        AuditCommand::Verify {
            expect_head,
            anchor,
            keys,
        } => verify(context, expected(expect_head, anchor, keys)?).await,
        AuditCommand::Head => head(context).await,
        AuditCommand::Keys => keys(context).await,
        AuditCommand::Anchor(args) => anchor::run(context, args).await,
        AuditCommand::Events {
            after,
            limit,
            rollout,
            host,
            kind,
            actor,
        } => {
            let client = context.client()?;
            let mut events: Vec<Event> = Vec::new();
            while events.len() < limit as usize {
                let wanted = limit - u32::try_from(events.len()).unwrap_or(limit);
                let query = EventQuery {
                    after: Some(events.last().map_or(after, |event| event.number)),
                    limit: Some(wanted.min(MAX_LIMIT)),
                    kind: kind.clone(),
                    actor: actor.clone(),
                    host: host.clone(),
                    rollout: rollout.clone(),
                    ..EventQuery::default()
                };
                let page = client.events(&query).await?.items;
                if page.is_empty() {
                    break;
                }
                events.extend(page);
            }
            context.output.show(&List { items: &events }, || {
                if events.is_empty() {
                    return format!("no events after number {after}\n");
                }
                events.iter().map(line).collect()
            })?;
            Ok(Exit::Success)
        }
    }
}

/// An event in one line: number, instant, who, what, about what, why.
pub(super) fn line(event: &Event) -> String {
    let new = &event.event;
    let who = match new.actor.name() {
        "" => new.actor.kind().to_owned(),
        name => name.to_owned(),
    };
    let about = event.host_name.as_ref().map(|host| format!(" {host}"));
    let change = match (&new.from, &new.to) {
        (Some(from), Some(to)) => format!(" {from} -> {to}"),
        (None, Some(to)) => format!(" -> {to}"),
        _ => String::new(),
    };
    let line = format!(
        "{:>6}  {}  {who}  {}{}{change}: {}",
        event.number,
        event.at.format("%Y-%m-%d %H:%M:%S%.3fZ"),
        new.kind,
        about.unwrap_or_default(),
        new.cause
    );
    clean(&line) + "\n"
}

/// What the files say that were kept elsewhere.
fn expected(
    head: Option<String>,
    anchor: Option<PathBuf>,
    keys: Option<PathBuf>,
) -> Result<Expected, CliFailure> {
    let heads = match anchor {
        Some(path) => {
            let text = files::read_list(&path, "file of heads")?;
            NotedHeads::parse(&text)
                .map_err(|problem| CliFailure::usage(format!("--anchor {}: {problem}", path.display())))?
        }
        None => NotedHeads::default(),
    };
    let keys = match keys {
        Some(path) => {
            let list = KeyList::parse(&files::read(&path, "list of keys")?);
            Some(list.map_err(|problem| CliFailure::usage(format!("--keys {}: {problem}", path.display())))?)
        }
        None => None,
    };
    Ok(Expected { head, heads, keys })
}

/// The keys with their events. Each goes on where the one before ended, and the last one goes on.
async fn keys(context: &Context) -> Result<Exit, CliFailure> {
    let report = context.client()?.verify_audit().await?;
    let keys = &report.keys;
    context.output.show(&List { items: keys }, || {
        let line = |(place, key): (usize, &SealKeyUse)| {
            let last = if place + 1 == keys.len() {
                String::new()
            } else {
                key.last.to_string()
            };
            format!("{} {}-{last}\n", clean(&key.id), key.first)
        };
        keys.iter().enumerate().map(line).collect()
    })?;
    Ok(Exit::Success)
}

async fn verify(context: &Context, expected: Expected) -> Result<Exit, CliFailure> {
    let proof = audit::prove(&context.client()?, &expected).await?;
    context.output.show(&proof, || text(&proof))?;
    Ok(if proof.whole {
        Exit::Success
    } else {
        Exit::AuditBroken
    })
}

/// A head that is noted down.
#[derive(Serialize)]
struct Head<'a> {
    events: i64,
    head: &'a str,
}

/// What is noted down of a log that is not whole would be believed later. So then there is no head.
async fn head(context: &Context) -> Result<Exit, CliFailure> {
    let proof = audit::prove(&context.client()?, &Expected::default()).await?;
    if !proof.whole {
        context.output.show(&proof, || text(&proof))?;
        return Ok(Exit::AuditBroken);
    }
    let head = Head {
        events: proof.events,
        head: &proof.head,
    };
    context
        .output
        .show(&head, || format!("{} {}\n", head.events, head.head))?;
    Ok(Exit::Success)
}

fn text(proof: &AuditProof) -> String {
    let mut text = String::new();
    for problem in &proof.problems {
        let _ = writeln!(text, "! {}", clean(problem));
    }
    if proof.whole {
        let _ = writeln!(
            text,
            "the log is whole: {} events, computed anew on this machine; seals, and what the events decided, checked by \
             the server",
            proof.events
        );
        if proof.noted_heads > 0 {
            let _ = writeln!(
                text,
                "it passes through all {} events that were noted down",
                proof.noted_heads
            );
        }
        let (earlier, undigested) = (proof.server.sealed_earlier, proof.server.undigested);
        if earlier > 0 {
            let _ = writeln!(
                text,
                "{earlier} events were sealed with a key of SECRET_KEY_EARLIER"
            );
        }
        if undigested > 0 {
            let _ = writeln!(
                text,
                "{undigested} releases, rollouts and the like are of a release before digests: that they were made is \
                 proved, not how they look"
            );
        }
        let _ = writeln!(
            text,
            "head: {head}\nnote it down; later: slipway audit verify --expect-head {head}",
            head = proof.head
        );
    } else {
        text.push_str("the log is NOT whole\n");
    }
    text
}
