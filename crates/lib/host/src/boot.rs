//! Boot entries that are booted once, while the boot default stays where it is.
//!
//! NixOS' installers of systemd-boot and of GRUB write an entry for every generation of every profile beside the system's
//! own. So a closure in the profile [`PROFILE`] gets an entry from the installer of the boot default, which names itself
//! the default as before. Then the boot loader is told to boot that entry once, which is the last step. It forgets that
//! before it starts the entry, so a machine that hangs comes up with its boot default after the next power cycle.
//!
//! [`boot_once`] and [`boot_clear`] run as jobs with all of root's rights: the agent itself cannot write to `/boot`.

mod deadman;
mod grub;
mod next;
mod systemd_boot;

use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway_domain::{AttemptId, StorePath};

use crate::config::{HostConfig, RunnerKind};
use crate::door::{Refusal, Runnable};
use crate::failpoint::failpoint;
use crate::nix::{self, ProfileError};
use crate::text::problem_of;

/// The name of the profile that gives a closure its entry.
pub const PROFILE: &str = "slipway-next";

/// A boot loader's own program, or a look at its files.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The installer copies kernels.
const INSTALL_WITHIN: Duration = Duration::from_mins(4);

/// The longest file of a boot loader. A menu of a thousand generations has less.
const MAX_BYTES: u64 = 1024 * 1024;

/// Why an agent does not reboot where its jobs are plain processes.
pub(crate) const NOT_OURS: &str = "its agent starts plain processes (AGENT_RUNNER), so the machine is not its own; run it under systemd as root";

/// What boots this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootConfig {
    /// The boot loader.
    pub loader: BootLoader,
    /// Where its entries are.
    pub dir: PathBuf,
    /// The firmware's own partition, where systemd-boot is configured.
    pub esp: PathBuf,
    /// The firmware's variables.
    pub efivars: PathBuf,
    /// Where units are that the next boot has whatever it boots.
    pub units: PathBuf,
}

impl Default for BootConfig {
    fn default() -> Self {
        Self {
            loader: BootLoader::None,
            dir: "/boot".into(),
            esp: "/boot".into(),
            efivars: "/sys/firmware/efi/efivars".into(),
            units: "/etc/systemd/system.control".into(),
        }
    }
}

/// A boot loader that can be told to boot something once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootLoader {
    /// None that is known.
    None,
    /// By a variable of the firmware.
    SystemdBoot,
    /// By a variable in its file `grubenv`.
    Grub,
}

/// Something about boot entries went wrong.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A file.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A closure is not let in.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The profile of the entry.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A program failed.
    #[error("{what} failed: {problem}")]
    Program {
        /// Which one.
        what: String,
        /// How.
        problem: String,
    },
    /// The installer wrote no entry.
    #[error(
        "the boot loader's installer of {default} wrote no entry for {closure} to {place}: check that AGENT_BOOT_DIR is where it writes, and that the profile {PROFILE} is not left out there"
    )]
    NoEntry {
        /// Whose entry.
        closure: StorePath,
        /// Whose installer.
        default: StorePath,
        /// Where it was looked for.
        place: String,
    },
    /// The entry became the default.
    #[error(
        "the boot loader's installer made {entry} the default, which it must not be before its checks passed"
    )]
    Default {
        /// The entry.
        entry: String,
    },
    /// The boot loader did not keep what it was told.
    #[error("the boot loader was told to boot {entry} once, and it says {found}")]
    NotKept {
        /// The entry.
        entry: String,
        /// What was read.
        found: String,
    },
    /// There is no such boot loader.
    #[error("the boot loader of this host is not known: {0}")]
    Unknown(&'static str),
}

/// What there is to do about a boot loader that is not known.
const UNKNOWN: &str = "set AGENT_BOOT_LOADER to systemd-boot or grub if that is what boots it (the NixOS module does), or use reboot: never with allow_pending_reboot and reboot it by hand";

pub(crate) use deadman::deadman_files;
pub(crate) use next::differences;

/// A job that has the boot loader boot a closure once.
#[derive(Debug, Clone)]
pub struct OnceJob {
    /// The attempt.
    pub attempt: AttemptId,
    /// What stays the boot default.
    pub default: StorePath,
    /// What is booted once.
    pub closure: StorePath,
    /// What the dead-man of that boot puts back.
    pub prior: StorePath,
    /// When it does, in seconds after the boot.
    pub deadman_seconds: u32,
}

/// Why this machine cannot boot a closure once; `boots_anyway` says that its boot default is that closure.
pub(crate) async fn obstacle(config: &HostConfig, boots_anyway: bool) -> Option<String> {
    if config.runner == RunnerKind::Process {
        return Some(NOT_OURS.to_owned());
    }
    if boots_anyway {
        return None;
    }
    loader_obstacle(config).await
}

async fn loader_obstacle(config: &HostConfig) -> Option<String> {
    match config.boot.loader {
        BootLoader::None => Some(format!("its boot loader is not known: {UNKNOWN}")),
        BootLoader::SystemdBoot => systemd_boot::obstacle(&config.boot),
        BootLoader::Grub => grub::obstacle(config).await,
    }
}

