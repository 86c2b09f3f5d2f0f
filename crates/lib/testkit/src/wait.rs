//! Waiting with a bound.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Asks again and again until the answer is there, and gives it.
///
/// # Panics
/// When it is not there in time; `what` says what was waited for.
pub async fn wait_until<T>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain for: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
