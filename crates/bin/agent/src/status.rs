//! `status`: the journal and the machine, for people and scripts. Changes nothing.

use std::fmt::Write;
use std::process::ExitCode;

use serde::Serialize;
use slipway_attempt::{Journal, JournalStore};
use slipway_domain::StorePath;
use slipway_host::{HostOperations, Machine};
use slipway_settings::LocalSettings;
use slipway_text::{clean, escape_json};

use crate::cli::print;
use crate::local;

#[derive(Debug, Serialize)]
struct StatusReport {
    live: Option<StorePath>,
    boot_default: Option<StorePath>,
    boot_id: String,
    journal: Option<Journal>,
    trouble: Vec<String>,
}

/// Fails when the journal cannot be read.
pub(crate) fn status(settings: &LocalSettings, json: bool) -> anyhow::Result<ExitCode> {
    let config = local::host_config(&settings.agent)?;
    let store = JournalStore::open(&config.state_dir)?;
    let observed = Machine::new(config)?.observe();
    let mut trouble: Vec<String> = observed.trouble.into_iter().collect();
    let journal = match store.peek() {
        Ok(journal) => {
            trouble.extend(journal.lost.clone());
            Some(journal)
        }
        Err(damage) => {
            trouble.push(damage);
            None
        }
    };
    let readable = journal.is_some();
    let status = StatusReport {
        live: observed.live,
        boot_default: observed.boot_default,
        boot_id: observed.boot_id,
        journal,
        trouble,
    };
    let text = if json {
        escape_json(&serde_json::to_string(&status)?).into_owned() + "\n"
    } else {
        lines(&status)?
    };
    print(&text);
    Ok(if readable {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn lines(status: &StatusReport) -> anyhow::Result<String> {
    let mut text = String::new();
    let path = |path: &Option<StorePath>| {
        path.as_ref()
            .map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    writeln!(text, "live          {}", path(&status.live))?;
    writeln!(text, "boot default  {}", path(&status.boot_default))?;
    let current = status
        .journal
        .as_ref()
        .and_then(|journal| journal.current.as_ref());
    if let Some(current) = current {
        writeln!(text, "attempt       {}", current.id)?;
        writeln!(text, "phase         {}", current.phase)?;
        writeln!(text, "closure       {}", current.closure)?;
        writeln!(text, "prior         {}", path(&current.prior))?;
        writeln!(
            text,
            "since         {}",
            current.updated_at.format("%Y-%m-%d %H:%M:%S UTC")
        )?;
        let hook = current.hooks.as_ref().and_then(|hooks| hooks.running.as_ref());
        if let Some(hook) = hook {
            writeln!(
                text,
                "hook          {} ({}) runs",
                clean(&hook.name),
                hook.when.as_str()
            )?;
        }
        if let Some(trouble) = &current.hook_trouble {
            writeln!(text, "hook trouble  {}", clean(trouble))?;
        }
        if let Some(message) = &current.message {
            writeln!(text, "message       {}", clean(message))?;
        }
    } else {
        writeln!(text, "attempt       none")?;
    }
    if let Some(stuck) = status
        .journal
        .as_ref()
        .and_then(|journal| journal.unsettled.as_ref())
    {
        writeln!(text, "stuck         {} (prior {})", stuck.id, path(&stuck.prior))?;
    }
    for trouble in &status.trouble {
        writeln!(text, "trouble       {}", clean(trouble))?;
    }
    Ok(text)
}
