//! A real backup of the stack's database, whose record can be forged.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::monitoring::STACK;
use crate::monitoring::plan::Target;
use crate::programs;
use crate::run::Run;
use crate::run_dir::write_private;
use crate::spec::Spec;
use crate::stack::DevStack;

/// A dump of a database with a few rows.
const DUMP: Duration = Duration::from_mins(2);
/// When a forged record says that the backup ended.
const LONG_AGO: &str = "2020-01-01T00:00:00Z";

/// The backups of the stack.
#[derive(Debug)]
pub(super) struct Backups {
    /// The record of the last dump.
    record: PathBuf,
    /// Its true content.
    truth: String,
    /// The exporter.
    pub(super) target: Target,
}

impl Backups {
    /// Makes a dump, and starts the exporter.
    pub(super) async fn start(run: &Run, stack: &DevStack) -> Result<Self> {
        let folder = run.dir.folder("backup", None)?;
        let port = run.ports.reserve()?;
        let config = folder.join("config.json");
        let url = folder.join("url");
        write_private(&url, &stack.postgres.owner_url(), None)?;
        let times = json!({ "timeout_seconds": 120, "late_after_seconds": 93_600 });
        let content = json!({
            "stack": STACK,
            "state_dir": folder.join("state"),
            "database": { "name": "slipway", "url_file": { "path": url }, "bin_dir": programs::postgres_bin()? },
            "dump": { "directory": folder.join("dumps"), "keep_days": 7, "times": times },
            "exporter": { "listen": format!("127.0.0.1:{port}") },
        });
        write_private(&config, &content.to_string(), None)?;
        for part in ["state", "dumps"] {
            fs::create_dir(folder.join(part))?;
        }
        let program = stack.binaries.backup()?;
        let spec = |name: &str| Spec::new(name, &program).args(["--config".as_ref(), config.as_os_str()]);
        let dump = run
            .supervisor
            .run(spec("backup").args(["now", "--kind", "dump"]), DUMP);
        dump.await.context("cannot make a backup")?;
        run.supervisor.spawn(spec("backup-exporter").args(["exporter"]))?;
        let record = folder.join("state/runs/dump.json");
        let truth = fs::read_to_string(&record).context("the backup left no record")?;
        Ok(Self {
            record,
            truth,
            target: Target::local("backup", None, port),
        })
    }

    /// The record says that the backup is old.
    pub(super) fn forge(&self) -> Result<()> {
        let mut record: Value = serde_json::from_str(&self.truth)?;
        record["last_success"]["finished"] = json!(LONG_AGO);
        replace(&self.record, &record.to_string())
    }

    /// The record says what was.
    pub(super) fn repair(&self) -> Result<()> {
        replace(&self.record, &self.truth)
    }
}

/// The exporter reads the old record or the new one.
fn replace(file: &Path, content: &str) -> Result<()> {
    let next = file.with_extension("next");
    fs::write(&next, content)?;
    fs::rename(&next, file).with_context(|| format!("cannot write {}", file.display()))
}
