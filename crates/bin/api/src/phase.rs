//! How far the process is: the schema not checked yet, serving, or draining.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use crate::error::{ApiError, Result};

/// Seconds until another try while the schema is not checked yet.
const CHECK_RETRY_SECONDS: u64 = 2;

/// How far the process is. Clones share it.
#[derive(Debug, Clone)]
pub struct ServerPhase {
    checked: Arc<AtomicBool>,
    draining: CancellationToken,
}

impl ServerPhase {
    /// The beginning; drains when the token is cancelled.
    #[must_use]
    pub fn new(draining: CancellationToken) -> Self {
        Self {
            checked: Arc::default(),
            draining,
        }
    }

    /// The database has the schema that this program was built for.
    pub fn set_checked(&self) {
        self.checked.store(true, Ordering::Release);
    }

    /// Nothing touches a database whose schema is not known.
    pub(crate) fn require_checked(&self) -> Result<()> {
        if self.checked.load(Ordering::Acquire) {
            Ok(())
        } else {
            Err(ApiError::Unavailable(
                CHECK_RETRY_SECONDS,
                Some("the schema is not checked yet".into()),
            ))
        }
    }

    /// Whether new requests are welcome.
    pub(crate) fn require_serving(&self) -> Result<()> {
        self.require_checked()?;
        if self.draining.is_cancelled() {
            return Err(ApiError::Unavailable(
                CHECK_RETRY_SECONDS,
                Some("the server stops".into()),
            ));
        }
        Ok(())
    }

    /// Cancelled when the server drains.
    pub(crate) fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }
}
