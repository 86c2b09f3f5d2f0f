//! The limit on failed authentications of one address.
//!
//! Counted over all replicas where Redis is there, and in this process where it is not.

use slipway_wake::Wake;

use crate::client_addr::ClientAddr;
use crate::error::{ApiError, Result};

/// Failures within a window that get their own answer; later ones get 429.
pub const MOST: u32 = 10;
/// How long failures count.
const WINDOW_SECONDS: u32 = 60;

/// Counts failures.
#[derive(Debug)]
pub struct AuthenticationFailures {
    wake: Wake,
}

impl AuthenticationFailures {
    pub(crate) const fn new(wake: Wake) -> Self {
        Self { wake }
    }

    /// Counts a failure, and gives the error to answer: `error`, or that there were too many.
    pub(crate) async fn failed(&self, client: &ClientAddr, error: ApiError) -> ApiError {
        show();
        let failures = self.wake.count_failure(&key(client), WINDOW_SECONDS).await;
        if failures.count <= MOST {
            return error;
        }
        tracing::warn!(%client, failures = failures.count, "too many failed authentications");
        too_many(failures)
    }

    /// Counts an attempt before it is known to fail, so that a burst of them gets no more tries than one after the
    /// other. Refuses beyond the limit; [`AuthenticationFailures::succeeded`] takes it back.
    pub(crate) async fn attempt(&self, client: &ClientAddr) -> Result<()> {
        let failures = self.wake.count_failure(&key(client), WINDOW_SECONDS).await;
        if failures.count > MOST {
            return Err(too_many(failures));
        }
        Ok(())
    }

    /// The attempt was none that failed.
    pub(crate) async fn succeeded(&self, client: &ClientAddr) {
        self.wake.take_back_failure(&key(client), WINDOW_SECONDS).await;
    }
}

/// Shows a failed authentication in the metrics.
pub(crate) fn show() {
    metrics::counter!("slipway_authentication_failures_total").increment(1);
}

/// At least a second, even if the window ends at this very moment.
fn too_many(failures: slipway_wake::FailureCount) -> ApiError {
    ApiError::TooManyFailures(failures.seconds_left.max(1).into())
}

fn key(client: &ClientAddr) -> String {
    format!("authentication:{client}")
}
