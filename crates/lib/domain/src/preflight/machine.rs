//! Checks of the machine that a host is, by its facts alone.

use super::Judgement;
use super::host::{mib, no_facts};
use super::subject::{HostSubject, Subject};
use crate::facts::{Cluster, Filesystem, FilesystemRole, HostFacts};
use crate::host_plan::section;

const MIB: u64 = 1024 * 1024;
/// Tenths of a percent of the last minute in which all programs waited.
const PRESSURE_SHOWN: u32 = 200;
/// As [`PRESSURE_SHOWN`], of some program that waited for a processor.
const CPU_PRESSURE_SHOWN: u32 = 700;
const GENERATIONS_SHOWN: u32 = 100;
const CERTIFICATE_DAYS: i64 = 14;

/// The verdict by a fact, or that it is unknown.
fn by<T>(
    subject: &Subject,
    host: &HostSubject,
    fact: impl Fn(&HostFacts) -> Option<&T>,
    judge: impl FnOnce(&T) -> Judgement,
) -> Judgement {
    subject
        .facts(host)
        .and_then(fact)
        .map_or_else(|| no_facts(subject, host), judge)
}

pub(super) fn time_sync(subject: &Subject, host: &HostSubject) -> Judgement {
    by(
        subject,
        host,
        |facts| facts.clock_synchronised.as_ref(),
        |synchronised| {
            if *synchronised {
                Judgement::passed("the clocks are synchronised")
            } else {
                Judgement::warning(
                    "no time service keeps its clock right",
                    "turn one on: services.timesyncd.enable, or services.chrony.enable",
                )
            }
        },
    )
}

pub(super) fn nix(subject: &Subject, host: &HostSubject) -> Judgement {
    by(
        subject,
        host,
        |facts| facts.nix_problem.as_ref(),
        |problem| {
            if problem.is_empty() {
                Judgement::passed("Nix answers")
            } else {
                Judgement::blocking(
                    format!("Nix does not answer: {problem}"),
                    "see on the host: systemctl status nix-daemon",
                )
            }
        },
    )
}

pub(super) fn store_inodes(subject: &Subject, host: &HostSubject) -> Judgement {
    by(
        subject,
        host,
        |facts| facts.filesystem(FilesystemRole::Store),
        |store| {
            let said = format!("{} more files fit into {}", store.free_inodes, store.path);
            let cure = "free some on the host: slipway-agent collect --keep-days 7, nix-store --optimise";
            if store.inodes == 0 || store.free_inodes >= 20_000 {
                Judgement::passed("the stores can hold more files")
            } else if store.free_inodes < 2000 {
                Judgement::blocking(said, cure)
            } else {
                Judgement::warning(said, cure)
            }
        },
    )
}

pub(super) fn state_space(subject: &Subject, host: &HostSubject) -> Judgement {
    by(
        subject,
        host,
        |facts| facts.filesystems.as_ref(),
        |filesystems| {
            let written =
                |found: &&Filesystem| matches!(found.role, FilesystemRole::State | FilesystemRole::NixState);
            let tightest = filesystems
                .iter()
                .filter(written)
                .min_by_key(|found| found.free_bytes);
            let Some(tightest) = tightest else {
                return no_facts(subject, host);
            };
            let said = format!("{} are free in {}", mib(tightest.free_bytes), tightest.path);
            let cure = "free some space there";
            if tightest.free_bytes < 32 * MIB {
                Judgement::blocking(said, cure)
            } else if tightest.free_bytes < 256 * MIB {
                Judgement::warning(said, cure)
            } else {
                Judgement::passed("Nix's database and the agents' journals have room")
            }
        },
    )
}

pub(super) fn read_only(subject: &Subject, host: &HostSubject) -> Judgement {
    by(
        subject,
        host,
        |facts| facts.filesystems.as_ref(),
        |filesystems| {
            // NixOS mounts the store read-only for everybody but the daemon.
            let stuck = filesystems
                .iter()
                .find(|found| found.read_only && found.role != FilesystemRole::Store);
            stuck.map_or_else(
                || Judgement::passed("the file systems can be written"),
                |found| {
                    Judgement::blocking(
                        format!("{} is mounted read-only", found.path),
                        "the kernel does this after errors of a disk: see dmesg, then check the file system",
                    )
                },
            )
        },
    )
}

