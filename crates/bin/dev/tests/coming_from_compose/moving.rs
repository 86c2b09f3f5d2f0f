//! The two machines of the move: the old one with a server of its own, and the control plane as the new one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use serde_json::json;
use slipway_dev::fleet::Variant;
use slipway_dev::monitoring::{Monitoring, Watching};
use slipway_dev::postgres::{DevPostgres, Durability};
use slipway_dev::programs;
use slipway_dev::run::Run;
use slipway_dev::stack::hosts::strategy;
use slipway_domain::RolloutState;

use crate::common::page::{self, Bench, checkout, printed};
use crate::common::rig::Rig;

const TARGETS: Duration = Duration::from_mins(2);

/// As the account of a stack or of the server, but over the network and with a password.
const RUNUSER: &str = r#"#!/bin/sh
set -eu
[ "$1 $3" = "-u --" ]
export PGUSER="$2" PGHOST=127.0.0.1 PGPORT="$NEW_PORT"
shift 3
exec "$@"
"#;

/// The old machine: its database is a server of its own.
const DOCKER: &str = r#"#!/bin/sh
set -eu
case "$1 $2 $3 ${4-}" in
"compose exec -T db") shift 4; PGHOST=127.0.0.1 PGPORT="$OLD_PORT" exec "$@" ;;
"compose stop api worker" | "compose start api worker") echo "docker $*" >>"$BENCH/called" ;;
*) echo "docker $*: not on the page" >&2; exit 2 ;;
esac
"#;

/// No systemd knows these processes.
const SYSTEMCTL: &str = r#"#!/bin/sh
set -eu
case "$*" in
"kill --signal=KILL shop-api-1") kill -KILL "$REPLICA" ;;
"stop shop.target" | "start shop.target") ;;
*) echo "systemctl $*: not on the page" >&2; exit 2 ;;
esac
echo "systemctl $*" >>"$BENCH/called"
"#;

/// The account of the backups, which is not root.
const BACKUP: &str = r#"#!/bin/sh
exec $AS_BACKUP "$BACKUP_FOLDER/slipway-backup" --config "$BACKUP_FOLDER/config.json" "$@"
"#;

/// What is in the old database.
const OLD: &str = "
    CREATE TABLE customers (id bigserial PRIMARY KEY, name text NOT NULL UNIQUE);
    CREATE TABLE orders (id bigserial PRIMARY KEY, customer bigint NOT NULL REFERENCES customers, at timestamptz DEFAULT now());
    CREATE SCHEMA billing;
    CREATE TABLE billing.\"Invoices\" (id bigint PRIMARY KEY REFERENCES orders, total numeric);
    CREATE VIEW open_orders AS SELECT o.id FROM orders o LEFT JOIN billing.\"Invoices\" i USING (id) WHERE i.id IS NULL;
    INSERT INTO customers (name) SELECT 'c' || n FROM generate_series(1, 500) n;
    INSERT INTO orders (customer) SELECT 1 + n % 500 FROM generate_series(1, 20000) n;
    INSERT INTO billing.\"Invoices\" SELECT n, n FROM generate_series(1, 7000) n;";

/// What the migrations of a newer version made in the stack's database before the data came.
const NEWER: &str = "
    CREATE TABLE customers (id bigserial PRIMARY KEY, name text NOT NULL, country text);
    CREATE TABLE carts (id bigserial PRIMARY KEY, customer bigint REFERENCES customers);
    INSERT INTO customers (name) VALUES ('of the new machine');";

pub(crate) struct Move {
    pub(crate) rig: Rig,
    monitoring: Monitoring,
    pub(crate) old: DevPostgres,
    pub(crate) old_run: Run,
    pub(crate) bench: Bench,
    release: String,
}

impl Move {
    pub(crate) async fn new() -> Self {
        let rig = Rig::new(2).await;
        let paths = rig
            .publish(&[("v1", Variant::Works), ("v2", Variant::Works)])
            .await;
        let first = rig.roll_out(&paths[0], strategy(1, 1)).await;
        assert_eq!(first.summary.state, RolloutState::Succeeded);
        let release = rig.release(&paths[1]).await.to_string();
        let monitoring = Monitoring::start(&rig.run, &checkout(), &rig.stack, Watching::default())
            .await
            .unwrap();
        monitoring.wait_targets_up(TARGETS).await.unwrap();
        let old_run = Run::create(rig.run.dir.path().parent().unwrap()).unwrap();
        let old = DevPostgres::start(&old_run, Durability::Fast).await.unwrap();
        let bench = Bench::create(rig.run.dir.path().join("bench"));
        for (name, text) in [
            ("runuser", RUNUSER),
            ("docker", DOCKER),
            ("systemctl", SYSTEMCTL),
            ("slipway-backup", BACKUP),
        ] {
            bench.program(name, text);
        }
        let moved = Self {
            rig,
            monitoring,
            old,
            old_run,
            bench,
            release,
        };
        moved.make_databases().await;
        moved.configure_backups();
        moved.make_ci().await;
        moved
    }

