//! systemd-boot: `LoaderEntryOneShot`, a variable of the firmware that it deletes before it starts the entry.

mod entries;
mod pattern;
mod version;

use std::path::PathBuf;

use super::{BootConfig, BootError, MAX_BYTES, OnceJob, PROFILE, file, read, read_bytes, run};
use crate::config::HostConfig;

pub(super) use entries::picks;
use entries::{Entry, entries};

/// The vendor of the boot loader interface's variables.
const VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Before the value of a variable come its attributes.
const ATTRIBUTES: usize = 4;

/// Why it cannot be told to boot something once.
pub(super) fn obstacle(boot: &BootConfig) -> Option<String> {
    let info = variable(boot, "LoaderInfo");
    if !info.exists() {
        return Some(format!(
            "{} is not there, so systemd-boot did not start this machine or its firmware keeps no variables: boot it by systemd-boot, or set AGENT_BOOT_LOADER to what boots it",
            info.display()
        ));
    }
    let entries = boot.dir.join("loader/entries");
    (!entries.is_dir()).then(|| {
        format!(
            "there are no boot entries in {}: set AGENT_BOOT_DIR to where /boot is mounted",
            entries.display()
        )
    })
}

/// Tells it, once the entry is there and is not the default.
pub(super) async fn boot_once(config: &HostConfig, job: &OnceJob) -> Result<(), BootError> {
    let boot = &config.boot;
    let entry = entries(&boot.dir)?
        .into_iter()
        .find(|entry| entry.is_ours() && entry.closure.as_ref() == Some(&job.closure))
        .ok_or_else(|| BootError::NoEntry {
            closure: job.closure.clone(),
            default: job.default.clone(),
            place: boot.dir.join("loader/entries").display().to_string(),
        })?;
    let conf = read(&boot.esp.join("loader/loader.conf"))?;
    let default = conf
        .lines()
        .find_map(|line| line.strip_prefix("default").map(str::trim));
    if default == Some(entry.id.as_str()) {
        return Err(BootError::Default { entry: entry.id });
    }
    tell(config, &entry.id).await?;
    let found = told(boot)?;
    if found.as_deref() != Some(&entry.id) {
        let found = found.unwrap_or_else(|| "nothing".to_owned());
        return Err(BootError::NotKept {
            entry: entry.id,
            found,
        });
    }
    Ok(())
}

/// Has it forget; whether an entry is left.
pub(super) async fn forget(config: &HostConfig) -> Result<bool, BootError> {
    // What somebody else told it stays.
    if told(&config.boot)?.is_some_and(|entry| entry.contains(PROFILE)) {
        tell(config, "").await?;
    }
    Ok(entries(&config.boot.dir)?.iter().any(Entry::is_ours))
}

async fn tell(config: &HostConfig, entry: &str) -> Result<(), BootError> {
    let esp = format!("--esp-path={}", config.boot.esp.display());
    run(config, "bootctl", &[&esp, "set-oneshot", entry])
        .await
        .map(drop)
}

/// What it was told to boot once.
fn told(boot: &BootConfig) -> Result<Option<String>, BootError> {
    variable_text(boot, "LoaderEntryOneShot")
}

/// The text of a variable; `None` where it is empty or not set.
fn variable_text(boot: &BootConfig, name: &str) -> Result<Option<String>, BootError> {
    let path = variable(boot, name);
    let bytes = match read_bytes(&path, MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file(&path, error)),
    };
    let value = bytes.get(ATTRIBUTES..).unwrap_or_default();
    let words: Vec<u16> = value
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|word| *word != 0)
        .collect();
    Ok(Some(String::from_utf16_lossy(&words)).filter(|text| !text.is_empty()))
}

fn variable(boot: &BootConfig, name: &str) -> PathBuf {
    boot.efivars.join(format!("{name}-{VENDOR}"))
}
