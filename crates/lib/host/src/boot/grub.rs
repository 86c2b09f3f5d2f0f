//! GRUB: `next_entry` in its file `grubenv`, which NixOS' menu reads and clears before it starts the entry.

mod menu;

use std::path::{Path, PathBuf};

use super::next::Picks;
use super::{BootConfig, BootError, OnceJob, PROFILE, read, read_if_there, run};
use crate::config::HostConfig;

/// The file systems that GRUB can write `next_entry` back to. On others it would boot the entry for ever.
const WRITABLE: [&str; 5] = ["ext2", "ext3", "ext4", "vfat", "xfs"];

/// Why it cannot be told to boot something once.
pub(super) async fn obstacle(config: &HostConfig) -> Option<String> {
    let menu = menu_file(&config.boot);
    let Ok(text) = read(&menu) else {
        return Some(format!(
            "GRUB's menu {} cannot be read: set AGENT_BOOT_DIR to where /boot is mounted",
            menu.display()
        ));
    };
    if !text.contains("next_entry") {
        return Some(format!(
            "GRUB's menu {} does not look at next_entry, as NixOS' own does: let NixOS write it",
            menu.display()
        ));
    }
    if let Err(error) = run(config, "grub-editenv", &["--version"]).await {
        return Some(format!(
            "{error}: put grub-editenv into the agent's PATH (the NixOS module does)"
        ));
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    unwritable(&mounts, &config.boot.dir)
}

/// What it boots.
pub(super) fn picks(boot: &BootConfig) -> Result<Picks, BootError> {
    let env = read_if_there(&env(boot))?;
    Ok(menu::picks(&read(&menu_file(boot))?, &env))
}

/// Tells it, once the entry is there.
pub(super) async fn boot_once(config: &HostConfig, job: &OnceJob) -> Result<(), BootError> {
    let menu = menu_file(&config.boot);
    let text = read(&menu)?;
    let entry = menu::entry_of(&text, &job.closure).ok_or_else(|| BootError::NoEntry {
        closure: job.closure.clone(),
        default: job.default.clone(),
        place: menu.display().to_string(),
    })?;
    let env = env(&config.boot);
    let file = env.display().to_string();
    if !env.exists() {
        run(config, "grub-editenv", &[&file, "create"]).await?;
    }
    run(
        config,
        "grub-editenv",
        &[&file, "set", &format!("next_entry={entry}")],
    )
    .await?;
    slipway_durable::sync_parent(&env).map_err(|source| super::file(&env, source))?;
    sync(&env)?;
    match told(config).await? {
        Some(found) if found == entry => Ok(()),
        found => Err(BootError::NotKept {
            entry,
            found: found.unwrap_or_else(|| "nothing".to_owned()),
        }),
    }
}

/// Has it forget; whether an entry is left.
pub(super) async fn forget(config: &HostConfig) -> Result<bool, BootError> {
    let env = env(&config.boot);
    // What somebody else told it stays.
    if told(config).await?.is_some_and(|entry| entry.contains(PROFILE)) {
        let file = env.display().to_string();
        run(config, "grub-editenv", &[&file, "unset", "next_entry"]).await?;
        sync(&env)?;
    }
    Ok(read(&menu_file(&config.boot))?.contains(PROFILE))
}

async fn told(config: &HostConfig) -> Result<Option<String>, BootError> {
    let env = env(&config.boot);
    if !env.exists() {
        return Ok(None);
    }
    let listed = run(config, "grub-editenv", &[&env.display().to_string(), "list"]).await?;
    let entry = listed.lines().find_map(|line| line.strip_prefix("next_entry="));
    Ok(entry.filter(|entry| !entry.is_empty()).map(str::to_owned))
}

fn sync(env: &Path) -> Result<(), BootError> {
    let synced = std::fs::File::open(env).and_then(|file| file.sync_all());
    synced.map_err(|source| super::file(env, source))
}

fn menu_file(boot: &BootConfig) -> PathBuf {
    boot.dir.join("grub/grub.cfg")
}

fn env(boot: &BootConfig) -> PathBuf {
    boot.dir.join("grub/grubenv")
}

/// Why GRUB cannot clear `next_entry` on the file system of this folder, by the kernel's list of mounts.
fn unwritable(mounts: &str, dir: &Path) -> Option<String> {
    let dir = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let mut best: Option<(usize, &str, &str)> = None;
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let (Some(point), Some((kind, rest))) = (left.split(' ').nth(4), right.split_once(' ')) else {
            continue;
        };
        let depth = Path::new(point).components().count();
        // A later mount on the same folder covers the earlier one.
        if dir.starts_with(point) && best.is_none_or(|(deepest, ..)| depth >= deepest) {
            best = Some((depth, kind, rest.split(' ').next().unwrap_or_default()));
        }
    }
    let (_, kind, source) = best?;
    let device = std::fs::canonicalize(source).unwrap_or_else(|_| source.into());
    let name = device
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let on = if !WRITABLE.contains(&kind) {
        kind
    } else if name.starts_with("dm-") || source.starts_with("/dev/mapper/") {
        "a volume of the device mapper (LVM, LUKS)"
    } else if name.starts_with("md") {
        "a software RAID"
    } else {
        return None;
    };
    Some(format!(
        "GRUB cannot write to {on}, where {} is, and would boot the release again and again: put /boot on ext4 or vfat on a plain partition, or reboot by hand",
        dir.display()
    ))
}

#[cfg(test)]
mod tests;
