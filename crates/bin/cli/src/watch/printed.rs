//! What hosts print, beside the events: each line with its host.

use std::time::Duration;

use slipway_client::{Client, ClientError};
use slipway_domain::RolloutId;
use slipway_text::number::bytes;
use slipway_wire::output::{Output, OutputQuery};
use slipway_wire::page::MAX_LIMIT;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::reach::BACKOFF;
use crate::text::clean;

/// How long the last lines are waited for once a rollout is over: agents send them a moment later.
const LAST_LINES: Duration = Duration::from_secs(5);
/// Between two questions that were answered at once with nothing.
const PAUSE: Duration = Duration::from_millis(100);
/// How long there is silence before nothing more is expected.
const SILENCE: Duration = Duration::from_secs(2);

/// The lines of a piece, such as `web-1 activate-1 | starting nginx`.
pub(crate) fn lines(piece: &Output) -> Vec<String> {
    let who = format!("{} {} |", piece.host, clean(&piece.job));
    let mut lines = Vec::new();
    if piece.skipped > 0 {
        lines.push(format!("{who} … {} left out …", bytes(piece.skipped)));
    }
    lines.extend(piece.text.lines().map(|line| format!("{who} {}", clean(line))));
    if piece.cut {
        lines.push(format!(
            "{who} … the host printed more than is kept; the rest is in its journal …"
        ));
    }
    lines
}

/// Follows the output of one rollout. A question that is dropped costs nothing: the next one goes on where it was.
pub(crate) struct OutputFollower {
    client: Client,
    id: RolloutId,
    after: i64,
    tries: u32,
    /// The API has no output to show: it is of an earlier release.
    is_deaf: bool,
}

impl OutputFollower {
    pub(crate) fn new(client: &Client, id: RolloutId) -> Self {
        Self {
            client: client.clone(),
            id,
            after: 0,
            tries: 0,
            is_deaf: false,
        }
    }

    /// The lines that come next, or none within the wait.
    pub(crate) async fn next(&mut self, wait: Duration) -> Vec<String> {
        if self.is_deaf {
            std::future::pending::<()>().await;
        }
        let query = OutputQuery {
            after: Some(self.after),
            limit: Some(MAX_LIMIT),
            ..OutputQuery::default()
        };
        match self.client.rollout_output(self.id, &query, Some(wait)).await {
            Ok(page) => {
                self.tries = 0;
                self.after = page.items.last().map_or(self.after, |last| last.number);
                page.items.iter().flat_map(lines).collect()
            }
            Err(error) if is_unknown(&error) => {
                self.is_deaf = true;
                vec!["this API tells no output of hosts; it is of an earlier release".to_owned()]
            }
            // That the API is away, whoever follows the events says.
            Err(error) => {
                let pause = BACKOFF.pause(self.tries, error.retry_after());
                self.tries = self.tries.saturating_add(1);
                tokio::time::sleep(pause).await;
                Vec::new()
            }
        }
    }

    /// What comes within moments of the rollout's end.
    pub(crate) async fn last(&mut self, mut show: impl FnMut(&str)) {
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

fn is_unknown(error: &ClientError) -> bool {
    error.problem().is_some_and(|problem| problem.status == 404)
}
