//! Postgres and its archive: a real server with the settings and the list of who may connect, and pgBackRest beside it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use slipway_dev::programs;
use slipway_dev::spec::Spec;

use crate::host::{Host, snapshot};

const SETUP: &str = include_str!("../../../../../modules/stack/database/setup.sql");
const TELEMETRY: &str = include_str!("../../../../../modules/telemetry/postgres.sql");
const INIT: Duration = Duration::from_mins(1);
const START: Duration = Duration::from_secs(30);
const WORK: Duration = Duration::from_mins(2);

/// Where the modules' server has its data; the number is the path's alone.
const DATA: &str = "/var/lib/postgresql/17";

struct Server {
    host: Host,
    bin: PathBuf,
    port: u16,
}

impl Server {
    /// A cluster with `settings` and `hba`, and everything that they name.
    async fn start(settings: &str, hba: &str) -> Result<Self, String> {
        let host = Host::new();
        let bin = programs::postgres_bin().unwrap();
        host.folder("/run/postgresql");
        host.folder("/var/lib/pgbackrest");
        host.folder("/var/log/pgbackrest");
        host.certify(
            &["/run/slipway-database-certificate/certificate.pem"],
            &["/run/slipway-database-certificate/key.pem"],
            &["/etc/fleet/authority.pem"],
        );
        // As the unit before it would write it.
        host.write("/run/slipway-database/memory.conf", "shared_buffers = '96MB'\n");
        let server = Self {
            port: host.run.ports.reserve().unwrap(),
            host,
            bin,
        };
        server.initialise(settings, hba).await;
        let postgres = server
            .spec("postgres", "postgres")
            .args(["-D".as_ref(), server.host.at(DATA).as_os_str()])
            .stop_signal(Signal::INT)
            .death_signal("QUIT");
        server.host.run.supervisor.spawn(postgres).unwrap();
        let ready = async || server.query("postgres", "SELECT 1").await.is_ok();
        let started = server
            .host
            .run
            .supervisor
            .wait_ready("postgres", START, ready)
            .await;
        started.map_err(|error| error.to_string())?;
        Ok(server)
    }

    async fn initialise(&self, settings: &str, hba: &str) {
        let host = &self.host;
        host.folder("/var/lib/postgresql");
        let init = self.spec("initdb", "initdb").args([
            "--username=postgres",
            "--auth=peer",
            "--data-checksums",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]);
        let init = init.args(["-D".as_ref(), host.at(DATA).as_os_str()]);
        host.run.supervisor.run(init, INIT).await.unwrap();
        let hba = host.write("/etc/postgresql/pg_hba.conf", hba);
        let account = format!("postgres {} postgres\n", self.account());
        let ident = host.write("/etc/postgresql/pg_ident.conf", &account);
        // What NixOS adds.
        let own = format!(
            "hba_file = '{}'\nident_file = '{}'\nport = {}\nunix_socket_directories = '{}'\n\
             dynamic_shared_memory_type = mmap\n",
            hba.display(),
            ident.display(),
            self.port,
            host.at("/run/postgresql").display()
        );
        host.write(
            &format!("{DATA}/postgresql.conf"),
            &format!("{}{own}", host.moved(settings)),
        );
    }

    fn spec(&self, name: &str, program: &str) -> Spec {
        Spec::new(name, self.bin.join(program))
            .directory(&self.host.root)
            .user(self.host.run.user.as_ref())
    }

