//! The audit log and the proof that it is whole.

use std::fmt::Write as _;

use serde::Serialize;
use slipway_verify::audit::{self, AuditProof};
use slipway_wire::audit::{Event, EventQuery};

use super::{List, page_size};
use crate::args::AuditCommand;
use crate::context::Context;
use crate::text::clean;
use crate::{CliFailure, Exit};

pub(super) async fn run(context: &Context, command: AuditCommand) -> Result<Exit, CliFailure> {
    match command {
        AuditCommand::Verify { expect_head } => verify(context, expect_head).await,
        AuditCommand::Head => head(context).await,
        AuditCommand::Events { after, limit } => {
            let client = context.client()?;
            let mut events: Vec<Event> = Vec::new();
            while events.len() < limit as usize {
                let wanted = limit - u32::try_from(events.len()).unwrap_or(limit);
                let query = EventQuery {
                    after: Some(events.last().map_or(after, |event| event.number)),
                    limit: Some(page_size(wanted)),
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

async fn verify(context: &Context, expect_head: Option<String>) -> Result<Exit, CliFailure> {
    let proof = audit::prove(&context.client()?, expect_head.as_deref()).await?;
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
    let proof = audit::prove(&context.client()?, None).await?;
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
