//! Runs docs/coming-from-compose.md and docs/moving-from-compose.md: their commands, with the control plane as the stack
//! `shop`, and their names, which must be those of the reference pages.
//!
//! What stands after `  # ` in a block must be in what the block prints. Blocks that begin with `sh host` need a NixOS
//! host: tests/nixos/coming-from-compose.nix runs them. Blocks of `nix` are evaluated by tests/eval/docs.nix.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use clap::CommandFactory as _;
use common::page::{self, Bench, blocks, checkout, of_table, printed};
use common::rig::Rig;
use serde_json::json;
use slipway_dev::cli::DevCli;
use slipway_dev::fleet::Variant;
use slipway_dev::monitoring::{Monitoring, Watching};
use slipway_dev::postgres::{DevPostgres, Durability};
use slipway_dev::programs;
use slipway_dev::run::Run;
use slipway_dev::stack::hosts::strategy;
use slipway_domain::RolloutState;

const PAGES: [&str; 2] = ["docs/coming-from-compose.md", "docs/moving-from-compose.md"];
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

struct Move {
    rig: Rig,
    monitoring: Monitoring,
    old: DevPostgres,
    old_run: Run,
    bench: Bench,
    release: String,
}

impl Move {
    async fn new() -> Self {
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
    async fn shell(&self, block: &str) -> Output {
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

/// Both pages, one after the other.
fn text() -> String {
    PAGES
        .map(|page| fs::read_to_string(checkout().join(page)).unwrap())
        .concat()
}

/// What a block says that it prints, in its order.
fn expected(block: &str) -> Vec<&str> {
    let said = block.lines().filter_map(|line| Some(line.split_once("  # ")?.1));
    said.flat_map(|said| said.split(" … ")).collect()
}

/// The first of these that does not follow the ones before it.
fn missing<'a>(said: &[&'a str], printed: &str) -> Option<&'a str> {
    let mut rest = printed;
    for part in said {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return Some(part),
        }
    }
    None
}