pub(super) fn memory(subject: &Subject, host: &HostSubject) -> Judgement {
    by(
        subject,
        host,
        |facts| facts.memory.as_ref(),
        |memory| {
            let with_swap = memory.available_bytes.saturating_add(memory.swap_free_bytes);
            let said = format!(
                "{} of {} can be had, and {} of swap",
                mib(memory.available_bytes),
                mib(memory.total_bytes),
                mib(memory.swap_free_bytes)
            );
            let cure = "see who has it: systemd-cgtop -m";
            if with_swap < 64 * MIB {
                Judgement::blocking(said, cure)
            } else if memory.available_bytes < 256 * MIB {
                Judgement::warning(said, cure)
            } else {
                Judgement::passed("there is memory for a switch")
            }
        },
    )
}

pub(super) fn pressure(subject: &Subject, host: &HostSubject) -> Judgement {
    by(
        subject,
        host,
        |facts| facts.pressure.as_ref(),
        |pressure| {
            let waits = [
                ("memory", pressure.memory, PRESSURE_SHOWN),
                ("disks", pressure.io, PRESSURE_SHOWN),
                ("processors", pressure.cpu, CPU_PRESSURE_SHOWN),
            ];
            let worst = waits.iter().find(|(_, share, limit)| share > limit);
            worst.map_or_else(
                || Judgement::passed("programs seldom wait"),
                |(what, share, _)| {
                    Judgement::warning(
                        format!("programs waited {} % of the last minute for {what}", share / 10),
                        "wait until it is calmer: a slow switch may run out of its time",
                    )
                },
            )
        },
    )
}

pub(super) fn load(subject: &Subject, host: &HostSubject) -> Judgement {
    by(
        subject,
        host,
        |facts| facts.load.as_ref(),
        |load| {
            if load.five_minutes > load.processors.max(1).saturating_mul(400) {
                Judgement::warning(
                    format!(
                        "its load is {} on {} processors",
                        load.five_minutes / 100,
                        load.processors
                    ),
                    "wait until it is calmer: a slow switch may run out of its time",
                )
            } else {
                Judgement::passed("the loads are low")
            }
        },
    )
}

pub(super) fn systemd(subject: &Subject, host: &HostSubject) -> Judgement {
    by(
        subject,
        host,
        |facts| facts.systemd.as_ref(),
        |systemd| match systemd.state.as_str() {
            "running" | "degraded" => Judgement::passed("systemd runs"),
            "initializing" | "starting" => Judgement::warning(
                "systemd still starts the host",
                "wait until it is done; else see on the host: systemctl list-jobs",
            ),
            "stopping" => Judgement::blocking("the host is shutting down", "wait until it is back"),
            "maintenance" => Judgement::blocking(
                "the host is in an emergency: systemd waits for a person",
                "see on its console: journalctl -xb",
            ),
            other => Judgement::unknown(
                format!("systemd says {other}"),
                "see on the host: systemctl is-system-running",
            ),
        },
    )
}

pub(super) fn failed_units(subject: &Subject, host: &HostSubject) -> Judgement {
    by(
        subject,
        host,
        |facts| facts.systemd.as_ref(),
        |systemd| match systemd.failed_units.as_slice() {
            [] => Judgement::passed("no unit has failed"),
            units => Judgement::warning(
                format!("failed: {}", units.join(", ")),
                "see on the host: systemctl --failed",
            ),
        },
    )
}

pub(super) fn generations(subject: &Subject, host: &HostSubject) -> Judgement {
    by(
        subject,
        host,
        |facts| facts.generations.as_ref(),
        |generations| {
            if *generations > GENERATIONS_SHOWN {
                Judgement::warning(
                    format!(
                        "its profile has {generations} generations, and each keeps a system in the store"
                    ),
                    "delete old ones on the host: slipway-agent collect --keep-days 30",
                )
            } else {
                Judgement::passed("the profiles have few generations")
            }
        },
    )
}

pub(super) fn host_keys(subject: &Subject, host: &HostSubject) -> Judgement {
    by(
        subject,
        host,
        |facts| facts.readable_host_keys.as_ref(),
        |keys| match keys.as_slice() {
            [] => Judgement::passed("only root can read the hosts' keys"),
            keys => Judgement::warning(
                format!("others can read {}", keys.join(", ")),
                "chmod 600, and make new ones if somebody may have read them",
            ),
        },
    )
}

