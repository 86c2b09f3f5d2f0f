//! The way to the server, for our own connections and for its programs.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use tokio::time::timeout;
use url::Url;

use crate::config::{Config, Database};
use crate::failure::{BackupFailure, Result};
use crate::program::Program;
use crate::secret::Hidden;

/// The database that others are made from, and that belongs to no service.
pub(crate) const MAINTENANCE: &str = "postgres";
/// A server that does not answer within this is away.
const CONNECT: Duration = Duration::from_secs(15);
/// Of every session. A database's owner chooses the search path of sessions in it, and so whose functions and operators they
/// would use. Nothing but [`content::read`](crate::content::read) takes long, and that sets bounds of its own.
const FIRST: &str = "SET search_path = pg_catalog; SET statement_timeout = '5min'; SET lock_timeout = '1min'; \
                     SET idle_session_timeout = 0";
/// Programs that only print their version.
const QUICK: Duration = Duration::from_secs(30);

/// How the server is reached, as one role and to one database.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseLogin {
    options: PgConnectOptions,
    /// The same for libpq.
    pub(crate) environment: Vec<(String, Hidden)>,
    /// For messages; without secrets.
    pub(crate) shown: String,
    /// The database's name.
    pub(crate) name: String,
}

impl DatabaseLogin {
    /// As the role that reads everything, to the stack's database.
    pub(crate) fn reader(config: &Config) -> Result<Self> {
        let database = &config.database;
        Self::new(database, database.user.as_deref(), &database.name)
    }

    /// As the role that reads everything, to the database that belongs to no service.
    pub(crate) fn of_server(config: &Config) -> Result<Self> {
        let database = &config.database;
        Self::new(database, database.user.as_deref(), MAINTENANCE)
    }

    /// The same as this process's account: the server knows its own account as the superuser, and no other role.
    pub(crate) fn of_server_as_self(config: &Config) -> Result<Self> {
        if is_server_account(config) {
            return Self::admin(config, MAINTENANCE);
        }
        Self::of_server(config)
    }

    /// As the role that may create databases, to `name`.
    pub(crate) fn admin(config: &Config, name: &str) -> Result<Self> {
        let database = &config.database;
        Self::new(
            database,
            database.admin.as_deref().or(database.user.as_deref()),
            name,
        )
    }

    /// As a role with a password of its own, to `name`.
    pub(crate) fn role(config: &Config, role: &str, password: &Hidden, name: &str) -> Result<Self> {
        let database = &config.database;
        match (&database.url_file, &database.host) {
            (Some(secret), _) => Self::from_url_as(secret.read()?.expose(), Some((role, password)), name)
                .map_err(|failure| failure.during(secret.path.display())),
            (None, Some(host)) => Ok(Self::direct(host, database.port, role, name, Some(password))),
            (None, None) => Err(BackupFailure::new("`database.host` is missing")),
        }
    }

    /// A server of our own on a socket in `folder`.
    pub(crate) fn socket(folder: &std::path::Path, user: &str, name: &str) -> Self {
        Self::direct(&folder.to_string_lossy(), 5432, user, name, None)
    }

    fn new(database: &Database, role: Option<&str>, name: &str) -> Result<Self> {
        match (&database.url_file, &database.host) {
            (Some(secret), _) => Self::from_url(secret.read()?.expose(), name)
                .map_err(|failure| failure.during(secret.path.display())),
            (None, Some(host)) => {
                let password = database
                    .password_file
                    .as_ref()
                    .map(crate::config::Secret::read)
                    .transpose()?;
                Ok(Self::direct(
                    host,
                    database.port,
                    role.unwrap_or("postgres"),
                    name,
                    password.as_ref(),
                ))
            }
            (None, None) => Err(BackupFailure::new("`database.host` is missing")),
        }
    }

