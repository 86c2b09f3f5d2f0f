//! Whether anything that was written on somebody's behalf may have been kept.
//!
//! A failed request can be sent again without a look only if nothing of it was done. Before a commit is sent, nothing is: the
//! server rolls back what is left open.

use std::cell::Cell;

tokio::task_local! {
    static SENT: Cell<bool>;
}

/// Runs `work`, and says whether it tried to commit anything. What it does in other tasks is not seen.
pub async fn watch_commits<T>(work: impl Future<Output = T>) -> (T, bool) {
    let watched = async {
        let done = work.await;
        (done, SENT.with(Cell::get))
    };
    SENT.scope(Cell::new(false), watched).await
}

/// To be called before a commit is sent, and before a statement that commits by itself.
pub(crate) fn note_commit() {
    // Who does not watch does not need to know.
    let _ = SENT.try_with(|sent| sent.set(true));
}
