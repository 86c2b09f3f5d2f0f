//! What the kernel says of this machine.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};
use slipway_domain::facts::{Filesystem, FilesystemRole, Load, Memory, Pressure};

use super::Places;
use crate::config::HostConfig;

const KIB: u64 = 1024;

/// Its kind of machine, in Nix's words.
pub(super) fn system() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// The file systems that a rollout writes to. A machine without a boot partition has none.
pub(super) fn filesystems(
    config: &HostConfig,
    places: &Places<'_>,
    boot: Option<&Path>,
) -> Option<Vec<Filesystem>> {
    let mounts = fs::read_to_string(format!("{}/1/mountinfo", places.proc)).ok();
    let store = PathBuf::from(config.store_dir.to_string());
    let nix_state = config.profile.parent()?.to_owned();
    let wanted = [
        (FilesystemRole::Store, Some(store)),
        (FilesystemRole::NixState, Some(nix_state)),
        (FilesystemRole::State, Some(config.state_dir.clone())),
        (FilesystemRole::Boot, boot.map(Path::to_owned)),
    ];
    let mut found = Vec::new();
    for (role, path) in wanted {
        let Some(path) = path else { continue };
        found.push(filesystem(role, &path, mounts.as_deref())?);
    }
    Some(found)
}

fn filesystem(role: FilesystemRole, path: &Path, mounts: Option<&str>) -> Option<Filesystem> {
    // A folder that is not there yet will be made on the file system above. Of a boot partition that would be another.
    let there = |path: &&Path| role == FilesystemRole::Boot || path.exists();
    let stat = statvfs(path.ancestors().find(there)?).ok()?;
    // The agent's own sandbox makes most file systems read-only. The first process sees them as they are.
    let read_only = mounts.and_then(|mounts| is_read_only(mounts, path));
    let read_only = read_only.unwrap_or_else(|| stat.f_flag.contains(StatVfsMountFlags::RDONLY));
    Some(Filesystem {
        role,
        path: path.display().to_string(),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        inodes: stat.f_files,
        free_inodes: stat.f_favail,
        read_only,
    })
}

/// Whether the mount that the path is on is read-only, or the file system below it.
fn is_read_only(mountinfo: &str, path: &Path) -> Option<bool> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, below) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(4);
        let (point, options) = (unescaped(fields.next()?), fields.next()?);
        let super_options = below.split(' ').nth(2)?;
        let has = |options: &str| options.split(',').any(|option| option == "ro");
        path.starts_with(&point)
            .then(|| (point.len(), has(options) || has(super_options)))
    });
    // A later mount at the same place hides the earlier one.
    mounts
        .max_by_key(|(length, _)| *length)
        .map(|(_, read_only)| read_only)
}

/// A space in a path is `\040` there.
fn unescaped(field: &str) -> String {
    field.replace("\\040", " ").replace("\\134", "\\")
}

pub(super) fn memory(places: &Places<'_>) -> Option<Memory> {
    let text = fs::read_to_string(format!("{}/meminfo", places.proc)).ok()?;
    let of = |name: &str| -> Option<u64> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib.saturating_mul(KIB))
    };
    Some(Memory {
        total_bytes: of("MemTotal")?,
        available_bytes: of("MemAvailable")?,
        swap_free_bytes: of("SwapFree").unwrap_or(0),
    })
}

pub(super) fn pressure(places: &Places<'_>) -> Option<Pressure> {
    let of = |what: &str, line: &str| -> Option<u32> {
        let text = fs::read_to_string(format!("{}/pressure/{what}", places.proc)).ok()?;
        let line = text.lines().find(|found| found.starts_with(line))?;
        let share = line.split(' ').find_map(|field| field.strip_prefix("avg60="))?;
        in_parts(share, 1)
    };
    Some(Pressure {
        cpu: of("cpu", "some")?,
        io: of("io", "full")?,
        memory: of("memory", "full")?,
    })
}

pub(super) fn load(places: &Places<'_>) -> Option<Load> {
    let text = fs::read_to_string(format!("{}/loadavg", places.proc)).ok()?;
    let processors = std::thread::available_parallelism().ok()?;
    Some(Load {
        five_minutes: in_parts(text.split(' ').nth(1)?, 2)?,
        processors: u32::try_from(processors.get()).ok()?,
    })
}

/// A number with a point, in tenths or hundredths.
fn in_parts(text: &str, places: usize) -> Option<u32> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let rest: String = rest.chars().chain("00".chars()).take(places).collect();
    format!("{whole}{rest}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_found_by_its_longest_point() {
        let mounts = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
23 22 8:2 / /nix/store ro,nosuid shared:2 - ext4 /dev/sda1 rw
24 22 8:3 / /boot rw,relatime shared:3 - vfat /dev/sda3 ro,fmask=0077
25 22 8:4 / /with\\040space ro - ext4 /dev/sda4 rw
";
        let of = |path: &str| is_read_only(mounts, Path::new(path));
        assert_eq!(of("/var/lib/x"), Some(false));
        assert_eq!(of("/nix/store"), Some(true));
        assert_eq!(of("/nix/storey"), Some(false));
        // An error of the disk shows in the file system's own options.
        assert_eq!(of("/boot/EFI"), Some(true));
        assert_eq!(of("/with space/a"), Some(true));
        assert_eq!(is_read_only("garbage", Path::new("/")), None);
    }

    #[test]
    fn numbers_are_read_in_parts() {
        for (text, places, expected) in [
            ("0.00", 1, Some(0)),
            ("12.34", 1, Some(123)),
            ("12.34", 2, Some(1234)),
            ("7", 2, Some(700)),
            ("x", 1, None),
        ] {
            assert_eq!(in_parts(text, places), expected, "{text}");
        }
    }

    #[test]
    fn this_machine_tells_of_itself() {
        let places = Places {
            proc: "/proc",
            ssh: "",
            systemd: "",
        };
        let memory = memory(&places).unwrap();
        assert!(memory.total_bytes > memory.available_bytes && memory.available_bytes > 0);
        assert!(load(&places).unwrap().processors > 0);
        assert!(system().ends_with("-linux"));
        let disk = filesystem(FilesystemRole::Store, Path::new("/"), None).unwrap();
        assert!(disk.total_bytes > 0 && disk.total_bytes >= disk.free_bytes);
        assert_eq!(
            filesystem(FilesystemRole::Boot, Path::new("/no/such/place"), None),
            None
        );
    }
}
