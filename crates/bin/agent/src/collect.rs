//! `collect`: removes earlier generations and dead paths, by age and by free space, and never beside an attempt.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use clap::Args;
use slipway_attempt::JournalStore;
use slipway_host::{GenerationAge, HostConfig, Machine};
use slipway_settings::LocalSettings;

use crate::cli::print;
use crate::local;

/// How often the journal is read while Nix collects. An attempt that begins meanwhile is alone after this time.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What is collected, and when.
#[derive(Debug, Args)]
pub(crate) struct CollectArgs {
    /// Remove earlier generations of more than so many days.
    #[arg(long, value_name = "DAYS", default_value_t = 30, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=3650))]
    keep_days: u32,
    /// Do nothing if the last collection is less than so many hours ago and the disk has room; 0 always collects.
    #[arg(long, value_name = "HOURS", default_value_t = 0, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(0..=87_600))]
    every_hours: u32,
    /// With less than so many percent of the disk free, collect at once. If need be, all generations of the system go but the present one and the one before.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, allow_negative_numbers = true, value_parser = clap::value_parser!(u8).range(0..=90))]
    min_free: u8,
}

/// Collects where it is time to. An attempt that is under way goes first: then the next run does it.
pub(crate) fn collect(settings: &LocalSettings, arguments: &CollectArgs) -> anyhow::Result<ExitCode> {
    let config = local::host_config(&settings.agent)?;
    let store = JournalStore::open(&config.state_dir)?;
    let _only_one = store
        .lock_for_collect()
        .context("is another `slipway-agent collect` at work? Wait until it has ended")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let said = runtime.block_on(collect_in_turns(&store, config, arguments))?;
    print(&format!("{said}\n"));
    Ok(ExitCode::SUCCESS)
}

async fn collect_in_turns(
    store: &JournalStore,
    config: HostConfig,
    arguments: &CollectArgs,
) -> anyhow::Result<String> {
    let stamp = Stamp(config.state_dir.join("collected"));
    let folder = config.store_dir.to_string();
    let machine = Machine::new(config).context("cannot use AGENT_STATE_DIR")?;
    let is_full = || -> anyhow::Result<bool> {
        let free = machine.free_percent();
        Ok(
            free.with_context(|| format!("cannot look at the disk of {folder}"))?
                < f64::from(arguments.min_free),
        )
    };
    if !is_full()? && stamp.is_younger_than(Duration::from_hours(arguments.every_hours.into())) {
        return Ok("nothing to do: it was collected, and the disk has room".to_owned());
    }
    let mut said = Vec::new();
    for age in [
        GenerationAge::OlderThan(arguments.keep_days),
        GenerationAge::AllButTwo,
    ] {
        // Younger generations go only where the old ones were not enough.
        if age == GenerationAge::AllButTwo && !is_full()? {
            break;
        }
        tokio::select! {
            biased;
            attempt = attempt_under_way(store) => {
                said.push(format!("stopped: the attempt {} is under way; the next run goes on", attempt?));
                return Ok(said.join("; "));
            }
            done = machine.collect_garbage(age) => said.push(done?),
        }
    }
    stamp.renew()?;
    Ok(said.join("; "))
}

/// Waits until an attempt is under way; fails when the journal cannot be read, which may name what we do not know.
///
/// A closure that waits for an approval is protected by its root, and may wait for days.
async fn attempt_under_way(store: &JournalStore) -> anyhow::Result<slipway_domain::AttemptId> {
    loop {
        match store.peek() {
            Ok(journal) => {
                if let Some(lost) = &journal.lost {
                    bail!("nothing is collected while the journal may lack something: {lost}");
                }
                if let Some(attempt) = journal.under_way() {
                    return Ok(attempt);
                }
            }
            Err(damage) => bail!("nothing is collected while the journal cannot be read: {damage}"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A file whose time says when a collection last came to its end.
struct Stamp(PathBuf);

impl Stamp {
    fn is_younger_than(&self, age: Duration) -> bool {
        let made = |path: &Path| fs::metadata(path)?.modified();
        // One of the future was made under another clock.
        made(&self.0).is_ok_and(|made| {
            SystemTime::now()
                .duration_since(made)
                .is_ok_and(|passed| passed < age)
        })
    }

    fn renew(&self) -> anyhow::Result<()> {
        fs::write(&self.0, "").with_context(|| format!("cannot write {}", self.0.display()))
    }
}
