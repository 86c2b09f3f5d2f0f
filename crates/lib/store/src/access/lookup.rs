//! Looks up the tokens of requests that come at the same time in one statement.
//!
//! Every request needs its token looked up, and for a short one that is most of its work. So while statements are under way,
//! further tokens gather, and the next statement looks up all of them. It begins after each of its requests came, so a
//! token that was revoked before is refused.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slipway_domain::{HostId, HostName, Timestamp};
use sqlx::{PgConnection, PgPool};
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::TokenHash;
use crate::{StoreError, bounded, bounded_by};

/// While one is under way, the answers of the other are read.
const MOST_STATEMENTS: usize = 2;
/// So many are looked up in a few milliseconds. With more, each would wait for all.
const MOST_TOKENS: usize = 256;
/// A statement on a connection to a server that died may hang. Then each of its requests asks for itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// The lookups of one store. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lookups(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    requests: VecDeque<Request>,
    statements: usize,
}

#[derive(Debug)]
struct Request {
    hash: TokenHash,
    answer: oneshot::Sender<Option<Row>>,
}

/// A good token, whose it is, and the newest event if that is a principal.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) sha256: Vec<u8>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) limits: Option<String>,
    pub(super) parent_id: Option<Uuid>,
    pub(super) made_by: Option<Uuid>,
    pub(super) principal_id: Option<Uuid>,
    pub(super) principal: Option<String>,
    pub(super) role: Option<String>,
    pub(super) principal_made_by: Option<Uuid>,
    pub(super) environment_roles: Option<String>,
    pub(super) host_id: Option<HostId>,
    pub(super) host: Option<HostName>,
    pub(super) newest_number: Option<i64>,
    pub(super) newest_hash: Option<Vec<u8>>,
}

impl Lookups {
    /// The row of a token, if it is good.
    pub(super) async fn find(&self, pool: &PgPool, hash: TokenHash) -> Result<Option<Row>, StoreError> {
        let (answer, answered) = oneshot::channel();
        if let Some(turn) = self.ask(Request { hash, answer }) {
            // The others' answers must not end with the request that began the statement.
            tokio::spawn(turn.serve(pool.clone()));
        }
        // A connection in time, and another statement that hangs before.
        let most = pool.options().get_acquire_timeout() + 2 * PATIENCE;
        match timeout(most, answered).await {
            Ok(Ok(row)) => Ok(row),
            // The shared statement failed, perhaps for another's row. This one says what is wrong with this token's.
            Ok(Err(_)) => {
                bounded(async {
                    let mut connection = pool.acquire().await?;
                    Ok(rows(&mut connection, &[hash]).await?.pop())
                })
                .await
            }
            Err(_) => Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
        }
    }

