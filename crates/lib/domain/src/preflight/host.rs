//! Checks of a host against the release: its agent, its clock, its caches, its room.

use super::Judgement;
use super::subject::{HostSubject, Subject};
use crate::drift::DriftKind;
use crate::facts::{Availability, ClosureFacts, FACTS_AGE_SECONDS, FilesystemRole, HostFacts};
use crate::strategy::Offline;

const MIB: u64 = 1024 * 1024;
/// What a store needs besides the closure itself: Nix writes archives and links meanwhile.
const STORE_SPARE: u64 = 256 * MIB;
/// A kernel and its initrd of NixOS, where their sizes are not known.
const KERNEL: u64 = 80 * MIB;
/// A clock that is off by more is shown.
const SKEW_SHOWN: i64 = 5;
/// A clock that is off by more makes expiry and certificates wrong.
const SKEW_WRONG: i64 = 120;

/// The verdict where a fact is missing: whether that passes by itself depends on why.
pub(super) fn no_facts(subject: &Subject, host: &HostSubject) -> Judgement {
    match &host.facts {
        None => Judgement::unknown(
            "its agent has sent no facts yet",
            "they come within a minute of its start; else update it, or see its log: journalctl -u slipway-agent",
        ),
        Some(_) if subject.facts(host).is_none() => Judgement::unknown(
            format!("its facts are older than {FACTS_AGE_SECONDS} s"),
            "see on the host: journalctl -u slipway-agent",
        ),
        Some(_) => Judgement::unknown(
            "its agent says nothing of this",
            "nothing to do if the host has nothing of the kind; otherwise update its agent",
        ),
    }
}

pub(super) fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes / MIB)
}

pub(super) fn agent_seen(subject: &Subject, host: &HostSubject) -> Judgement {
    if host.online {
        return Judgement::passed("the agents were heard of lately");
    }
    let (message, cure) = match host.seen {
        None => ("its agent was never heard of", "install it: docs/agent.md"),
        Some(_) => (
            "its agent is silent",
            "see on the host: systemctl status slipway-agent",
        ),
    };
    match subject.environment.strategy.offline {
        Offline::Skip => Judgement::warning(format!("{message}; a rollout skips it"), cure),
        Offline::Wait | Offline::Fail => Judgement::blocking(message, cure),
    }
}

pub(super) fn agent_version(subject: &Subject, host: &HostSubject) -> Option<Judgement> {
    let ours = &subject.plane.version;
    let version = host.agent_version.as_ref()?;
    Some(if version == ours {
        Judgement::passed(format!("the agents are of version {ours}"))
    } else {
        Judgement::warning(
            format!("the agent is of version {version}, and the control plane of {ours}"),
            "bring both to one release",
        )
    })
}

pub(super) fn one_machine(_: &Subject, host: &HostSubject) -> Judgement {
    match &host.doubt {
        None => Judgement::passed("one machine speaks for each host"),
        Some(doubt) => Judgement::blocking(
            doubt,
            "stop the second machine, or give it a token of its own: slipway host token",
        ),
    }
}

pub(super) fn facts(subject: &Subject, host: &HostSubject) -> Judgement {
    match subject.facts(host) {
        Some(_) => Judgement::passed("the facts are new"),
        None => no_facts(subject, host),
    }
}

pub(super) fn clock(_: &Subject, host: &HostSubject) -> Judgement {
    let cure = "see on the host: timedatectl timesync-status";
    let Some(skew) = host.clock_skew_seconds else {
        return Judgement::unknown(
            "its clock is not known",
            "see on the host: systemctl status slipway-agent",
        );
    };
    let off = skew.saturating_abs();
    let way = if skew < 0 { "behind" } else { "ahead" };
    if off >= SKEW_WRONG {
        Judgement::blocking(format!("its clock is {off} s {way}"), cure)
    } else if off > SKEW_SHOWN {
        Judgement::warning(format!("its clock is {off} s {way}"), cure)
    } else {
        Judgement::passed("the clocks are right")
    }
}

pub(super) fn open_attempt(_: &Subject, host: &HostSubject) -> Judgement {
    if host.unsettled {
        Judgement::blocking(
            "an earlier attempt is neither committed nor taken back",
            "see what it is at: slipway host show, and on the host: slipway-agent status",
        )
    } else {
        Judgement::passed("no attempt is open")
    }
}