    fn direct(host: &str, port: u16, user: &str, name: &str, password: Option<&Hidden>) -> Self {
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(host)
            .port(port)
            .username(user)
            .database(name);
        let mut environment = vec![
            ("PGHOST".to_owned(), Hidden::new(host)),
            ("PGPORT".to_owned(), Hidden::new(port.to_string())),
            ("PGUSER".to_owned(), Hidden::new(user)),
            ("PGDATABASE".to_owned(), Hidden::new(name)),
        ];
        if let Some(password) = password {
            options = options.password(password.expose());
            environment.push(("PGPASSWORD".to_owned(), password.clone()));
        }
        Self {
            options: options.application_name("slipway-backup"),
            environment,
            shown: format!("{name} on {host} as {user}"),
            name: name.to_owned(),
        }
    }

    fn from_url(text: &str, name: &str) -> Result<Self> {
        Self::from_url_as(text, None, name)
    }

    fn from_url_as(text: &str, other: Option<(&str, &Hidden)>, name: &str) -> Result<Self> {
        let cure = "write postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=verify-full into the file";
        // The parser's own message may repeat the password.
        let invalid = || BackupFailure::new("not a Postgres URL").cure(cure);
        let mut url = Url::parse(text).map_err(|_| invalid())?;
        if !matches!(url.scheme(), "postgres" | "postgresql") || url.username().is_empty() {
            return Err(invalid());
        }
        if let Some((role, password)) = other {
            url.set_username(role)
                .and_then(|()| url.set_password(Some(password.expose())))
                .map_err(|()| invalid())?;
        }
        url.set_path(name);
        let mut environment = vec![
            ("PGUSER".to_owned(), Hidden::new(decode(url.username()))),
            ("PGDATABASE".to_owned(), Hidden::new(name)),
            (
                "PGPORT".to_owned(),
                Hidden::new(url.port().unwrap_or(5432).to_string()),
            ),
        ];
        let mut host = decode(url.host_str().unwrap_or_default());
        for (key, value) in url.query_pairs() {
            let variable = match key.as_ref() {
                "host" => {
                    host = value.into_owned();
                    continue;
                }
                "sslmode" => "PGSSLMODE",
                "sslrootcert" => "PGSSLROOTCERT",
                "sslcert" => "PGSSLCERT",
                "sslkey" => "PGSSLKEY",
                _ => continue,
            };
            environment.push((variable.to_owned(), Hidden::new(value)));
        }
        if let Some(password) = url.password() {
            environment.push(("PGPASSWORD".to_owned(), Hidden::new(decode(password))));
        }
        let shown = format!("{name} on {host} as {}", decode(url.username()));
        environment.push(("PGHOST".to_owned(), Hidden::new(host)));
        let options = PgConnectOptions::from_str(url.as_str()).map_err(|_| invalid())?;
        Ok(Self {
            options: options.application_name("slipway-backup"),
            environment,
            shown,
            name: name.to_owned(),
        })
    }

    /// A connection, within a bound.
    pub(crate) async fn connect(&self) -> Result<PgConnection> {
        let connecting = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            connection.execute(FIRST).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        let cure = "see that the server runs (`systemctl status postgresql`, or slipway-patroni on a member of a cluster) and that this \
             account may connect";
        match timeout(CONNECT, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => {
                Err(BackupFailure::new(format!("cannot connect to {}: {error}", self.shown)).cure(cure))
            }
            Err(_) => Err(BackupFailure::new(format!(
                "cannot connect to {}: no answer within {} s",
                self.shown,
                CONNECT.as_secs()
            ))
            .cure(cure)),
        }
    }

    /// Whether a server answers there.
    pub(crate) async fn answers(&self) -> bool {
        matches!(timeout(CONNECT, self.options.connect()).await, Ok(Ok(_)))
    }
}

fn is_server_account(config: &Config) -> bool {
    let Some(name) = &config.postgres_user else {
        return false;
    };
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let own = rustix::process::geteuid().as_raw().to_string();
    passwd.lines().any(|line| {
        let mut fields = line.split(':');
        fields.next() == Some(name) && fields.nth(1) == Some(own.as_str())
    })
}

