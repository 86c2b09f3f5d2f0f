//! Keeping the committed `.sqlx` in step with queries and migrations.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::postgres::DevPostgres;
use crate::run::Run;
use crate::spec::Spec;

const BOUND: Duration = Duration::from_mins(30);
const MIGRATIONS: &str = "crates/lib/store/migrations";

/// What to do with `.sqlx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Action {
    /// Write it again
    Prepare,
    /// Fail when it is not what `prepare` would write
    Check,
}

/// Migrates an empty database and holds every query of the workspace against it.
pub async fn run(run: &Run, postgres: &DevPostgres, checkout: &Path, action: Action) -> Result<()> {
    let url = postgres.owner_url();
    let cargo = |name: &str, args: &[&str]| {
        let spec = Spec::new(name, "cargo")
            .args(args)
            .foreground()
            .directory(checkout);
        spec.env("DATABASE_URL", &url)
    };
    let migrate = cargo(
        "sqlx-migrate",
        &["sqlx", "migrate", "run", "--source", MIGRATIONS],
    );
    run.supervisor
        .run(migrate, BOUND)
        .await
        .context("the migrations do not run on an empty database")?;
    let mut args = vec!["sqlx", "prepare", "--workspace"];
    if action == Action::Check {
        args.push("--check");
    }
    args.extend(["--", "--all-targets", "--all-features"]);
    let prepare = run.supervisor.run(cargo("sqlx-prepare", &args), BOUND).await;
    prepare.context("write .sqlx anew with `./dev sqlx prepare` and commit it")
}
