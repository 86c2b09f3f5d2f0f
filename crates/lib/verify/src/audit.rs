//! Whether the audit log is whole.

mod keys;
mod noted;

use serde::Serialize;
use slipway_client::{Client, ClientError};
use slipway_domain::event::{EventHash, GENESIS, chain_hash};
use slipway_wire::audit::{AuditReport, Event, EventQuery};
use slipway_wire::page::MAX_LIMIT;

pub use keys::KeyList;
pub use noted::NotedHeads;

use crate::{Advice, CheckResult, PendingCheck};

/// What somebody knows of the log from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// A head that must be in it, wherever.
    pub head: Option<String>,
    /// Heads with their places.
    pub heads: NotedHeads,
    /// The keys that may have sealed it; any when there is no list.
    pub keys: Option<KeyList>,
}

/// Whether the log is whole, as both sides see it.
#[derive(Debug, Serialize)]
pub struct AuditProof {
    /// Nothing is wrong.
    pub whole: bool,
    /// How many events the server handed out.
    pub events: i64,
    /// The hash of the last one, in hex.
    pub head: String,
    /// The number of the first event that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken_at: Option<i64>,
    /// All that is wrong.
    pub problems: Vec<String>,
    /// How many heads that were noted down the log was held against.
    pub noted_heads: usize,
    /// What the server found.
    pub server: AuditReport,
}

pub(crate) async fn check(check: PendingCheck, client: &Client, advice: &Advice) -> CheckResult {
    match prove(client, &Expected::default()).await {
        Ok(proof) if proof.whole => check.ok(format!(
            "the log is whole: {} events, head {}",
            proof.events, proof.head
        )),
        Ok(proof) => check.fail(
            proof.problems.join("; "),
            "slipway audit verify; keep the database as it is, and restore from before it was changed",
        ),
        Err(error) => check.not_checked_by(&error, advice),
    }
}

/// Has the server check its log, and checks it again here.
pub async fn prove(client: &Client, expected: &Expected) -> Result<AuditProof, ClientError> {
    // First, so that events that come meanwhile are not missing from either side.
    let server = client.verify_audit().await?;
    let chain = download(client, &server, expected).await?;
    let mut problems = chain.problems(&server, expected);
    if !server.whole {
        let what = server.problem.as_deref().unwrap_or("it does not say what");
        let at = server.broken_at.map(|number| format!(" at event {number}"));
        problems.push(format!(
            "the server finds its log broken{}: {what}",
            at.unwrap_or_default()
        ));
    }
    if let Some(keys) = &expected.keys {
        problems.extend(keys.refused(&server));
    }
    Ok(AuditProof {
        whole: problems.is_empty(),
        events: chain.events,
        head: hex::encode(chain.head),
        broken_at: chain.broken.as_ref().map(|(number, _)| *number),
        problems,
        noted_heads: expected.heads.len(),
        server,
    })
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
    /// The first event that is another than the one that was noted down.
    rewritten: Option<String>,
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

    fn problems(&self, server: &AuditReport, expected: &Expected) -> Vec<String> {
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
        problems.extend(self.rewritten.clone());
        problems.extend(expected.heads.cut_off(self.events));
        if let Some(head) = expected.head.as_deref().filter(|_| !self.expected_seen) {
            problems.push(format!(
                "the expected head {head} is not in the log: events were cut off or replaced"
            ));
        }
        problems
    }
}

async fn download(client: &Client, server: &AuditReport, expected: &Expected) -> Result<Chain, ClientError> {
    let expect_head = expected.head.as_deref();
    let genesis = hex::encode(GENESIS);
    let mut chain = Chain {
        events: 0,
        head: GENESIS,
        broken: None,
        at_server_end: (server.events == 0).then_some(GENESIS),
        expected_seen: expect_head == Some(genesis.as_str()),
        rewritten: expected.heads.before_all(),
    };
    let mut after = 0;
    loop {
        let query = EventQuery {
            after: Some(after),
            limit: Some(MAX_LIMIT),
            ..EventQuery::default()
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
            if chain.rewritten.is_none() {
                chain.rewritten = expected.heads.contradiction(chain.events, &chain.head);
            }
            chain.expected_seen |= expect_head == Some(hex::encode(chain.head).as_str());
        }
    }
}

/// Goes on from a head that was noted down, and gives the newest one; else says what is wrong with the log.
///
/// It reads only what came after, so that it can run often. What was before is for [`prove`].
pub async fn follow(
    client: &Client,
    (number, hash): (i64, EventHash),
) -> Result<Result<(i64, EventHash), String>, ClientError> {
    let (mut reached, mut head) = (number, hash);
    let mut after = number - 1;
    let mut noted_seen = number == 0;
    loop {
        let query = EventQuery {
            after: Some(after.max(0)),
            limit: Some(MAX_LIMIT),
            ..EventQuery::default()
        };
        let page = client.events(&query).await?.items;
        let Some(last) = page.last().map(|event| event.number) else {
            break;
        };
        for event in &page {
            if !noted_seen && event.number == number {
                if event.hash != hex::encode(hash) {
                    return Ok(Err(format!(
                        "event {number} is another than the one that was noted down: the log was written anew"
                    )));
                }
                noted_seen = true;
                continue;
            }
            let next = chain_hash(&head, event.number, event.at, &event.event);
            if !noted_seen || event.number != reached + 1 || hex::encode(next) != event.hash {
                return Ok(Err(format!(
                    "event {} does not follow event {reached} as it was noted down",
                    event.number
                )));
            }
            (reached, head) = (event.number, next);
        }
        if last <= after {
            return Ok(Err(format!("event {last} comes after event {after}")));
        }
        after = last;
    }
    if noted_seen {
        return Ok(Ok((reached, head)));
    }
    Ok(Err(format!(
        "event {number} was noted down, and the log ends before it: its end was cut off"
    )))
}