pub(super) fn journal(_: &Subject, host: &HostSubject) -> Judgement {
    match &host.journal_trouble {
        None => Judgement::passed("the journals are whole"),
        Some(trouble) => Judgement::blocking(
            format!("its journal: {trouble}"),
            "see docs/runbooks.md, and on the host: slipway-agent status",
        ),
    }
}

/// A host that is behind is what a rollout is for.
pub(super) fn drift(_: &Subject, host: &HostSubject) -> Option<Judgement> {
    let drift = host.drift.as_ref()?;
    let mut by_hand = drift.iter().filter(|drift| drift.kind != DriftKind::Behind);
    Some(by_hand.next().map_or_else(
        || Judgement::passed("the hosts are as Slipway left them"),
        |first| {
            Judgement::warning(
                format!(
                    "{}: {} is expected, and {} was found",
                    first.kind.words(),
                    first.expected,
                    first.found
                ),
                "find out who did it: slipway host show; the rollout ends all of it but changed units",
            )
        },
    ))
}

pub(super) fn boot_default(_: &Subject, host: &HostSubject) -> Option<Judgement> {
    let live = host.live.as_ref()?;
    Some(match &host.boot_default {
        Some(next) if next == live => Judgement::passed("the next boot brings what runs"),
        Some(next) => Judgement::warning(
            format!("the next boot brings {next}, and {live} runs"),
            "somebody switched it without making it the default, or an attempt is open",
        ),
        None => Judgement::unknown(
            "what the next boot brings is not known",
            "see on the host: readlink /nix/var/nix/profiles/system",
        ),
    })
}

pub(super) fn release_trusted(subject: &Subject, host: &HostSubject) -> Judgement {
    let Some(keys) = subject.facts(host).and_then(|facts| facts.release_keys.as_ref()) else {
        return no_facts(subject, host);
    };
    let signed_by = &subject.release.signed_by;
    if keys.is_empty() {
        Judgement::warning(
            "it has no release keys: it trusts the control plane",
            "give it keys: docs/trust.md",
        )
    } else if signed_by.is_empty() {
        Judgement::blocking(
            "it takes signed releases only, and nobody signed this one",
            "sign it: slipway release create --manifest FILE --sign-key KEY",
        )
    } else if keys.iter().any(|key| signed_by.contains(key)) {
        // Anybody can write a key's name. Whether the signature is good, only the hosts find out.
        Judgement::passed("a signature of the release names a key that each host trusts")
    } else {
        Judgement::blocking(
            format!(
                "it trusts {}, and the signatures name {}",
                keys.join(", "),
                signed_by.join(", ")
            ),
            "sign it with a key that the host trusts",
        )
    }
}

/// What its agent found out about exactly this closure.
fn closure<'a>(subject: &Subject, host: &'a HostSubject) -> Option<&'a ClosureFacts> {
    let found = subject.facts(host)?.closure.as_ref()?;
    (found.path == host.closure).then_some(found)
}

fn not_asked(subject: &Subject, host: &HostSubject) -> Judgement {
    if subject.facts(host).is_none() {
        return no_facts(subject, host);
    }
    Judgement::unknown(
        "its agent has not looked for the closure yet",
        "ask again in a few seconds; an agent of an earlier release cannot say",
    )
}

pub(super) fn architecture(subject: &Subject, host: &HostSubject) -> Option<Judgement> {
    let Some(of_host) = subject.facts(host).and_then(|facts| facts.system.as_ref()) else {
        return Some(no_facts(subject, host));
    };
    // Before it was fetched nobody can tell, and fetching is no risk.
    let of_closure = closure(subject, host)?.system.as_ref()?;
    Some(if of_host == of_closure {
        Judgement::passed("the closures are of their hosts' kinds of machine")
    } else {
        Judgement::blocking(
            format!("the closure is for {of_closure}, and the host is {of_host}"),
            "build it with nixpkgs.hostPlatform of this host",
        )
    })
}

