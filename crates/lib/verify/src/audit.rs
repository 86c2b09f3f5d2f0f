//! Whether the audit log is whole.

use serde::Serialize;
use slipway_client::{Client, ClientError};
use slipway_domain::event::{EventHash, GENESIS, chain_hash};
use slipway_wire::audit::{AuditReport, Event, EventQuery};
use slipway_wire::page::MAX_LIMIT;

use crate::{Advice, CheckResult, PendingCheck};

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
    /// What the server found.
    pub server: AuditReport,
}

pub(crate) async fn check(check: PendingCheck, client: &Client, advice: Advice) -> CheckResult {
    match prove(client, None).await {
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
pub async fn prove(client: &Client, expect_head: Option<&str>) -> Result<AuditProof, ClientError> {
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
    Ok(AuditProof {
        whole: problems.is_empty(),
        events: chain.events,
        head: hex::encode(chain.head),
        broken_at: chain.broken.as_ref().map(|(number, _)| *number),
        problems,
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
) -> Result<Chain, ClientError> {
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