/// Names the statement's purpose in a database error.
pub(crate) fn query_failed(what: &str) -> impl FnOnce(sqlx::Error) -> BackupFailure {
    move |error| {
        let failure = BackupFailure::new(format!("cannot {what}: {error}"));
        match error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() {
            Some("42501") => failure.cure(
                "the role may not do this: backups need pg_read_all_data and BYPASSRLS, and EXECUTE on \
                 pg_ls_archive_statusdir() in the database postgres; restores need a role that may create databases",
            ),
            Some("55P03") => failure.cure(
                "another session holds a lock on it for too long, such as a migration: SELECT * FROM pg_locks WHERE NOT \
                 granted; end it, or wait for its end and try again",
            ),
            Some("57014") => failure.cure("the server took too long for it: see what it is busy with (pg_stat_activity), then try again"),
            _ => failure,
        }
    }
}

/// A name as SQL takes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = (bytes[at] == b'%')
            .then(|| {
                text.get(at + 1..at + 3)
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            })
            .flatten();
        decoded.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The server's version as it says it, and its major number.
pub(crate) async fn server_version(connection: &mut PgConnection) -> Result<(String, u32)> {
    let (text, number): (String, String) =
        sqlx::query_as("SELECT current_setting('server_version'), current_setting('server_version_num')")
            .fetch_one(connection)
            .await
            .map_err(query_failed("ask for the server's version"))?;
    let number: u32 = number
        .parse()
        .map_err(|_| BackupFailure::new(format!("the server's version {number} is no number")))?;
    Ok((text, number / 10_000))
}

/// Fails unless the program of the server's folder has the server's major version.
pub(crate) async fn check_program(config: &Config, program: &str, major: u32) -> Result<()> {
    let path = config.database.bin_dir.join(program);
    let printed = Program::new(&path, QUICK).arg("--version").run().await?;
    if parse_major(&printed) == Some(major) {
        return Ok(());
    }
    Err(BackupFailure::new(format!(
        "{} is {}, and the server is version {major}: a dump must be made by the server's own version",
        path.display(),
        printed.trim()
    ))
    .cure(
        "set services.slipway.database.package to the server's major version (a stack's database.package where the server is \
         elsewhere); in the configuration it is `database.bin_dir`",
    ))
}

fn parse_major(version: &str) -> Option<u32> {
    let number = version.split_once(") ").map(|(_, rest)| rest)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_print() {
        assert_eq!(
            parse_major("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(parse_major("pg_dump (PostgreSQL) 17beta1"), Some(17));
        assert_eq!(parse_major("nonsense"), None);
    }

    #[test]
    fn a_url_becomes_libpqs_variables() {
        let login = DatabaseLogin::from_url(
            "postgres://u:p%40ss%2F@db.example:6432/x?sslmode=verify-full",
            "shop",
        )
        .unwrap();
        let value = |name: &str| {
            let found = login.environment.iter().find(|(key, _)| key == name);
            found
                .map(|(_, value)| value.expose().to_owned())
                .unwrap_or_default()
        };
        assert_eq!(value("PGPASSWORD"), "p@ss/");
        assert_eq!(value("PGHOST"), "db.example");
        assert_eq!(value("PGPORT"), "6432");
        assert_eq!(value("PGDATABASE"), "shop");
        assert_eq!(value("PGSSLMODE"), "verify-full");
        assert!(!format!("{:?} {}", login.environment, login.shown).contains("p@ss"));
    }

    #[test]
    fn a_bad_url_is_not_repeated() {
        let failure = DatabaseLogin::from_url("hunter2:x", "shop")
            .unwrap_err()
            .to_string();
        assert!(
            failure.contains("not a Postgres URL") && !failure.contains("hunter2"),
            "{failure}"
        );
    }
}
