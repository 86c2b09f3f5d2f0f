//! Asking an API that may be away for a while.

use std::mem::{replace, take};
use std::time::Duration;

use slipway_client::{ClientError, RetryBackoff};
use tokio::time::sleep;

use crate::CliFailure;

/// How long a request is tried again before that is shown, and this here goes on trying.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(3);
/// Between two tries to reach an API that is away.
pub(crate) const BACKOFF: RetryBackoff = RetryBackoff {
    first: Duration::from_millis(500),
    longest: Duration::from_secs(5),
    longest_asked: Duration::from_secs(5),
};

/// Whether the API answers, as far as somebody who watches has heard.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// It answered once: its address is right.
    heard: bool,
    away: bool,
}

impl Reach {
    /// Asks until there is an answer. Says once that the API is away, and once that it is back.
    ///
    /// Before the first answer the address may be wrong, so then an error is the end.
    pub(crate) async fn ask<T>(
        &mut self,
        mut question: impl AsyncFnMut() -> Result<T, ClientError>,
        note: impl Fn(&str) -> Result<(), CliFailure>,
    ) -> Result<T, CliFailure> {
        let mut tries = 0;
        loop {
            match question().await {
                Ok(answer) => {
                    self.heard = true;
                    if take(&mut self.away) {
                        note("the API answers again")?;
                    }
                    return Ok(answer);
                }
                Err(error) if error.is_retryable() && self.heard => {
                    if !replace(&mut self.away, true) {
                        note(&format!("{}; trying again", error.summary()))?;
                    }
                    sleep(BACKOFF.pause(tries, error.retry_after())).await;
                    tries += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether the API has no such address: it is of an earlier release.
pub(crate) fn is_unknown(error: &ClientError) -> bool {
    error.problem().is_some_and(|problem| problem.status == 404)
}