#[tokio::test]
async fn the_commands_of_the_page_print_what_it_says() {
    let moved = Move::new().await;
    let page = text();
    let commands = blocks(&page, "sh");
    assert!(commands.len() > 20, "{}", commands.len());
    let mut said = 0;
    // All of them: whoever changed the page wants to know at once.
    let mut wrong = Vec::new();
    for block in &commands {
        let ran = moved.shell(block).await;
        let printed = printed(&ran);
        let expected = expected(block);
        said += expected.len();
        let missing = missing(&expected, &printed);
        if !ran.status.success() || missing.is_some() {
            wrong.push(format!(
                "{:?}, without {missing:?}:\n{block}\n{printed}",
                ran.status
            ));
        }
        if block.contains("systemctl kill") {
            moved.rig.run.supervisor.start_again("api-1").unwrap();
            let plane = &moved.rig.stack.control_plane;
            plane.wait_ready(&moved.rig.run, "api-1").await.unwrap();
        }
    }
    assert!(said > 25, "only {said} answers are on the page");

    let mut looked = 0;
    for heading in ["\nBefore a deploy.", "\nSecurity:", "\nAfter a deploy."] {
        for command in of_table(&page, heading) {
            let here = ["curl ", "slipway ", "slipway-backup "];
            // Of a host; and one whose answer is a code of its own, which a block has.
            let apart = command.contains("restore ") || command == "slipway verify";
            if here.iter().any(|start| command.starts_with(start)) && !apart {
                looked += 1;
                let ran = moved.shell(&command).await;
                if !ran.status.success() {
                    wrong.push(format!("{:?}: {command}\n{}", ran.status, printed(&ran)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(looked > 8, "only {looked} commands of the checklists were run");

    // Both ways were gone, and each side has what was there, with its own rights.
    let rows = "SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders), (SELECT max(total) FROM billing.\"Invoices\")";
    for server in [&moved.old, &moved.rig.stack.postgres] {
        assert_eq!(
            server.query("postgres", "shop", rows).await.unwrap(),
            "500|20000|7000"
        );
        let owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('public', 'billing')";
        assert_eq!(server.query("postgres", "shop", owners).await.unwrap(), "shop");
        let next = "SELECT nextval('orders_id_seq')";
        assert_eq!(server.query("postgres", "shop", next).await.unwrap(), "20001");
    }
    let called = fs::read_to_string(moved.bench.at("called")).unwrap();
    for call in [
        "docker compose stop api worker",
        "docker compose start api worker",
        "systemctl stop shop.target",
        "systemctl kill --signal=KILL shop-api-1",
    ] {
        assert!(
            called.contains(call),
            "`{call}` is not on the page any more: {called}"
        );
    }
    moved.old_run.close().await.unwrap();
    moved.rig.run.close().await.unwrap();
}

/// Every option of docs/options.md, as its parts.
fn options() -> Vec<Vec<String>> {
    let reference = fs::read_to_string(checkout().join("docs/options.md")).unwrap();
    let headings = reference
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    headings.map(parts).collect()
}

fn parts(option: &str) -> Vec<String> {
    option.split('.').map(str::to_owned).collect()
}

/// Whether the words are an option, a group of them, or the end of one: `backup.dump.keepDays`.
fn is_of_an_option(words: &[String], options: &[Vec<String>]) -> bool {
    options.iter().any(|option| {
        option.windows(words.len()).any(|window| {
            window
                .iter()
                .zip(words)
                .all(|(part, word)| part == word || part == "<name>")
        })
    })
}

/// Words with dots between that can be the name of an option, and not that of a file, a site or a program's setting.
fn looks_like_an_option(span: &str) -> bool {
    const ENDINGS: [&str; 11] = [
        "conf", "ini", "yml", "md", "nix", "com", "lock", "dump", "token", "txt", "env",
    ];
    let words: Vec<&str> = span.split('.').collect();
    words.len() > 1
        && words.iter().all(|word| {
            let bare = word.trim_start_matches('<').trim_end_matches('>');
            !bare.is_empty() && bare.chars().all(|letter| letter.is_ascii_alphabetic())
        })
        && !ENDINGS.contains(words.last().unwrap())
}

/// The spans of code, without what follows an `=`.
fn spans(page: &str) -> Vec<String> {
    let spans = slipway_dev::test::markdown::names(page).code.into_iter();
    spans
        .map(|span| span.trim_matches('`').split(" = ").next().unwrap().to_owned())
        // The name of one of them, such as a secret's.
        .map(|span| span.trim_end_matches(".NAME").to_owned())
        .collect()
}

#[test]
fn every_option_of_the_page_is_one() {
    // Of NixOS, and of this flake.
    const OTHERS: [&str; 5] = [
        "services.redis.servers",
        "lib.kubernetes",
        "packages.shop",
        "packages.migrations",
        "deploy.resources.limits",
    ];
    let options = options();
    assert!(options.len() > 300, "{}", options.len());
    let spans = spans(&text());
    let named: Vec<&String> = spans
        .iter()
        .filter(|span| looks_like_an_option(span) && !OTHERS.contains(&span.as_str()))
        .collect();
    assert!(named.len() > 25, "only {named:?}");
    let wrong: Vec<_> = named
        .into_iter()
        .filter(|span| !is_of_an_option(&parts(span), &options))
        .collect();
    assert!(wrong.is_empty(), "docs/options.md has no {wrong:?}");
    for none in [
        "backup.dump.keepWeeks",
        "services.slipway.clusters",
        "limits.memory",
    ] {
        assert!(!is_of_an_option(&parts(none), &options), "{none}");
    }
}

#[test]
fn every_setting_of_the_page_is_one() {
    let reference = fs::read_to_string(checkout().join("docs/settings.md")).unwrap();
    let page = text();
    let words = page.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let ours = [
        "API_",
        "DATABASE_",
        "REDIS_",
        "METRICS_",
        "LOG_",
        "OTEL_",
        "SENTRY_",
    ];
    let named: BTreeSet<&str> = words
        .filter(|word| ours.iter().any(|start| word.starts_with(start)))
        // The beginning of a pattern.
        .filter(|word| !word.ends_with('_'))
        .collect();
    assert!(named.len() > 10, "only {named:?}");
    for name in named {
        assert!(
            reference.contains(&format!("`{name}`")),
            "docs/settings.md has no {name}"
        );
    }
}

/// The lines of blocks and the spans that begin with a program's name, up to what a shell reads as something else.
fn calls(page: &str, program: &str) -> BTreeSet<Vec<String>> {
    let spans = spans(page).into_iter();
    let blocks = ["sh", "sh host"]
        .map(|language| blocks(page, language).concat())
        .concat();
    let lines = blocks.lines().map(str::to_owned);
    let parts = spans.chain(lines).flat_map(|line| {
        let code = line.split("  # ").next().unwrap_or_default().to_owned();
        code.split(['|', ';', '&']).map(str::to_owned).collect::<Vec<_>>()
    });
    parts
        .map(|part| part.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter(|words| words.len() > 1 && words[0] == program)
        .collect()
}

#[test]
fn every_command_of_backups_and_of_dev_is_one() {
    let page = text();
    let folder = Path::new(env!("CARGO_BIN_EXE_slipway-dev")).parent().unwrap();
    let backups = calls(&page, "slipway-backup");
    assert!(backups.len() > 4, "only {backups:?}");
    for words in backups {
        let help = Command::new(folder.join("slipway-backup"))
            .args([&words[1], "--help"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&help.stdout);
        assert!(help.status.success(), "{words:?}: {}", printed(&help));
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            assert!(text.contains(flag.as_str()), "{words:?}: there is no {flag}");
        }
    }
    // `slipway …` is checked with the pages of the command line.
    for words in calls(&page, "./dev") {
        let known = DevCli::command()
            .get_subcommands()
            .any(|command| command.get_name() == words[1]);
        assert!(known, "there is no {words:?}");
    }
}

#[test]
fn an_answer_in_another_order_is_missed() {
    let block = "one          # a … b\ntwo\nthree  # c  # d\n";
    assert_eq!(expected(block), ["a", "b", "c  # d"]);
    assert_eq!(missing(&["a", "b"], "xaxb"), None);
    assert_eq!(missing(&["b", "a"], "xaxb"), Some("a"));
}