    /// The account that runs the server, which its superuser is.
    fn account(&self) -> String {
        if let Some(user) = &self.host.run.user {
            return user.name.clone();
        }
        let output = Command::new("id").arg("-un").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The answer over the socket, in the database `postgres`.
    async fn query(&self, role: &str, sql: &str) -> Result<String, String> {
        let socket = self.host.at("/run/postgresql");
        self.query_at(&format!("host={}", socket.display()), role, sql)
            .await
    }

    async fn query_at(&self, place: &str, role: &str, sql: &str) -> Result<String, String> {
        let place = format!(
            "{place} port={} user={role} dbname=postgres connect_timeout=10",
            self.port
        );
        let psql = self
            .spec("psql", "psql")
            // It looks for a client's certificate at home.
            .env("HOME", &self.host.root)
            .args(["--no-psqlrc", "--no-password", "-qAt", "-v", "ON_ERROR_STOP=1"])
            .args(["-d", &place, "-c", sql]);
        let answer = self.host.run.supervisor.output(psql, START).await;
        answer
            .map(|rows| rows.trim().to_owned())
            .map_err(|error| format!("{error:#}"))
    }

    /// The answer to a statement of the superuser's.
    async fn ask(&self, sql: &str) -> String {
        self.query("postgres", sql).await.unwrap()
    }

    /// What `psql` of the superuser says in a database.
    async fn psql<'a>(
        &self,
        database: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<String, String> {
        let socket = self.host.at("/run/postgresql");
        let place = format!(
            "host={} port={} user=postgres dbname={database}",
            socket.display(),
            self.port
        );
        let psql = self
            .spec("psql", "psql")
            .env("HOME", &self.host.root)
            .args(["--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", &place])
            .args(arguments);
        let answer = self.host.run.supervisor.output(psql, START).await;
        answer
            .map(|rows| rows.trim().to_owned())
            .map_err(|error| format!("{error:#}"))
    }

    /// Every line of both files is one that this server understands and uses.
    async fn understands_everything(&self) {
        let wrong =
            "SELECT string_agg(name || ': ' || error, '; ') FROM pg_file_settings WHERE error IS NOT NULL";
        assert_eq!(self.ask(wrong).await, "");
        let wrong = "SELECT string_agg(error, '; ') FROM pg_hba_file_rules WHERE error IS NOT NULL";
        assert_eq!(self.ask(wrong).await, "");
        self.ask("CREATE EXTENSION pg_stat_statements").await;
        assert_eq!(self.ask("SELECT count(*) > 0 FROM pg_stat_statements").await, "t");
        assert_eq!(self.ask("SHOW pg_stat_statements.track").await, "top");
        assert_eq!(self.ask("SHOW wal_compression").await, "lz4");
        assert_eq!(self.ask("SHOW max_connections").await, "450");
    }
}

#[tokio::test]
async fn the_server_is_reached_over_its_socket_by_its_accounts_alone() {
    let server = Server::start(&snapshot("postgresql.conf"), &snapshot("pg_hba.conf"))
        .await
        .unwrap();
    server.understands_everything().await;
    assert_eq!(server.ask("SHOW listen_addresses").await, "");
    assert_eq!(
        server.ask("SHOW shared_buffers").await,
        "96MB",
        "the host's share of memory"
    );

    server.ask("CREATE ROLE shop LOGIN").await;
    server.ask("CREATE ROLE \"slipway-backup\" LOGIN").await;
    server.ask("CREATE ROLE other LOGIN").await;
    for (role, told) in [
        ("slipway-backup", "Peer authentication failed"),
        // It may come to its own database, not to this one.
        ("shop", "pg_hba.conf rejects connection"),
        // Of the host's own, by NixOS' own lines.
        ("other", "Peer authentication failed"),
    ] {
        let refused = server.query(role, "SELECT 1").await.unwrap_err();
        assert!(refused.contains(told), "{role}: {refused}");
    }
    let tcp = server.query_at("host=127.0.0.1", "postgres", "SELECT 1").await;
    assert!(tcp.unwrap_err().contains("refused"));
    server.host.run.close().await.unwrap();
}

#[tokio::test]
async fn who_measures_the_server_reads_no_table() {
    let rules = snapshot("pg_hba-telemetry.conf");
    let own = "local postgres \"slipway-telemetry\" peer";
    assert!(rules.contains(own));
    // Peer would want the account of that name, which only a host has.
    let rules = rules.replace(own, &own.replace("peer", "trust"));
    let server = Server::start(&snapshot("postgresql.conf"), &rules).await.unwrap();
    let role = "slipway-telemetry";
    let setup = server.host.write("/role.sql", TELEMETRY);
    let (set, file) = (
        format!("--set=role={role}"),
        format!("--file={}", setup.display()),
    );
    for _ in 0..2 {
        server
            .psql("postgres", [set.as_str(), file.as_str()])
            .await
            .unwrap();
    }
    server.ask("CREATE DATABASE shop").await;
    server
        .ask("CREATE TABLE things AS SELECT 'secret' AS thing")
        .await;
    for (sql, answer) in [
        ("SELECT count(*) > 0 FROM pg_stat_database", "t"),
        ("SELECT pg_database_size('shop') > 0", "t"),
        ("SELECT count(*) > 0 FROM pg_ls_waldir()", "t"),
        (
            "SELECT count(*) FROM pg_stat_activity WHERE query = '<insufficient privilege>'",
            "0",
        ),
        // What may hold a password is not shown.
        (
            "SELECT count(*) FROM pg_settings WHERE name = 'primary_conninfo'",
            "0",
        ),
    ] {
        assert_eq!(server.query(role, sql).await.as_deref(), Ok(answer), "{sql}");
    }
    for sql in [
        "SELECT * FROM things",
        "SELECT * FROM pg_authid",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY things TO PROGRAM 'cat'",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
        "SET default_transaction_read_only = off; CREATE TABLE mine (thing text)",
        "CREATE ROLE other",
        "SET ROLE postgres",
        "ALTER SYSTEM SET log_statement = 'all'",
    ] {
        let refused = server.query(role, sql).await.unwrap_err();
        assert!(
            refused.contains("permission denied") || refused.contains("must be"),
            "{sql}: {refused}"
        );
    }
    let refused = server.query(role, "\\connect shop").await.unwrap_err();
    assert!(refused.contains("pg_hba.conf rejects connection"), "{refused}");
    server.host.run.close().await.unwrap();
}

#[tokio::test]
async fn what_the_owner_sets_for_a_database_is_nothing_to_the_superuser() {
    let server = Server::start(&snapshot("postgresql.conf"), &snapshot("pg_hba.conf"))
        .await
        .unwrap();
    let setup = server.host.write("/setup.sql", SETUP);
    let file = format!("--file={}", setup.display());
    let set_up = || {
        let names = ["--set=role=shop", "--set=owner=shop", "--set=name=shop"];
        server.psql("postgres", names.into_iter().chain([file.as_str()]))
    };
    set_up().await.unwrap();
    // An operator in the place of one in the statements, which makes its caller give all rights away.
    let attack = "SET ROLE shop; CREATE TABLE things (thing text); CREATE SCHEMA evil; \
                  CREATE FUNCTION evil.differ(text, text) RETURNS boolean LANGUAGE plpgsql AS \
                  $$ BEGIN ALTER ROLE shop SUPERUSER; RETURN false; END $$; \
                  CREATE OPERATOR evil.<> (leftarg = text, rightarg = text, function = evil.differ); \
                  GRANT USAGE ON SCHEMA evil TO PUBLIC; \
                  ALTER DATABASE shop SET search_path = evil, pg_catalog, public;";
    server.psql("shop", ["-c", attack]).await.unwrap();
    set_up().await.unwrap();
    assert_eq!(
        server
            .ask("SELECT rolsuper FROM pg_roles WHERE rolname = 'shop'")
            .await,
        "f"
    );
    // Nor does it keep the next setup from its end.
    for setting in ["default_transaction_read_only = on", "role = shop"] {
        let attack = format!("ALTER DATABASE shop SET {setting}");
        server
            .psql(
                "shop",
                [
                    "-c",
                    "SET default_transaction_read_only = off",
                    "-c",
                    "SET ROLE none",
                    "-c",
                    &attack,
                ],
            )
            .await
            .unwrap();
        set_up().await.unwrap();
    }
    server.host.run.close().await.unwrap();
}

#[tokio::test]
async fn other_hosts_come_with_tls_and_a_password() {
    let (settings, hba) = (
        snapshot("postgresql-network.conf"),
        snapshot("pg_hba-network.conf"),
    );
    assert!(settings.contains("'10.1.0.20'") && hba.contains("10.1.0.0/24"));
    let settings = settings.replace("'10.1.0.20'", "'127.0.0.1'");
    // To a database that this test need not make.
    let hba = hba
        .replace("10.1.0.0/24", "127.0.0.1/32")
        .replace("hostssl \"shop\"", "hostssl \"postgres\"");
    assert!(hba.contains("host \"shop\" all all reject"));
    let server = Server::start(&settings, &hba).await.unwrap();
    server.understands_everything().await;
    assert_eq!(server.ask("SHOW shared_buffers").await, "1GB");
    server
        .ask("CREATE ROLE shop LOGIN PASSWORD 'correct-horse'")
        .await;
    let hashed = "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'shop'";
    assert_eq!(server.ask(hashed).await, "t");

    let version = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let ca = server.host.at("/etc/fleet/authority.pem");
    let tls = format!("host=127.0.0.1 sslmode=verify-full sslrootcert={}", ca.display());
    let known = format!("{tls} password=correct-horse");
    assert_eq!(server.query_at(&known, "shop", version).await.unwrap(), "TLSv1.3");
    let wrong = format!("{tls} password=wrong");
    let refused = server.query_at(&wrong, "shop", version).await.unwrap_err();
    assert!(refused.contains("password authentication failed"), "{refused}");
    let plain = "host=127.0.0.1 sslmode=disable password=correct-horse";
    let refused = server.query_at(plain, "shop", version).await.unwrap_err();
    assert!(refused.contains("no encryption"), "{refused}");
    server.host.run.close().await.unwrap();
}

#[tokio::test]
async fn the_archive_takes_segments_from_the_server() {
    let server = Server::start(&snapshot("postgresql.conf"), &snapshot("pg_hba.conf"))
        .await
        .unwrap();
    let archive = Archive::new(&server, &snapshot("pgbackrest.conf"));
    archive.run(&["stanza-create"]).await.unwrap();
    // Has the server hand over a segment, and waits for it.
    archive.run(&["check"]).await.unwrap();
    archive.run(&["backup", "--type=full"]).await.unwrap();
    let info = archive.run(&["info"]).await.unwrap();
    for told in ["stanza: main", "status: ok", "full backup: "] {
        assert!(info.contains(told), "{told}: {info}");
    }
    server.host.run.close().await.unwrap();
}

#[tokio::test]
async fn a_mistake_in_a_file_is_found() {
    let (settings, hba) = (snapshot("postgresql.conf"), snapshot("pg_hba.conf"));
    for (settings, hba, told) in [
        (
            settings.replace("max_wal_size", "max_wal_sise"),
            hba.clone(),
            "unrecognized configuration parameter \"max_wal_sise\"",
        ),
        (
            settings.replace("'15min'", "'15 minutes'"),
            hba.clone(),
            "\"checkpoint_timeout\"",
        ),
        (
            settings.clone(),
            hba.replace("local \"shop\" \"shop\" peer", "local \"shop\" \"shop\" piir"),
            "could not load",
        ),
    ] {
        let error = Server::start(&settings, &hba).await.err();
        let error = error.unwrap_or_else(|| panic!("no complaint about {told}"));
        assert!(error.contains(told), "{told}: {error}");
    }
    let server = Server::start(&settings, &hba).await.unwrap();
    let config = snapshot("pgbackrest.conf").replace("repo1-bundle=", "repo1-bundel=");
    let refused = Archive::new(&server, &config).run(&["info"]).await.unwrap_err();
    assert!(refused.contains("repo1-bundel"), "{refused}");
    server.host.run.close().await.unwrap();
}

/// pgBackRest with the configuration of a snapshot.
struct Archive<'a> {
    server: &'a Server,
    program: PathBuf,
}

