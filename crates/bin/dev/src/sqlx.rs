//! Keeping the committed `.sqlx` in step with queries and migrations.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, PgConnection};

use crate::postgres::DevPostgres;
use crate::run::Run;
use crate::spec::Spec;

const BOUND: Duration = Duration::from_mins(30);
const MIGRATE: Duration = Duration::from_mins(5);
const MIGRATIONS: &str = "crates/lib/store/migrations";
const DESCRIPTIONS: &str = ".sqlx";

/// What to do with `.sqlx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Action {
    /// Write it again
    Prepare,
    /// Fail when it is not what `prepare` would write
    Check,
}

/// Files of descriptions by name.
type Descriptions = BTreeMap<String, String>;

/// Migrates an empty database and holds every query of the store against it.
pub async fn run(run: &Run, postgres: &DevPostgres, checkout: &Path, action: Action) -> Result<()> {
    let url = postgres.owner_url();
    migrate(&url, checkout).await?;
    let written = describe(run, &url, checkout).await?;
    let folder = checkout.join(DESCRIPTIONS);
    let committed = read(&folder)?;
    match action {
        Action::Prepare => write(&folder, &committed, &written),
        Action::Check => {
            let found = differences(&committed, &written);
            if found.is_empty() {
                return Ok(());
            }
            bail!(
                "{DESCRIPTIONS} is not what the queries and migrations give: {}; \
                 write it anew with `./dev sqlx prepare` and commit it",
                found.join(", ")
            )
        }
    }
}

/// Has every database that is created from now on begin with the migrated schema. So a test that wants it waits for no
/// migration.
pub async fn migrate_template(postgres: &DevPostgres, checkout: &Path) -> Result<()> {
    migrate(&postgres.admin_url_of("template1"), checkout).await
}

async fn migrate(url: &str, checkout: &Path) -> Result<()> {
    let migrations = async {
        let migrator = Migrator::new(checkout.join(MIGRATIONS)).await?;
        let mut connection = PgConnection::connect(url).await?;
        migrator.run(&mut connection).await?;
        anyhow::Ok(connection.close().await?)
    };
    tokio::time::timeout(MIGRATE, migrations)
        .await
        .with_context(|| format!("the migrations take longer than {} s", MIGRATE.as_secs()))?
        .context("the migrations do not run on an empty database")
}

/// Has the compiler ask the database about every query. All of them are in the store, which the worker uses.
async fn describe(run: &Run, url: &str, checkout: &Path) -> Result<Descriptions> {
    let folder = run.dir.folder("sqlx", None)?;
    let check = Spec::new("sqlx-describe", "cargo")
        .args(["check", "--workspace", "--bin", "slipway-worker", "--examples"])
        .foreground()
        .directory(checkout)
        // Cargo keeps our crates apart by it, so that those which other stages have checked stay as they are.
        .env("RUSTC_WORKSPACE_WRAPPER", "env")
        .env("DATABASE_URL", url)
        .env("SQLX_OFFLINE", "false")
        // The store's build script compiles it again for every new folder.
        .env("SQLX_OFFLINE_DIR", &folder);
    run.supervisor.run(check, BOUND).await?;
    let written = read(&folder)?;
    if written.is_empty() {
        bail!("the compiler described no query: was the store compiled with another SQLX_OFFLINE_DIR?");
    }
    Ok(written)
}

fn read(folder: &Path) -> Result<Descriptions> {
    let problem = || format!("cannot read {}", folder.display());
    let mut found = Descriptions::new();
    for entry in fs::read_dir(folder).with_context(problem)? {
        let path = entry.with_context(problem)?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        found.insert(name, text);
    }
    Ok(found)
}

/// What `prepare` would change, by file.
fn differences(committed: &Descriptions, written: &Descriptions) -> Vec<String> {
    let lost = committed.keys().filter(|name| !written.contains_key(*name));
    let lost = lost.map(|name| format!("{name} belongs to no query"));
    let other = written
        .iter()
        .filter_map(|(name, text)| match committed.get(name) {
            None => Some(format!("{name} is missing")),
            Some(old) if old != text => Some(format!("{name} is out of date")),
            Some(_) => None,
        });
    lost.chain(other).collect()
}

fn write(folder: &Path, committed: &Descriptions, written: &Descriptions) -> Result<()> {
    for name in committed.keys().filter(|name| !written.contains_key(*name)) {
        let path = folder.join(name);
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    // What stays the same keeps its time: cargo need not compile anything for it.
    for (name, text) in written
        .iter()
        .filter(|(name, text)| committed.get(*name) != Some(text))
    {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptions(files: &[(&str, &str)]) -> Descriptions {
        let files = files.iter();
        files
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn what_is_missing_out_of_date_or_of_no_query_is_named_and_prepare_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("a", "same"), ("b", "old"), ("c", "of a query that went")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let committed = read(folder.path()).unwrap();
        let written = descriptions(&[("a", "same"), ("b", "new"), ("d", "of a new query")]);
        let found = ["c belongs to no query", "b is out of date", "d is missing"];
        assert_eq!(differences(&committed, &written), found);
        write(folder.path(), &committed, &written).unwrap();
        assert_eq!(read(folder.path()).unwrap(), written);
        assert_eq!(differences(&written, &written), [""; 0]);
    }
}
