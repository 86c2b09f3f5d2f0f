//! Behind `pgbouncer`, as `docs/database.md` says.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use slipway_settings::{DatabaseHost, DatabaseSettings};
use slipway_store::{Store, StoreError};
use slipway_testkit::{database_password, free_port};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::{Fleet, agents, claim, drive, settings};

/// What the page says to ignore.
const IGNORED: &str = "extra_float_digits, options";

/// `pgbouncer` before the test's own database. It ends with this.
struct PgBouncer {
    port: u16,
    child: Child,
    folder: TempDir,
}

impl PgBouncer {
    async fn start(options: &PgConnectOptions, mode: &str, pool: u32, ignored: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let mut config = format!(
            "[databases]\n* = host={} port={} user={}",
            options.get_host(),
            options.get_port(),
            options.get_username()
        );
        if let Some(password) = database_password(options) {
            write!(config, " password={password}").unwrap();
        }
        write!(
            config,
            "\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = {mode}\ndefault_pool_size = {pool}\nignore_startup_parameters = {ignored}\n"
        )
        .unwrap();
        // Later versions can keep a client's statements by themselves, and earlier ones do not know the setting.
        if version() >= (1, 21) {
            config.push_str("max_prepared_statements = 0\n");
        }
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("pgbouncer");
        if rustix::process::geteuid().is_root() {
            // It refuses to run as root, and reads its settings as whom it becomes.
            let given = Command::new("chown")
                .args(["-R", "nobody"])
                .arg(folder.path())
                .status();
            assert!(given.unwrap().success());
            command.args(["-u", "nobody"]);
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = command
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("no pgbouncer here; ./dev installs it");
        let mut bouncer = Self { port, child, folder };
        let end = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let log = std::fs::read_to_string(bouncer.folder.path().join("log")).unwrap();
            assert!(bouncer.child.try_wait().unwrap().is_none(), "it ended: {log}");
            assert!(Instant::now() < end, "it does not listen: {log}");
            sleep(Duration::from_millis(20)).await;
        }
        bouncer
    }

    fn settings(&self, options: &PgConnectOptions) -> DatabaseSettings {
        DatabaseSettings {
            host: DatabaseHost::Tcp(Ipv4Addr::LOCALHOST.to_string()),
            ..settings(options, Some(self.port))
        }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn version() -> (u32, u32) {
    let said = Command::new("pgbouncer").arg("--version").output();
    let said = String::from_utf8(said.expect("no pgbouncer here; ./dev installs it").stdout).unwrap();
    let version = said.split_whitespace().nth(1).unwrap().to_owned();
    let mut parts = version.split('.').map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap())
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_rollout_runs_to_its_end_behind_pgbouncer_in_session_mode(pool: PgPool) {
    let options = pool.connect_options();
    let bouncer = PgBouncer::start(&options, "session", 100, IGNORED).await;
    let store = Store::connect(&bouncer.settings(&options), "test");
    // As the api does at its start, and as `migrate` does.
    slipway_store::schema::migrate(&bouncer.settings(&options))
        .await
        .unwrap();
    let fleet = Fleet::of(3).seed(&store).await;
    fleet.rollout(1).await;
    let mut agents = agents(&fleet);
    drive(&fleet, &mut agents, &claim(&store, "w").await).await;
    // Another process, and more requests at once than one connection carries.
    let other = Store::connect(&bouncer.settings(&options), "other");
    let mut all = JoinSet::new();
    for store in [&store, &other].into_iter().cycle().take(40) {
        let store = store.clone();
        all.spawn(async move { store.list_hosts(None, None, 100).await.unwrap().len() });
    }
    assert_eq!(all.join_all().await, vec![3; 40]);
    let report = store.verify_chain(&fleet.key).await.unwrap();
    assert_eq!(report.problem, None);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn transaction_mode_ends_with_the_words_of_the_page(pool: PgPool) {
    let options = pool.connect_options();
    let bouncer = PgBouncer::start(&options, "transaction", 1, IGNORED).await;
    let run = async |name: &str| Store::connect(&bouncer.settings(&options), name).now().await;
    run("first").await.unwrap();
    let second = words(&run("second").await.unwrap_err());
    assert!(
        second.contains("prepared statement") && second.contains("already exists"),
        "{second}"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn without_what_the_page_says_to_ignore_no_connection_is_made(pool: PgPool) {
    let options = pool.connect_options();
    let bouncer = PgBouncer::start(&options, "session", 10, "options").await;
    let refused = Store::connect(&bouncer.settings(&options), "test").now().await;
    let refused = words(&refused.unwrap_err());
    assert!(refused.contains("unsupported startup parameter"), "{refused}");
}

/// With all its sources.
fn words(error: &StoreError) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        write!(words, ": {error}").unwrap();
        source = error.source();
    }
    words
}