/// Writes the closure's entry and has the boot loader boot it once. Each step may be the last before a power cut: until the
/// last one, the next boot brings the default.
pub async fn boot_once(config: &HostConfig, job: &OnceJob) -> Result<(), BootError> {
    let default = admit(config, &job.default).await?;
    let prior = admit(config, &job.prior).await?;
    let closure = admit_staged(config, &job.closure).await?;
    deadman::write(config, job.attempt, &prior, job.deadman_seconds)?;
    failpoint("boot-deadman-written");
    let profile = profile(config);
    if let Some(folder) = profile.parent() {
        slipway_durable::folder(folder, 0o755).map_err(|source| file(folder, source))?;
    }
    nix::set_profile(config, &profile, &closure).await?;
    failpoint("boot-profile-set");
    install(config, &default).await?;
    failpoint("boot-entry-written");
    match config.boot.loader {
        BootLoader::None => Err(BootError::Unknown(UNKNOWN)),
        BootLoader::SystemdBoot => systemd_boot::boot_once(config, job).await,
        BootLoader::Grub => grub::boot_once(config, job).await,
    }
}

/// Has the boot loader forget, and takes the entry and the dead-man away. What is gone already is as good.
pub async fn boot_clear(
    config: &HostConfig,
    attempt: AttemptId,
    default: &StorePath,
) -> Result<(), BootError> {
    let entry_left = match config.boot.loader {
        BootLoader::None => false,
        BootLoader::SystemdBoot => systemd_boot::forget(config).await?,
        BootLoader::Grub => grub::forget(config).await?,
    };
    failpoint("boot-forgotten");
    let profile_left = drop_profile(config);
    if entry_left || profile_left {
        let default = admit(config, default).await?;
        install(config, &default).await?;
    }
    failpoint("boot-entry-gone");
    deadman::remove(config, attempt)
}

/// Runs the installer of a closure, which makes that one the default.
async fn install(config: &HostConfig, default: &Runnable) -> Result<(), BootError> {
    let mut command = config.command(default.switch_script());
    command.arg("boot");
    let (outcome, output) = slipway_process::run(command, INSTALL_WITHIN).await;
    let what = format!("switch-to-configuration boot of {}", default.path().short());
    match problem_of(&what, &outcome, &output, INSTALL_WITHIN) {
        None => Ok(()),
        Some(problem) => Err(BootError::Program { what, problem }),
    }
}

/// What this host knows by itself.
async fn admit(config: &HostConfig, path: &StorePath) -> Result<Runnable, BootError> {
    Ok(crate::door::admit_known(config, path, false).await?)
}

/// The agent let it through the door before it started this.
async fn admit_staged(config: &HostConfig, path: &StorePath) -> Result<Runnable, BootError> {
    Ok(crate::door::admit_known(config, path, true).await?)
}

/// The profile that gives a closure its entry, where NixOS' installers look for profiles.
fn profile(config: &HostConfig) -> PathBuf {
    config.profile.with_file_name("system-profiles").join(PROFILE)
}

/// Drops that profile with all its generations; whether there was anything.
pub(crate) fn drop_profile(config: &HostConfig) -> bool {
    let profile = profile(config);
    let generation = |name: &str| {
        let number = name
            .strip_prefix(PROFILE)?
            .strip_prefix('-')?
            .strip_suffix("-link")?;
        number.parse::<u64>().ok()
    };
    let links = profile.parent().and_then(|folder| std::fs::read_dir(folder).ok());
    let mut found: Vec<PathBuf> = links
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|name| name == PROFILE || generation(name).is_some())
        })
        .map(|entry| entry.path())
        .collect();
    // The link to the newest generation goes first: one that leads nowhere would stop an installer.
    found.sort_by_key(|path| path.as_os_str().len());
    for path in &found {
        if let Err(error) = slipway_durable::remove(path) {
            tracing::warn!(path = %path.display(), %error, "an old boot entry's profile stays");
        }
    }
    !found.is_empty()
}

fn file(path: &Path, source: io::Error) -> BootError {
    BootError::File {
        path: path.to_owned(),
        source,
    }
}

fn read(path: &Path) -> Result<String, BootError> {
    read_at_most(path, MAX_BYTES)
}

fn read_at_most(path: &Path, most: u64) -> Result<String, BootError> {
    let bytes = read_bytes(path, most).map_err(|source| file(path, source))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The text of a file that need not be there.
fn read_if_there(path: &Path) -> Result<String, BootError> {
    if path.exists() {
        read(path)
    } else {
        Ok(String::new())
    }
}

/// A whole file of a boot loader. Other systems of the machine write there too, so it must be a file, and not too long.
fn read_bytes(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // A pipe would otherwise be waited for.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    if !opened.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    let mut bytes = Vec::new();
    opened.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let why = format!("it is longer than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

async fn run(config: &HostConfig, program: &str, arguments: &[&str]) -> Result<String, BootError> {
    let mut command = config.command(program);
    command.args(arguments);
    let (outcome, output) = slipway_process::run(command, ANSWER_WITHIN).await;
    match problem_of(program, &outcome, &output, ANSWER_WITHIN) {
        None => Ok(output),
        Some(problem) => Err(BootError::Program {
            what: format!("{program} {}", arguments.join(" ")),
            problem,
        }),
    }
}
