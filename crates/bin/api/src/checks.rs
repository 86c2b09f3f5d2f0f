//! Checks of the whole audit log: one at a time. Requests during a check share the next one.

use std::sync::atomic::{AtomicU64, Ordering};

use slipway_domain::PrincipalId;
use slipway_wire::audit::AuditReport;
use tokio::sync::Mutex;

use crate::error::{ApiError, Result};
use crate::parking::{Full, Parking};

/// The checks of this process.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    /// How many were begun.
    begun: AtomicU64,
    /// The last one that ended well, and its place among them. Locked for as long as one runs.
    latest: Mutex<Option<(u64, AuditReport)>>,
}

impl Checks {
    /// The result of a check that begins now or later: a new one, or the next one that others wait for too.
    ///
    /// A waiting request takes one of the places for people, so that the queue is bounded.
    pub(crate) async fn run(
        &self,
        parking: &Parking,
        caller: PrincipalId,
        check: impl Future<Output = Result<AuditReport>>,
    ) -> Result<AuditReport> {
        let asked = self.begun.load(Ordering::SeqCst);
        let mut latest = if let Ok(latest) = self.latest.try_lock() {
            latest
        } else {
            let _place = parking.reserve(caller).map_err(|Full| ApiError::crowded())?;
            self.latest.lock().await
        };
        // A check that was running before this request may have missed the newest events.
        if let Some((number, report)) = &*latest
            && *number > asked
        {
            return Ok(report.clone());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let report = check.await?;
        *latest = Some((number, report.clone()));
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    const fn report(events: i64) -> AuditReport {
        AuditReport {
            whole: true,
            events,
            head: String::new(),
            broken_at: None,
            problem: None,
            unsealed: 0,
            sealed_earlier: 0,
            undigested: 0,
            keys: Vec::new(),
        }
    }

    #[tokio::test]
    async fn whoever_asks_while_a_check_runs_shares_the_next() {
        let (checks, parking) = (Checks::default(), Parking::new(1000));
        let (ran, go) = (AtomicUsize::new(0), Semaphore::new(0));
        let check = async || {
            checks
                .run(&parking, PrincipalId::generate(), async {
                    ran.fetch_add(1, Ordering::SeqCst);
                    go.acquire().await.unwrap().forget();
                    Ok(report(1))
                })
                .await
        };
        let mut first = pin!(check());
        assert!(first.as_mut().now_or_never().is_none());
        let mut others = pin!(join_all((0..50).map(|_| check())));
        assert!(others.as_mut().now_or_never().is_none());
        go.add_permits(2);
        assert!(first.await.is_ok());
        assert!(others.await.iter().all(Result::is_ok));
        assert_eq!(ran.load(Ordering::SeqCst), 2, "the first, and one for all others");
    }

    #[tokio::test]
    async fn a_check_that_is_given_up_or_fails_is_run_by_the_next() {
        let (checks, parking) = (Checks::default(), Parking::new(1000));
        let run = |check| checks.run(&parking, PrincipalId::generate(), check);
        let endless = async { std::future::pending().await };
        assert!(
            checks
                .run(&parking, PrincipalId::generate(), endless)
                .now_or_never()
                .is_none()
        );
        run(async { Err(ApiError::crowded()) }.boxed()).await.unwrap_err();
        assert_eq!(run(async { Ok(report(7)) }.boxed()).await.unwrap().events, 7);
        assert_eq!(run(async { Ok(report(8)) }.boxed()).await.unwrap().events, 8);
    }

    #[tokio::test]
    async fn nobody_queues_without_bound() {
        let (checks, parking) = (Checks::default(), Parking::new(1000));
        let greedy = PrincipalId::generate();
        let endless = || async { std::future::pending().await };
        let mut waiting: Vec<_> = (0..40)
            .map(|_| Box::pin(checks.run(&parking, greedy, endless())))
            .collect();
        let answers: Vec<_> = waiting
            .iter_mut()
            .map(|check| check.as_mut().now_or_never())
            .collect();
        let sent_away = answers.iter().flatten().count();
        assert_eq!(
            sent_away,
            40 - 1 - 16,
            "one runs, and 16 of one principal may wait"
        );
        assert!(
            answers
                .into_iter()
                .flatten()
                .all(|answer| matches!(answer, Err(ApiError::Unavailable(2.., _)))),
            "told when to come back"
        );
        let mut other = pin!(checks.run(&parking, PrincipalId::generate(), endless()));
        assert!(
            other.as_mut().now_or_never().is_none(),
            "somebody else may wait still"
        );
    }
}