pub(super) fn cache(subject: &Subject, host: &HostSubject) -> Judgement {
    let Some(found) = closure(subject, host) else {
        return not_asked(subject, host);
    };
    match found.availability {
        Availability::Present | Availability::Fetchable | Availability::Missing => {
            Judgement::passed("the closures are there, or a cache answers")
        }
        Availability::Unreachable => Judgement::blocking(
            format!("no cache answers{}", words(found)),
            "look at the cache, and on the host: nix config show substituters",
        ),
        Availability::Unknown => Judgement::unknown(
            format!("the caches could not be asked{}", words(found)),
            "see on the host: journalctl -u slipway-agent",
        ),
    }
}

pub(super) fn cache_paths(subject: &Subject, host: &HostSubject) -> Judgement {
    let Some(found) = closure(subject, host) else {
        return not_asked(subject, host);
    };
    match found.availability {
        Availability::Present | Availability::Fetchable => {
            Judgement::passed("the caches have what the hosts lack")
        }
        Availability::Missing => Judgement::blocking(
            format!(
                "{} is in none of its caches, or not whole{}",
                found.path,
                words(found)
            ),
            "copy it there: nix copy --to CACHE CLOSURE",
        ),
        Availability::Unreachable | Availability::Unknown => Judgement::unknown(
            "the caches did not answer",
            "look at the cache, and on the host: nix config show substituters",
        ),
    }
}

fn words(found: &ClosureFacts) -> String {
    found
        .problem
        .as_ref()
        .map(|problem| format!("; nix said: {problem}"))
        .unwrap_or_default()
}

/// Bytes that the closure takes more: by the host's own Nix, or else by the plan of the switch.
fn bytes_needed(subject: &Subject, host: &HostSubject) -> Option<u64> {
    match closure(subject, host) {
        Some(found) if found.availability == Availability::Present => Some(0),
        Some(found) if found.availability == Availability::Fetchable => Some(found.unpacked_bytes),
        _ => host.plan.as_ref().map(|plan| plan.bytes_new),
    }
}

pub(super) fn store_space(subject: &Subject, host: &HostSubject) -> Judgement {
    let facts = subject.facts(host);
    let Some(store) = facts.and_then(|facts| facts.filesystem(FilesystemRole::Store)) else {
        return no_facts(subject, host);
    };
    let cure = "free some on the host: slipway-agent collect --keep-days 7";
    let Some(needed) = bytes_needed(subject, host) else {
        return if store.free_bytes < STORE_SPARE {
            Judgement::blocking(
                format!("{} are free in {}", mib(store.free_bytes), store.path),
                cure,
            )
        } else {
            Judgement::unknown(
                "how much the closure needs is not known",
                "ask again in a few seconds; an agent of an earlier release cannot say",
            )
        };
    };
    let left = store.free_bytes.saturating_sub(needed);
    let said = || {
        format!(
            "{} are free in {}, and the closure needs {}",
            mib(store.free_bytes),
            store.path,
            mib(needed)
        )
    };
    if store.free_bytes < needed.saturating_add(STORE_SPARE) {
        Judgement::blocking(said(), cure)
    } else if left < store.total_bytes / 10 {
        let percent = left.saturating_mul(100) / store.total_bytes.max(1);
        Judgement::warning(
            format!(
                "{}; that leaves {percent} %, and less than 10 % is little",
                said()
            ),
            cure,
        )
    } else {
        Judgement::passed("the stores have room for the closure")
    }
}

pub(super) fn boot_space(subject: &Subject, host: &HostSubject) -> Option<Judgement> {
    let facts = subject.facts(host).filter(|facts| facts.filesystems.is_some());
    let Some(facts) = facts else {
        return Some(no_facts(subject, host));
    };
    // A container and a network boot have none.
    let boot = facts.filesystem(FilesystemRole::Boot)?;
    Some(room_for_kernels(boot.free_bytes, &boot.path, facts))
}

fn room_for_kernels(free: u64, path: &str, facts: &HostFacts) -> Judgement {
    let known = facts.closure.as_ref().and_then(|closure| closure.boot_bytes);
    let kernel = known.unwrap_or(KERNEL).max(1);
    let said = format!(
        "{} are free in {path}, and a kernel with its initrd takes {}",
        mib(free),
        mib(kernel)
    );
    let cure = "lower boot.loader.systemd-boot.configurationLimit, or delete old generations";
    if free < kernel {
        Judgement::blocking(said, cure)
    } else if free < kernel.saturating_mul(2) {
        Judgement::warning(said, cure)
    } else {
        Judgement::passed("the boot partitions have room for two kernels")
    }
}
