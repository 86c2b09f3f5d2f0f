//! Callers that go away in the middle of a call: what they leave behind is nothing.

use std::future::{Future, poll_fn};
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use slipway_domain::{PrincipalName, Role, RolloutId};
use slipway_settings::DatabaseSettings;
use slipway_store::{Store, StoreError};
use slipway_testkit::{audit_key, wait_until};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::support::{ada, settings, store};

/// The longest that a test waits for what must come.
const SOON: Duration = Duration::from_secs(30);
/// Moments at which a caller goes away.
const ROUNDS: usize = 120;

/// A way to Postgres that holds the answer to one kind of statement back, so that its caller can go away in the middle.
struct Held {
    port: u16,
    /// The statement whose answer is held back; none lets everything through.
    statement: watch::Sender<Option<&'static str>>,
    /// Whether an answer is being held back.
    holding: watch::Receiver<bool>,
}

impl Held {
    /// A way to this address that holds nothing back yet.
    async fn open(target: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (statement, wanted) = watch::channel(None);
        let (hold, holding) = watch::channel(false);
        let hold = Arc::new(hold);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&target).await.unwrap();
                tokio::spawn(carry(client, server, wanted.clone(), Arc::clone(&hold)));
            }
        });
        Self {
            port,
            statement,
            holding,
        }
    }

    fn hold_back(&self, statement: &'static str) {
        self.statement.send_replace(Some(statement));
    }

    /// Waits until Postgres has the statement, and its answer is held back.
    async fn held(&mut self) {
        timeout(SOON, self.holding.wait_for(|holding| *holding))
            .await
            .expect("nobody said the statement")
            .unwrap();
    }

    fn let_through(&self) {
        self.statement.send_replace(None);
    }
}

