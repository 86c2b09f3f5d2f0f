//! What Postgres does alone: pgbench with the statements of a request, to tell what the program adds to them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use slipway_dev::postgres::PROCESS_ROLE;
use slipway_dev::programs;
use slipway_dev::run::Run;
use slipway_dev::spec::Spec;
use slipway_dev::stack::DevStack;
use slipway_dev::stack::control_plane::POOL_SIZE;
use slipway_domain::digest::Digest;

use crate::database::DATABASE;
use crate::load::SECONDS;

const LIMIT: Duration = Duration::from_mins(1);
/// Where the compiler reads what each statement of the programs looks like.
const DESCRIPTIONS: &str = ".sqlx";

/// The statements of a request by a person, as scripts of pgbench.
pub(crate) struct Scripts {
    pub(crate) whoami: String,
    pub(crate) hosts: String,
}

impl Scripts {
    pub(crate) fn new(checkout: &Path, token: &str, environment: &str) -> Result<Self> {
        let all = statements(&checkout.join(DESCRIPTIONS))?;
        let hashes = format!(
            "ARRAY[decode('{}', 'hex')]",
            hex::encode(Digest::of_bytes(token.as_bytes()).as_bytes())
        );
        let name = format!("'{environment}'");
        let id = format!("(SELECT id FROM environments WHERE name = {name})");
        let whoami = filled(&all, "newest AS (SELECT number, hash FROM events", &[&hashes])?;
        let environment = filled(&all, "AND e.deleted_at IS NULL ORDER BY e.name", &[&name])?;
        let list = filled(
            &all,
            "ORDER BY h.name LIMIT $6",
            &["NULL", &id, "false", "60", "NULL", "51", "60", "NULL", "true"],
        )?;
        Ok(Self {
            hosts: format!("{whoami};\n{environment};\n{list};\n"),
            whoami: format!("{whoami};\n"),
        })
    }
}

/// All statements of the programs, each on one line.
fn statements(folder: &Path) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let described: serde_json::Value = serde_json::from_slice(&std::fs::read(entry?.path())?)?;
        let query = described["query"].as_str().unwrap_or_default();
        all.push(query.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    Ok(all)
}

/// The statement with these words, with values in place of its parameters.
fn filled(all: &[String], words: &str, values: &[&str]) -> Result<String> {
    let mut found = all.iter().filter(|query| query.contains(words));
    let (Some(query), None) = (found.next(), found.next()) else {
        bail!("not one statement of the programs contains `{words}`: name words of the one that is meant");
    };
    let next = format!("${}", values.len() + 1);
    anyhow::ensure!(
        !query.contains(&next),
        "`{words}` takes more than {} values: {query}",
        values.len()
    );
    let mut text = query.clone();
    // The greatest first: `$1` begins `$12` too.
    for (place, value) in values.iter().enumerate().rev() {
        text = text.replace(&format!("${}", place + 1), value);
    }
    Ok(text)
}

/// How often a second Postgres gets through the script.
pub(crate) async fn per_second(run: &Run, stack: &DevStack, script: &str) -> Result<f64> {
    let file = run.dir.path().join("pgbench.sql");
    std::fs::write(&file, script)?;
    let program = programs::postgres_bin()?.join("pgbench");
    let pgbench = Spec::new("pgbench", program)
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
        .args([format!("--client={POOL_SIZE}"), format!("--time={SECONDS}")])
        .args(["--file".as_ref(), file.as_os_str()])
        .args(["--host=127.0.0.1", &format!("--port={}", stack.postgres.port)])
        .args([&format!("--username={PROCESS_ROLE}"), DATABASE])
        .env("PGPASSWORD", &stack.postgres.password);
    let told = run.supervisor.output(pgbench, LIMIT).await?;
    let rate = told.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rate| rate.split(' ').next());
    let rate = rate.with_context(|| format!("pgbench says: {told}"))?;
    rate.parse().context("pgbench names no rate")
}
