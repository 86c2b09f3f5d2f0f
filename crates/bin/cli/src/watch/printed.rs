//! What hosts print, beside the events: each line with its host.

use std::time::Duration;

use chrono::{DateTime, Utc};
use slipway_client::{Client, ClientError};
use slipway_domain::{HostName, RolloutId};
use slipway_text::number::bytes;
use slipway_wire::output::{Output, OutputQuery};
use slipway_wire::page::MAX_LIMIT;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::reach::{BACKOFF, is_unknown};
use crate::text::clean;

/// How long the last lines are waited for once a rollout is over: agents send them a moment later.
const LAST_LINES: Duration = Duration::from_secs(5);
/// Between two questions that were answered at once with nothing.
const PAUSE: Duration = Duration::from_millis(100);
/// How long there is silence before nothing more is expected.
const SILENCE: Duration = Duration::from_secs(2);

/// A line of a host.
#[derive(Debug)]
pub(crate) struct PrintedLine {
    /// When the control plane took it; none of what is said here about the output.
    pub(crate) at: Option<DateTime<Utc>>,
    /// Such as `web-1 activate-1 | starting nginx`.
    pub(crate) text: String,
}

/// The lines of a piece.
pub(crate) fn lines(piece: &Output) -> Vec<PrintedLine> {
    let line = |text: &str| PrintedLine {
        at: Some(piece.at),
        text: format!("{} {} | {}", piece.host, clean(&piece.job), clean(text)),
    };
    let mut lines = Vec::new();
    if piece.skipped > 0 {
        lines.push(line(&format!("… {} left out …", bytes(piece.skipped))));
    }
    lines.extend(piece.text.lines().map(line));
    if piece.cut {
        lines.push(line(
            "… the host printed more than is kept; the rest is in its journal …",
        ));
    }
    lines
}

/// Follows the output of one rollout. A question that is dropped costs nothing: the next one goes on where it was.
pub(crate) struct OutputFollower {
    client: Client,
    id: RolloutId,
    query: OutputQuery,
    tries: u32,
    /// The API has no output to show: it is of an earlier release.
    is_deaf: bool,
}

impl OutputFollower {
    pub(crate) fn new(client: &Client, id: RolloutId) -> Self {
        Self {
            client: client.clone(),
            id,
            query: OutputQuery {
                after: Some(0),
                limit: Some(MAX_LIMIT),
                ..OutputQuery::default()
            },
            tries: 0,
            is_deaf: false,
        }
    }

    /// Only the lines of this host, and only those that have this text.
    pub(crate) fn only(mut self, host: Option<HostName>, search: Option<String>) -> Self {
        self.query.host = host;
        self.query.search = search;
        self
    }

    /// The lines that are kept already, a page of them, and whether there may be more. None while the API is away.
    pub(crate) async fn kept(&mut self) -> Option<(Vec<PrintedLine>, bool)> {
        if self.is_deaf {
            return None;
        }
        self.page(None).await.ok()
    }

    /// The lines that come next, or none within the wait.
    pub(crate) async fn next(&mut self, wait: Duration) -> Vec<PrintedLine> {
        if self.is_deaf {
            std::future::pending::<()>().await;
        }
        match self.page(Some(wait)).await {
            Ok((lines, _)) => lines,
            // That the API is away, whoever follows the events says.
            Err(error) => {
                let pause = BACKOFF.pause(self.tries, error.retry_after());
                self.tries = self.tries.saturating_add(1);
                tokio::time::sleep(pause).await;
                Vec::new()
            }
        }
    }

    async fn page(&mut self, wait: Option<Duration>) -> Result<(Vec<PrintedLine>, bool), ClientError> {
        match self.client.rollout_output(self.id, &self.query, wait).await {
            Ok(page) => {
                self.tries = 0;
                // A page of a search may have no line although there are more pages.
                let next = page.next.and_then(|next| next.parse().ok());
                let read = page.items.last().map(|last| last.number).max(next);
                self.query.after = self.query.after.max(read);
                Ok((page.items.iter().flat_map(lines).collect(), next.is_some()))
            }
            Err(error) if is_unknown(&error) => {
                self.is_deaf = true;
                let text = "this API tells no output of hosts; it is of an earlier release".to_owned();
                Ok((vec![PrintedLine { at: None, text }], false))
            }
            Err(error) => Err(error),
        }
    }

    /// What comes within moments of the rollout's end.
    pub(crate) async fn last(&mut self, mut show: impl FnMut(&PrintedLine)) {
        let end = Instant::now() + LAST_LINES;
        let mut until = Instant::now() + SILENCE;
        while !self.is_deaf {
            let Ok(lines) = timeout_at(until.min(end), self.next(SILENCE)).await else {
                return;
            };
            for line in &lines {
                show(line);
            }
            if lines.is_empty() {
                // An API that is about to stop does not wait.
                sleep_until((Instant::now() + PAUSE).min(until)).await;
            } else {
                until = Instant::now() + SILENCE;
            }
        }
    }
}
