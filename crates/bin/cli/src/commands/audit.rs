//! The audit log and the proof that it is whole.

use std::fmt::Write as _;

use serde::Serialize;
use slipway_client::Client;
use slipway_domain::event::{EventHash, GENESIS, chain_hash};
use slipway_wire::audit::{AuditReport, Event, EventQuery};
use slipway_wire::page::MAX_LIMIT;

use super::{List, page_size};
use crate::args::AuditCommand;
use crate::context::Context;
use crate::text::clean;
use crate::{Exit, Failure};

pub(super) async fn run(context: &Context, command: AuditCommand) -> Result<Exit, Failure> {
    match command {
        AuditCommand::Verify { expect_head } => verify(context, expect_head).await,
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

/// Whether the log is whole, as both sides see it.
#[derive(Serialize)]
pub(super) struct Verdict {
    pub(super) whole: bool,
    pub(super) events: i64,
    pub(super) head: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken_at: Option<i64>,
    pub(super) problems: Vec<String>,
    pub(super) server: AuditReport,
}

async fn verify(context: &Context, expect_head: Option<String>) -> Result<Exit, Failure> {
    let verdict = verdict(&context.client()?, expect_head.as_deref()).await?;
    context.output.show(&verdict, || text(&verdict))?;
    Ok(if verdict.whole {
        Exit::Success
    } else {
        Exit::AuditBroken
    })
}

/// Has the server check its log, and checks it again here.
pub(super) async fn verdict(client: &Client, expect_head: Option<&str>) -> Result<Verdict, Failure> {
    // First, so that events that come meanwhile are not missing from either side.
    let server = client.verify_audit().await?;
    let chain = download(client, &server, expect_head).await?;
    let mut problems = chain.problems(&server, expect_head);
    if !server.whole {
        let what = server.problem.as_deref().unwrap_or("it does not say what");
        let at = server.broken_at.map(|number| format!(" at event {number}"));
        problems.push(format!(
            "the server finds its log broken{}: {what}",
            at.unwrap_or_default()
        ));
    }
    Ok(Verdict {
        whole: problems.is_empty(),
        events: chain.events,
        head: hex::encode(chain.head),
        broken_at: chain.broken.as_ref().map(|(number, _)| *number),
        problems,
        server,
    })
}

fn text(verdict: &Verdict) -> String {
    let mut text = String::new();
    for problem in &verdict.problems {
        let _ = writeln!(text, "! {}", clean(problem));
    }
    if verdict.whole {
        let _ = writeln!(
            text,
            "the log is whole: {} events, computed anew on this machine; seals, and what the events decided, checked by \
             the server",
            verdict.events
        );
        let (earlier, undigested) = (verdict.server.sealed_earlier, verdict.server.undigested);
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
            head = verdict.head
        );
    } else {
        text.push_str("the log is NOT whole\n");
    }
    text
}

/// What the downloaded events come to.
struct Chain {
    events: i64,
    head: EventHash,
    /// The first event that is wrong, and how.
    broken: Option<(i64, String)>,
    /// The hash at the number that the server counted to.
    at_server_end: Option<EventHash>,
    expected_seen: bool,
}

impl Chain {
    fn add(&mut self, event: &Event) {
        let number = self.events + 1;
        let hash = chain_hash(&self.head, event.number, event.at, &event.event);
        if self.broken.is_none() {
            if event.number != number {
                let what = format!(
                    "event {number} is missing; event {} comes in its place",
                    event.number
                );
                self.broken = Some((number, what));
            } else if hex::encode(hash) != event.hash {
                let what = format!("event {number} is not what was recorded: its hash does not fit");
                self.broken = Some((number, what));
            }
        }
        self.events = number;
        self.head = hash;
    }

    fn problems(&self, server: &AuditReport, expect_head: Option<&str>) -> Vec<String> {
        let mut problems = Vec::new();
        problems.extend(self.broken.as_ref().map(|(_, what)| what.clone()));
        if self.broken.is_none() {
            match self.at_server_end {
                None => problems.push(format!(
                    "the server counts {} events but hands out {}",
                    server.events, self.events
                )),
                Some(hash) if hex::encode(hash) != server.head => problems.push(format!(
                    "the server says its head is {}, but its events come to {}",
                    server.head,
                    hex::encode(hash)
                )),
                Some(_) => {}
            }
        }
        if let Some(head) = expect_head.filter(|_| !self.expected_seen) {
            problems.push(format!(
                "the expected head {head} is not in the log: events were cut off or replaced"
            ));
        }
        problems
    }
}

async fn download(
    client: &Client,
    server: &AuditReport,
    expect_head: Option<&str>,
) -> Result<Chain, Failure> {
    let genesis = hex::encode(GENESIS);
    let mut chain = Chain {
        events: 0,
        head: GENESIS,
        broken: None,
        at_server_end: (server.events == 0).then_some(GENESIS),
        expected_seen: expect_head == Some(genesis.as_str()),
    };
    let mut after = 0;
    loop {
        let query = EventQuery {
            after: Some(after),
            limit: Some(MAX_LIMIT),
        };
        let page = client.events(&query).await?.items;
        let Some(last) = page.last().map(|event| event.number) else {
            return Ok(chain);
        };
        // A server that hands out the same numbers again and again must not keep us here for ever.
        if last <= after {
            let what = format!("event {last} comes after event {after}");
            chain.broken = chain.broken.or(Some((last, what)));
            return Ok(chain);
        }
        after = last;
        for event in &page {
            chain.add(event);
            if chain.events == server.events {
                chain.at_server_end = Some(chain.head);
            }
            chain.expected_seen |= expect_head == Some(hex::encode(chain.head).as_str());
        }
    }
}