    /// The database `shop` of the role `shop` on both sides.
    async fn make_databases(&self) {
        let new = &self.rig.stack.postgres;
        for (server, run, content) in [(&self.old, &self.old_run, OLD), (new, &self.rig.run, NEWER)] {
            for statement in [
                "CREATE ROLE shop LOGIN PASSWORD 'of-the-stack'",
                "CREATE DATABASE shop OWNER shop",
            ] {
                server.query("postgres", "postgres", statement).await.unwrap();
            }
            let content = format!("SET ROLE shop; {content}");
            server.query("postgres", "shop", &content).await.unwrap();
            let line = format!("127.0.0.1:{}:*:shop:of-the-stack\n", server.port);
            let file = run.dir.path().join("home/.pgpass");
            let lines = fs::read_to_string(file).unwrap() + &line;
            let all = self.bench.at("home/.pgpass");
            let before = fs::read_to_string(&all).unwrap_or_default();
            fs::write(&all, before + &lines).unwrap();
            make_private(&all);
        }
    }

    /// Backups of the control plane's own database, as a host's stack has them.
    fn configure_backups(&self) {
        let run = &self.rig.run;
        let user = run.user.as_ref();
        let folder = run.dir.folder("backup", user).unwrap();
        for part in ["backup/state", "backup/dumps"] {
            run.dir.folder(part, user).unwrap();
        }
        let url = folder.join("url");
        slipway_dev::run_dir::write_private(&url, &self.rig.stack.postgres.owner_url(), user).unwrap();
        let times = json!({ "timeout_seconds": 120, "late_after_seconds": 93_600 });
        let config = json!({
            "stack": "shop",
            "state_dir": folder.join("state"),
            "database": { "name": "slipway", "url_file": { "path": url }, "bin_dir": programs::postgres_bin().unwrap() },
            "dump": { "directory": folder.join("dumps"), "keep_days": 30, "times": times },
            "drill": { "times": times },
        });
        slipway_dev::run_dir::write_private(&folder.join("config.json"), &config.to_string(), user).unwrap();
        fs::copy(
            self.rig.stack.binaries.backup().unwrap(),
            folder.join("slipway-backup"),
        )
        .unwrap();
    }

    /// The principal of production.md, step 8.
    async fn make_ci(&self) {
        let made = self
            .shell(
                "slipway principal create ci --role deployer\n\
                 slipway token create --principal ci --label deploy --token-out ci.token",
            )
            .await;
        assert!(made.status.success(), "{}", printed(&made));
    }

    fn secrets(&self) -> PathBuf {
        self.rig.run.dir.path().join("secrets")
    }

    /// Runs commands of the page, with this machine's places in place of a host's.
    pub(crate) async fn shell(&self, block: &str) -> Output {
        let stack = &self.rig.stack;
        let https = stack.nginx.https.to_string();
        let password = self.bench.at("redis-password");
        fs::write(&password, &stack.redis.password).unwrap();
        let port = |url: &str| url.rsplit(':').next().unwrap().to_owned();
        let text = block
            .replace(
                "shop.example.com:443:ADDRESS:443",
                &format!("localhost:{https}:127.0.0.1:{https}"),
            )
            .replace("https://shop.example.com", &stack.nginx.api_url())
            .replace(
                "127.0.0.1:9090",
                &format!("127.0.0.1:{}", port(&self.monitoring.prometheus.url)),
            )
            .replace(
                "127.0.0.1:9093",
                &format!("127.0.0.1:{}", port(&self.monitoring.alertmanager)),
            )
            .replace("/run/slipway-cache/shop/password", password.to_str().unwrap())
            .replace(
                "-s /run/redis-shop/redis.sock",
                &format!("-p {}", stack.redis.port),
            )
            .replace("RELEASE", &self.release);
        let run = &self.rig.run;
        let backup = run.dir.path().join("backup");
        let account = run.user.as_ref().map_or_else(String::new, |user| {
            format!("setpriv --reuid={} --regid={} --clear-groups", user.uid, user.gid)
        });
        let programs = stack.binaries.cli.parent().unwrap().display();
        let spec = self
            .bench
            // After the stand-ins, before what the machine has.
            .shell(
                &format!(
                    "PATH=$BENCH/bin:{programs}:{}:$PATH\n{text}",
                    postgres_programs().display()
                ),
                "",
            )
            .env("SLIPWAY_URL", stack.nginx.api_url())
            .env("SLIPWAY_CA_FILE", &stack.nginx.ca)
            .env("SLIPWAY_TOKEN_FILE", run.dir.path().join("admin-token"))
            .env("CURL_CA_BUNDLE", &stack.nginx.ca)
            .env("NEW_PORT", stack.postgres.port.to_string())
            .env("OLD_PORT", self.old.port.to_string())
            .env("REPLICA", run.supervisor.pid("api-1").unwrap().to_string())
            .env("BACKUP_FOLDER", &backup)
            .env("AS_BACKUP", account)
            // What `slipway-api config` wants to see.
            .env(
                "SECRET_KEY",
                fs::read_to_string(self.secrets().join("secret-key")).unwrap(),
            )
            .env("ADMIN_PASSWORD", "of-nobody-at-all")
            .env("DATABASE_URL", stack.postgres.url());
        page::output(spec.command(&run.dir).unwrap()).await
    }
}

fn postgres_programs() -> PathBuf {
    programs::postgres_bin().unwrap()
}

fn make_private(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}
