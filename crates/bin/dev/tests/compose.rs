//! deploy/compose: the roles of the database, in a new volume and in one that had a single role.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::Base;
use slipway_dev::postgres::{OWNER, PROCESS_ROLE, random_password};
use slipway_dev::programs::postgres_bin;
use slipway_dev::run::Run;
use slipway_dev::run_dir::write_private;
use slipway_dev::spec::Spec;

const BOUND: Duration = Duration::from_mins(2);
/// Who the image names in `POSTGRES_USER` makes the cluster and is its superuser.
const LAST_RELEASE: &str = PROCESS_ROLE;

/// A server on a volume as the image of Postgres makes it: everybody on its socket is trusted, nobody on TCP.
struct Volume<'a> {
    run: &'a Run,
    folder: PathBuf,
    port: u16,
}

impl<'a> Volume<'a> {
    async fn create(run: &'a Run, superuser: &str) -> Self {
        let folder = run.dir.folder("volume", run.user.as_ref()).unwrap();
        for secret in ["database_password", "database_owner_password", "secret_key"] {
            let value = format!("{}{}", random_password().unwrap(), random_password().unwrap());
            write_private(&folder.join(secret), &value, run.user.as_ref()).unwrap();
        }
        let script = std::fs::read_to_string(checkout().join("deploy/compose/roles.sh")).unwrap();
        let script = script.replace("/run/secrets", folder.to_str().unwrap());
        write_private(&folder.join("roles.sh"), &script, run.user.as_ref()).unwrap();
        let first = if superuser == LAST_RELEASE {
            "database_password"
        } else {
            "database_owner_password"
        };
        let volume = Self {
            run,
            port: run.ports.reserve().unwrap(),
            folder,
        };
        let data = volume.folder.join("data");
        let init = volume
            .spec("initdb")
            .args(["--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"])
            .args([format!("--username={superuser}")])
            .args([format!("--pwfile={}", volume.folder.join(first).display())])
            .args([format!("--pgdata={}", data.display())]);
        run.supervisor.run(init, BOUND).await.unwrap();
        let server = volume
            .spec("postgres")
            .args(["-D".as_ref(), data.as_os_str()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c"])
            .args([format!("unix_socket_directories={}", volume.folder.display())]);
        run.supervisor.spawn(server).unwrap();
        let ready = async || volume.sql(superuser, "postgres", "SELECT").await.is_ok();
        run.supervisor.wait_ready("postgres", BOUND, ready).await.unwrap();
        volume
            .sql(superuser, "postgres", "CREATE DATABASE slipway")
            .await
            .unwrap();
        volume
    }

    /// A program of Postgres that finds this server.
    fn spec(&self, program: &str) -> Spec {
        Spec::new(program, postgres_bin().unwrap().join(program))
            .directory(&self.folder)
            .env("PGHOST", &self.folder)
            .env("PGPORT", self.port.to_string())
            .user(self.run.user.as_ref())
    }

    async fn sql(&self, role: &str, database: &str, sql: &str) -> Result<String, String> {
        let psql = self
            .spec("psql")
            .args(["--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1"])
            .args(["-U", role, "-d", database, "-c", sql]);
        let output = self.run.supervisor.output(psql, BOUND).await;
        output.map_err(|error| format!("{error:#}"))
    }

    /// Runs the script of the compose file as the image would, with this volume's secrets.
    async fn roles(&self) {
        let system = std::env::var_os("PATH").unwrap();
        let path = std::env::join_paths(
            [postgres_bin().unwrap()]
                .into_iter()
                .chain(std::env::split_paths(&system)),
        );
        let shell = Spec::new("roles", "sh")
            .args([self.folder.join("roles.sh")])
            .directory(&self.folder)
            .env("PATH", path.unwrap())
            .env("PGHOST", &self.folder)
            .env("PGPORT", self.port.to_string())
            .env("POSTGRES_DB", "slipway")
            .user(self.run.user.as_ref());
        self.run.supervisor.run(shell, BOUND).await.unwrap();
    }

    /// Migrates over TCP, so with a password.
    async fn migrate(&self, role: &str, password: &str) -> Result<(), String> {
        let api = Path::new(env!("CARGO_BIN_EXE_slipway-dev")).with_file_name("slipway-api");
        assert!(
            api.is_file(),
            "{} is not built: run `cargo programs --bins`",
            api.display()
        );
        let mut migrate = Spec::new("migrate", api)
            .args(["migrate"])
            .directory(&self.folder)
            .env("APP_ENV", "test")
            .env("DATABASE_HOST", "127.0.0.1")
            .env("DATABASE_PORT", self.port.to_string())
            .env("DATABASE_USER", role)
            .env("DATABASE_PASSWORD_FILE", self.folder.join(password))
            .env("SECRET_KEY_FILE", self.folder.join("secret_key"))
            .user(self.run.user.as_ref());
        if role == OWNER {
            migrate = migrate.env("DATABASE_PROCESS_ROLE", PROCESS_ROLE);
        }
        let done = self.run.supervisor.run(migrate, BOUND).await;
        done.map_err(|error| format!("{error:#}"))
    }

    /// The owner migrates, and what the processes come as can read the audit log and not change it.
    async fn assert_two_roles(&self) {
        self.migrate(OWNER, "database_owner_password").await.unwrap();
        let roles = "SELECT rolname, rolsuper FROM pg_roles WHERE rolcanlogin ORDER BY 1";
        assert_eq!(
            self.sql(OWNER, "slipway", roles).await.unwrap(),
            "slipway|f\nslipway-owner|t\n"
        );
        let read = self
            .sql(PROCESS_ROLE, "slipway", "SELECT count(*) FROM events")
            .await;
        assert_eq!(read.unwrap(), "0\n");
        for change in ["DELETE FROM events", "ALTER TABLE events DISABLE TRIGGER ALL"] {
            let error = self.sql(PROCESS_ROLE, "slipway", change).await.unwrap_err();
            assert!(
                error.contains("permission denied") || error.contains("must be owner"),
                "{error}"
            );
        }
        // Its password is that of the secret: `migrate` gets in with it, and finds nothing to do.
        self.migrate(PROCESS_ROLE, "database_password").await.unwrap();
    }
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

#[tokio::test]
async fn a_new_volume_of_compose_has_two_roles() {
    let base = Base::new();
    let run = Run::create(base.path()).unwrap();
    let volume = Volume::create(&run, OWNER).await;
    volume.roles().await;
    volume.assert_two_roles().await;
    run.close().await.unwrap();
}

#[tokio::test]
async fn a_volume_of_compose_with_one_role_gets_the_second_one_whenever_the_script_was_killed() {
    let base = Base::new();
    let run = Run::create(base.path()).unwrap();
    let volume = Volume::create(&run, LAST_RELEASE).await;
    volume.migrate(PROCESS_ROLE, "database_password").await.unwrap();
    let early = volume
        .migrate(OWNER, "database_owner_password")
        .await
        .unwrap_err();
    assert!(
        early.contains("deploy/compose/README.md"),
        "an update without the second role names the page: {early}"
    );
    let cause = "password authentication failed";
    assert_eq!(early.matches(cause).count(), 1, "the cause stands once: {early}");
    // As a script leaves it that was killed after its first command.
    volume
        .sql(PROCESS_ROLE, "slipway", "CREATE ROLE renames LOGIN SUPERUSER")
        .await
        .unwrap();
    volume.roles().await;
    volume.assert_two_roles().await;
    volume.roles().await;
    volume.assert_two_roles().await;
    run.close().await.unwrap();
}
