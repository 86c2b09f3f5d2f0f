//! The only way to begin a transaction, even if its caller goes away meanwhile.
//!
//! A caller may be dropped at any moment: a client hangs up, a limit on time is over. sqlx forgets a `BEGIN` whose answer
//! nobody waits for, and its pool then hands the connection on inside an open transaction. What the next caller writes on
//! it is acknowledged and never committed.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres, Transaction};
use tokio::time::timeout;
use tracing::{Instrument, Span};

use crate::commits::note_commit;
use crate::connect::ANSWER_WITHIN;
use crate::pool::note_cut_off;
use crate::{Store, StoreError, bounded};

/// Begins a transaction whose queries all see the database as it is at one moment.
const ONE_MOMENT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

type Begun = sqlx::Result<Transaction<'static, Postgres>>;

impl Store {
    /// Runs one call in a transaction: all of it is kept, or nothing.
    ///
    /// A dropped transaction is only rolled back once its connection is back in the pool, and holds its locks until then. A
    /// caller that tries again at once would meet these locks. So it is rolled back before the answer.
    pub(crate) async fn transaction<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        bounded(async {
            let mut tx = self.begin().await?;
            let done = work(&mut tx).await;
            if done.is_ok() {
                note_commit();
                tx.commit().await?;
            } else if let Err(error) = tx.rollback().await {
                // Then its connection is gone, and the server rolls it back.
                tracing::debug!(%error, "cannot roll a refused transaction back");
            }
            done
        })
        .await
    }

    /// A transaction, begun within the pool's bound on waiting.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.begin_with(None).await
    }

    /// As [`Store::begin`], to read what was there at one moment.
    pub(crate) async fn begin_one_moment(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.begin_with(Some(ONE_MOMENT)).await
    }

    pub(crate) async fn begin_with(
        &self,
        statement: Option<&'static str>,
    ) -> Result<Transaction<'static, Postgres>, StoreError> {
        let limit = self.pool.options().get_acquire_timeout();
        let begun = timeout(limit, async {
            // A caller that goes away while it waits for a connection leaves the queue.
            let connection = self.pool.acquire().await?;
            Beginning::on(connection, statement).await
        });
        Ok(begun.await.map_err(|_| sqlx::Error::PoolTimedOut)??)
    }
}

/// A `BEGIN` under way. Dropped before the answer is there, it goes on in a task of its own, where nobody takes the
/// transaction and it is rolled back. If the answer does not come soon, the connection is not used again.
struct Beginning(Option<Pin<Box<dyn Future<Output = Begun> + Send>>>);

impl Beginning {
    fn on(connection: PoolConnection<Postgres>, statement: Option<&'static str>) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where a transaction begins; dropping it does not cut it off"
        )]
        let begin = Transaction::begin(connection, statement.map(Cow::Borrowed));
        Self(Some(begin))
    }
}

impl Future for Beginning {
    type Output = Begun;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Begun> {
        let Some(under_way) = &mut self.0 else {
            return Poll::Pending;
        };
        let begun = ready!(under_way.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(begun)
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        let Some(mut under_way) = self.0.take() else {
            return;
        };
        let wait = async move {
            if timeout(ANSWER_WITHIN, &mut under_way).await.is_err() {
                note_cut_off();
            }
        };
        tokio::spawn(wait.instrument(Span::current()));
    }
}