pub(super) fn certificates(subject: &Subject, host: &HostSubject) -> Judgement {
    let now = subject.now;
    by(
        subject,
        host,
        |facts| facts.certificates.as_ref(),
        |certificates| {
            let cure = "see why it was not renewed: systemctl list-units 'acme-*' --failed";
            if let Some(bad) = certificates.iter().find(|found| found.expires.is_none()) {
                let problem = bad.problem.as_deref().unwrap_or("it cannot be read");
                return Judgement::unknown(format!("{}: {problem}", bad.file), cure);
            }
            let next = certificates
                .iter()
                .filter_map(|found| Some((found.expires?, &found.file)))
                .min();
            match next {
                Some((expires, file)) if expires <= now => {
                    Judgement::warning(format!("{file} has expired"), cure)
                }
                Some((expires, file)) if (expires - now).num_days() < CERTIFICATE_DAYS => {
                    let days = (expires - now).num_days();
                    Judgement::warning(format!("{file} expires in {days} days"), cure)
                }
                _ => Judgement::passed("the hosts' certificates are good for two weeks"),
            }
        },
    )
}

pub(super) fn backups(subject: &Subject, host: &HostSubject) -> Judgement {
    let migrates = subject.plans_have(section::SCHEMAS);
    by(
        subject,
        host,
        |facts| facts.backups.as_ref(),
        |backups| {
            let bad = backups.iter().find(|backup| !backup.ok && backup.kind != "drill");
            let Some(bad) = bad else {
                return Judgement::passed("the backups are neither late nor failed");
            };
            let problem = bad.problem.as_deref().unwrap_or("it is late");
            let said = format!("the backup ({}) of {}: {problem}", bad.kind, bad.stack);
            let cure = "see on the host: slipway-backup status";
            if migrates {
                Judgement::blocking(format!("{said}; the release brings migrations"), cure)
            } else {
                Judgement::warning(said, cure)
            }
        },
    )
}

pub(super) fn drill(subject: &Subject, host: &HostSubject) -> Judgement {
    by(
        subject,
        host,
        |facts| facts.backups.as_ref(),
        |backups| {
            let mut drills = backups.iter().filter(|backup| backup.kind == "drill");
            match drills.find(|backup| !backup.ok) {
                Some(bad) => {
                    let problem = bad.problem.as_deref().unwrap_or("it is late");
                    Judgement::warning(
                        format!("the restore drill of {}: {problem}", bad.stack),
                        "see on the host: slipway-backup status",
                    )
                }
                None => Judgement::passed("the restores were drilled"),
            }
        },
    )
}

pub(super) fn database_quorum(subject: &Subject, host: &HostSubject) -> Judgement {
    by(
        subject,
        host,
        |facts| facts.clusters.as_ref(),
        |clusters| {
            let worst = clusters.iter().map(quorum);
            worst
                .min_by_key(|judgement| judgement.outcome)
                .unwrap_or_else(|| Judgement::passed("the databases' clusters are whole"))
        },
    )
}

fn quorum(cluster: &Cluster) -> Judgement {
    let name = &cluster.name;
    let cure = "see on a member: slipway-cluster status";
    if cluster.members.is_empty() {
        let problem = cluster.problem.as_deref().unwrap_or("no member answered");
        return Judgement::unknown(format!("the cluster {name}: {problem}"), cure);
    }
    let healthy = cluster.members.iter().filter(|member| member.healthy).count();
    let all = cluster.members.len();
    let leads = cluster
        .members
        .iter()
        .any(|member| member.leads && member.healthy);
    let said = format!("the cluster {name}: {healthy} of {all} members run");
    // The switch of one member takes it away for a while.
    if !leads {
        Judgement::blocking(format!("the cluster {name} has no leader"), cure)
    } else if healthy.saturating_sub(1) * 2 <= all && all > 1 {
        Judgement::blocking(said, cure)
    } else if healthy < all {
        Judgement::warning(said, cure)
    } else {
        Judgement::passed("the databases' clusters are whole")
    }
}