async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    mut wanted: watch::Receiver<Option<&'static str>>,
    hold: Arc<watch::Sender<bool>>,
) {
    let (mut there, mut back) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut there) => {
                let Ok(read @ 1..) = read else { return };
                if server.write_all(&there[..read]).await.is_err() {
                    return;
                }
                let statement = *wanted.borrow();
                if statement.is_some_and(|statement| contains(&there[..read], statement)) {
                    hold.send_replace(true);
                    if wanted.wait_for(Option::is_none).await.is_err() {
                        return;
                    }
                    hold.send_replace(false);
                }
            }
            read = server.read(&mut back) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&back[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Polls a call so many times at most, and drops it then.
async fn polled<T>(times: usize, call: impl Future<Output = T>) -> Option<T> {
    let (mut call, mut left) = (pin!(call), times);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match call.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Settings for one connection, which every caller gets after the other.
fn one_connection(connect: &PgConnectOptions, port: Option<u16>) -> DatabaseSettings {
    DatabaseSettings {
        pool_size: 1,
        max_overflow: 0,
        acquire_timeout: SOON,
        ..settings(connect, port)
    }
}

/// A store on one connection, with none of what the program's own pool looks at besides.
async fn bare(connect: PgConnectOptions) -> Store {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(SOON)
        .connect_with(connect)
        .await
        .unwrap();
    Store::from_pool(pool)
}

fn name(of: &str) -> PrincipalName {
    of.parse().unwrap()
}

/// What the next caller gets on that connection: a write that others see at once, and a look at one moment.
async fn assert_unharmed(store: &Store, others: &PgPool, after: &str) {
    store.note_worker(after, "0").await.unwrap();
    let seen: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM workers WHERE id = $1)")
        .bind(after)
        .fetch_one(others)
        .await
        .unwrap();
    assert!(
        seen,
        "{after}: nobody else sees what was written and acknowledged"
    );
    let missing = store.get_rollout(RolloutId::generate()).await;
    assert!(
        matches!(missing, Err(StoreError::NotFound { .. })),
        "{after}: {missing:?}"
    );
    // A call that found nothing is over before its rollback is.
    wait_until("every transaction to end", SOON, async || {
        let open: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'",
        )
        .fetch_one(others)
        .await
        .unwrap();
        (open == 0).then_some(())
    })
    .await;
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn whoever_leaves_while_a_transaction_begins_leaves_none_open(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let pool = options.connect_with(connect.clone()).await.unwrap();
    let mut way = Held::open(format!("{}:{}", connect.get_host(), connect.get_port())).await;
    let (key, ci) = (audit_key(), name("ci"));
    let ada = ada(&key);
    let stores = [
        Store::connect(&one_connection(&connect, Some(way.port)), "leaves"),
        bare(connect.clone().host("127.0.0.1").port(way.port)).await,
    ];
    for (n, store) in stores.iter().enumerate() {
        store.ping().await.unwrap();
        way.hold_back("BEGIN");
        tokio::select! {
            made = store.create_principal(&ci, Role::Viewer, &ada) => panic!("{made:?}"),
            () = way.held() => {}
        }
        way.let_through();
        assert_unharmed(store, &pool, &format!("a write of {n}")).await;
        way.hold_back("BEGIN");
        tokio::select! {
            found = store.get_rollout(RolloutId::generate()) => panic!("{found:?}"),
            () = way.held() => {}
        }
        way.let_through();
        assert_unharmed(store, &pool, &format!("a look of {n}")).await;
    }
    assert_eq!(
        store(&pool).list_principals().await.unwrap(),
        [],
        "nothing was done"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn whoever_leaves_at_any_moment_of_a_call_harms_no_other(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let pool = options.connect_with(connect.clone()).await.unwrap();
    let store = bare(connect).await;
    let key = audit_key();
    let ada = ada(&key);
    let (mut left, mut stayed) = (0, Vec::new());
    // A database that answers at once lets few go before the end: more rounds then.
    let rounds = (1..=ROUNDS).cycle().take(20 * ROUNDS).enumerate();
    for (all, n) in rounds {
        if all >= ROUNDS && left > 10 && !stayed.is_empty() {
            break;
        }
        let principal = name(&format!("p-{all}"));
        let call = store.create_principal(&principal, Role::Viewer, &ada);
        // The later ones go by time rather than by how often they were asked.
        let made = match n {
            ..=60 => polled(n, call).await,
            _ => timeout(Duration::from_micros(100 * (n as u64 - 60)), call)
                .await
                .ok(),
        };
        match made {
            Some(made) => stayed.push(made.unwrap()),
            None => left += 1,
        }
        assert_unharmed(&store, &pool, &format!("write {all}")).await;
        let look = store.get_rollout(RolloutId::generate());
        if let Some(found) = polled(n % 20, look).await {
            assert!(matches!(found, Err(StoreError::NotFound { .. })), "{found:?}");
        }
        assert_unharmed(&store, &pool, &format!("look {all}")).await;
    }
    assert!(
        left > 10 && !stayed.is_empty(),
        "{left} left, {} stayed",
        stayed.len()
    );
    let kept = store.list_principals().await.unwrap();
    assert!(stayed.iter().all(|principal| kept.contains(principal)));
    let report = store.verify_chain(&key).await.unwrap();
    assert_eq!(report.problem, None);
    assert_eq!(report.events, i64::try_from(kept.len()).unwrap());
}

/// It is as after a power cut: done or not done, and what is there is whole.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn whoever_leaves_during_a_commit_leaves_all_of_it(options: PgPoolOptions, connect: PgConnectOptions) {
    let pool = options.connect_with(connect.clone()).await.unwrap();
    let mut way = Held::open(format!("{}:{}", connect.get_host(), connect.get_port())).await;
    let store = Store::connect(&one_connection(&connect, Some(way.port)), "leaves");
    let (key, ci) = (audit_key(), name("ci"));
    let ada = ada(&key);
    store.ping().await.unwrap();
    way.hold_back("COMMIT");
    tokio::select! {
        made = store.create_principal(&ci, Role::Viewer, &ada) => panic!("{made:?}"),
        () = way.held() => {}
    }
    way.let_through();
    assert_unharmed(&store, &pool, "a commit").await;
    let again = store.create_principal(&ci, Role::Viewer, &ada).await;
    assert!(matches!(again, Err(StoreError::NameTaken { .. })), "{again:?}");
    let report = store.verify_chain(&key).await.unwrap();
    assert_eq!((report.problem, report.events), (None, 1));
}