    /// Lets a request wait. Whoever gets a turn must serve.
    fn ask(&self, request: Request) -> Option<Turn> {
        let mut waiting = self.waiting();
        waiting.requests.push_back(request);
        if waiting.statements >= MOST_STATEMENTS {
            return None;
        }
        waiting.statements += 1;
        Some(Turn(self.clone()))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to run statements, one after another, until nobody waits.
struct Turn(Lookups);

impl Turn {
    async fn serve(self, pool: PgPool) {
        loop {
            let requests = self.take();
            if requests.is_empty() {
                return;
            }
            let hashes: Vec<TokenHash> = requests.iter().map(|request| request.hash).collect();
            // Without an answer each of them asks for itself, and hears its own error. The pool bounds the wait for a connection:
            // if that is full, asking alone would make it fuller.
            let Ok(mut connection) = pool.acquire().await else {
                continue;
            };
            let answer = bounded_by(PATIENCE, rows(&mut connection, &hashes)).await;
            drop(connection);
            let Ok(found) = answer else { continue };
            let found: HashMap<Vec<u8>, Row> =
                found.into_iter().map(|row| (row.sha256.clone(), row)).collect();
            for Request { hash, answer } in requests {
                // A request that is gone needs none.
                let _ = answer.send(found.get(hash.0.as_slice()).cloned());
            }
        }
    }

    fn take(&self) -> Vec<Request> {
        let mut waiting = self.0.waiting();
        let mut taken = Vec::new();
        while taken.len() < MOST_TOKENS
            && let Some(request) = waiting.requests.pop_front()
        {
            // Whoever went away takes nobody's place.
            if !request.answer.is_closed() {
                taken.push(request);
            }
        }
        taken
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        waiting.statements -= 1;
        if waiting.statements == 0 {
            // Whoever came since the last look would wait for nobody: they ask for themselves.
            waiting.requests.clear();
        }
    }
}

/// The rows of those tokens that are good. Their use is noted once a minute.
async fn rows(connection: &mut PgConnection, hashes: &[TokenHash]) -> Result<Vec<Row>, StoreError> {
    let hashes: Vec<&[u8]> = hashes.iter().map(|hash| hash.0.as_slice()).collect();
    // Another process may note the use of the same tokens in another order. Whoever waits for no row cannot wait for ever.
    let rows = sqlx::query_as!(
        Row,
        r#"WITH t AS (
               SELECT t.id, t.sha256, t.expires_at, nullif(t.limits, '{}')::text AS limits, t.parent_id, t.made_by,
                      t.last_used_at, p.id AS principal_id, p.name AS principal, p.role, p.made_by AS principal_made_by,
                      nullif(p.environment_roles, '{}')::text AS environment_roles, h.id AS host_id, h.name AS host
               FROM tokens t
               LEFT JOIN principals p ON p.id = t.principal_id
               LEFT JOIN hosts h ON h.id = t.host_id
               WHERE t.sha256 = ANY($1) AND t.revoked_at IS NULL
                 AND (t.expires_at IS NULL OR t.expires_at > now())
                 AND (t.idle_seconds IS NULL
                      OR coalesce(t.last_used_at, t.created_at) > now() - make_interval(secs => t.idle_seconds))
                 AND p.disabled_at IS NULL AND h.retired_at IS NULL),
           stale AS (
               SELECT id FROM tokens
               WHERE id IN (SELECT id FROM t WHERE last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
               FOR NO KEY UPDATE SKIP LOCKED),
           touched AS (
               UPDATE tokens SET last_used_at = now() FROM stale WHERE tokens.id = stale.id),
           newest AS (SELECT number, hash FROM events ORDER BY number DESC LIMIT 1)
           SELECT t.id, t.sha256, t.expires_at, t.limits, t.parent_id, t.made_by, t.principal_id AS "principal_id?",
                  t.principal AS "principal?", t.role AS "role?", t.principal_made_by, t.environment_roles,
                  t.host_id AS "host_id?: HostId", t.host AS "host?: HostName",
                  newest.number AS "newest_number?", newest.hash AS "newest_hash?"
           FROM t LEFT JOIN newest ON t.host_id IS NULL"#,
        hashes as _
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    use super::*;
    use crate::pool::is_doubtful;
    use crate::{AuditKey, Store};

    #[test]
    fn whoever_went_away_takes_nobodys_place() {
        let lookups = Lookups::default();
        let ask = |token: &str| {
            let (answer, answered) = oneshot::channel();
            let hash = TokenHash::of(token);
            (lookups.ask(Request { hash, answer }), answered)
        };
        let (turn, _) = ask("slw_gone");
        for _ in 0..2 * MOST_TOKENS {
            drop(ask("slw_gone"));
        }
        let (_, _answered) = ask("slw_here");
        let taken = turn.unwrap().take();
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].hash, TokenHash::of("slw_here"));
    }

    /// Else a stranger who hangs up again and again would have every connection checked.
    #[sqlx::test]
    async fn a_request_that_goes_away_before_it_has_a_connection_makes_none_doubtful(
        options: PgPoolOptions,
        connect: PgConnectOptions,
    ) {
        let pool = options.max_connections(1).connect_with(connect).await.unwrap();
        let _taken = pool.acquire().await.unwrap();
        let (store, key) = (Store::from_pool(pool), AuditKey::from_bytes(&[7; 32]));
        let hash = TokenHash::of("slw_gone");
        for _ in 0..3 {
            let gone = store.authenticate(&hash, &key);
            assert!(timeout(Duration::from_millis(20), gone).await.is_err());
        }
        assert!(!is_doubtful());
    }
}