impl<'a> Archive<'a> {
    fn new(server: &'a Server, config: &str) -> Self {
        let host = &server.host;
        let real = programs::find("pgbackrest").unwrap();
        // The port is the file's only number that has to be another one here.
        assert!(config.contains("pg1-port=5432"));
        let config = config.replace("pg1-port=5432", &format!("pg1-port={}", server.port));
        let config = host.write("/etc/pgbackrest/pgbackrest.conf", &host.moved(&config));
        // Where the server's archive_command looks for it.
        let script = format!(
            "#!/bin/sh\nexec {} --config={} \"$@\"\n",
            real.display(),
            config.display()
        );
        let program = host.write("/store/pgbackrest/bin/pgbackrest", &script);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        Self { server, program }
    }

    /// Runs a command; a warning, as of an option that it does not know, is an error.
    async fn run(&self, command: &[&str]) -> Result<String, String> {
        let supervisor = &self.server.host.run.supervisor;
        let spec = Spec::new("pgbackrest", &self.program)
            .args([
                "--stanza=main",
                "--log-level-console=off",
                "--log-level-stderr=warn",
            ])
            .args(command)
            .directory(&self.server.host.root)
            .user(self.server.host.run.user.as_ref());
        let output = supervisor.output(spec, WORK).await;
        let output = output.map_err(|error| format!("{error:#}"))?;
        let log = supervisor.log_tail("pgbackrest");
        if log.contains("WARN") {
            return Err(log);
        }
        Ok(output)
    }
}
