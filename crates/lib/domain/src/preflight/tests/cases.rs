//! Of each check, what it is to find.

use FilesystemRole::{NixState, State, Store};
use Outcome::Warning;

use super::*;
use crate::PlanReport;
use crate::calendar::Hold;
use crate::host_plan::{PlanEntry, PlannedChange, section};
use crate::strategy::{Canary, Group, Offline};

/// A change of the subject that the check is to find, what it is to come to, and words that it is to say.
pub(super) type Case = (&'static str, Outcome, &'static str, fn(&mut Subject));

pub(super) fn facts(subject: &mut Subject) -> &mut HostFacts {
    &mut subject.hosts[0].facts.as_mut().unwrap().1
}

pub(super) fn room(subject: &mut Subject, role: FilesystemRole, change: impl Fn(&mut Filesystem)) {
    let found = facts(subject).filesystems.as_mut().unwrap();
    found
        .iter_mut()
        .filter(|found| found.role == role)
        .for_each(change);
}

fn plan(subject: &mut Subject, section: &str, entries: u64) {
    let entry = |n| PlanEntry::new(format!("entry-{n:05}"), PlannedChange::Changed);
    subject.release.plans[0].put(section, (0..entries).map(entry));
}

fn named(names: &[&str]) -> Canary {
    Canary::Hosts(names.iter().map(|name| name.parse().unwrap()).collect())
}

pub(super) const CASES: &[Case] = &[
    ("release-hosts", Warning, "no closure for web-2", |s| {
        s.release.without_closure = vec!["web-2".parse().unwrap()];
    }),
    ("release-hosts", Blocking, "for no host of prod", |s| {
        s.hosts.clear();
    }),
    ("release-expiry", Blocking, "expired at 2027", |s| {
        s.release.expires = Some(at(0));
    }),
    ("release-expiry", Warning, "in 59 min", |s| {
        s.release.expires = Some(at(3599));
    }),
    ("release-number", Blocking, "committed number 12", |s| {
        s.release.committed_number = Some(12);
    }),
    ("plan-size", Warning, "2001 changes", |s| {
        plan(s, section::UNITS, 2001);
    }),
    ("plan-size", Unknown, "not known", |s| s.release.plans.clear()),
    ("stack-migrations", Warning, "entry-00000", |s| {
        plan(s, section::SCHEMAS, 1);
    }),
    ("stack-migrations", Unknown, "not known", |s| {
        s.release.plans.clear();
    }),
    ("reboot", Warning, "need a reboot", |s| {
        plan(s, section::REBOOT, 1);
    }),
    ("reboot", Unknown, "not known", |s| s.release.plans.clear()),
    ("open-rollout", Blocking, "rollout #7 is under way", |s| {
        s.environment.open_rollout = Some("7".to_owned());
    }),
    ("window", Warning, "rollouts begin nothing until 2027", |s| {
        s.environment.hold = Some(Hold {
            until: Some(at(60)),
            why: "frozen".to_owned(),
        });
    }),
    ("approvers", Blocking, "nobody but you", |s| {
        s.environment.approvers = 0;
    }),
    ("approvers", Blocking, "not ci: one of you made the other", |s| {
        s.environment.approvers = 0;
        s.environment.related = vec!["ci".parse().unwrap()];
    }),
    ("order-labels", Warning, "role=db", |s| {
        s.environment.strategy.order = vec![
            Group::of("role=db".parse().unwrap()),
            Group::of("role=web".parse().unwrap()),
        ];
    }),
    ("canary-hosts", Blocking, "web-9", |s| {
        s.environment.strategy.canary = named(&["web-1", "web-9"]);
    }),
    ("canary-hosts", Blocking, "web-8", |s| {
        let mut group = Group::of("role=web".parse().unwrap());
        group.canary = Some(named(&["web-8"]));
        s.environment.strategy.order = vec![group];
    }),
    (
        "out-of-service",
        Blocking,
        "left web-7 out, and max_unavailable is 1",
        |s| {
            s.environment.out = vec!["web-7".parse().unwrap()];
        },
    ),
    ("out-of-service", Warning, "left web-7 out", |s| {
        s.environment.out = vec!["web-7".parse().unwrap()];
        s.environment.strategy.max_unavailable = crate::strategy::Share::Number(2);
        s.release.without_closure = vec!["web-2".parse().unwrap(), "web-3".parse().unwrap()];
    }),
    ("workers", Blocking, "no worker", |s| s.plane.workers = 0),
    ("audit-log", Blocking, "event 5", |s| {
        s.plane.audit_problem = Some("event 5".to_owned());
    }),
    ("schema", Warning, "2 migrations", |s| {
        s.plane.pending_migrations = Some(2);
    }),
    ("schema", Unknown, "not known", |s| {
        s.plane.pending_migrations = None;
    }),
    ("agent-seen", Warning, "a rollout skips it", |s| {
        s.hosts[0].online = false;
    }),
    ("agent-seen", Blocking, "is silent", |s| {
        s.hosts[0].online = false;
        s.environment.strategy.offline = Offline::Wait;
    }),
    ("agent-seen", Blocking, "never heard of", |s| {
        (s.hosts[0].online, s.hosts[0].seen) = (false, None);
        s.environment.strategy.offline = Offline::Fail;
    }),
    ("agent-version", Warning, "0.9.0", |s| {
        s.hosts[0].agent_version = Some("0.9.0".to_owned());
    }),
    ("one-machine", Blocking, "two lives", |s| {
        s.hosts[0].doubt = Some("two lives".to_owned());
    }),
    ("facts", Unknown, "sent no facts yet", |s| s.hosts[0].facts = None),
    ("facts", Unknown, "older than", |s| s.now = at(FACTS_AGE_SECONDS)),
    ("clock", Warning, "6 s behind", |s| {
        s.hosts[0].clock_skew_seconds = Some(-6);
    }),
    ("clock", Blocking, "120 s ahead", |s| {
        s.hosts[0].clock_skew_seconds = Some(120);
    }),
    ("clock", Unknown, "not known", |s| {
        s.hosts[0].clock_skew_seconds = None;
    }),
    ("time-sync", Warning, "no time service", |s| {
        facts(s).clock_synchronised = Some(false);
    }),
    ("time-sync", Unknown, "says nothing of this", |s| {
        facts(s).clock_synchronised = None;
    }),
    ("open-attempt", Blocking, "neither committed", |s| {
        s.hosts[0].unsettled = true;
    }),
    ("journal", Blocking, "torn", |s| {
        s.hosts[0].journal_trouble = Some("torn".to_owned());
    }),
    ("drift", Warning, "50-x.conf was found", |s| {
        s.hosts[0].drift = Some(vec![
            drift(DriftKind::Behind, "/nix/store/earlier"),
            drift(DriftKind::Unit, "web.service.d/50-x.conf"),
        ]);
    }),
    ("boot-default", Warning, "the next boot brings", |s| {
        s.hosts[0].boot_default = Some(path("older"));
    }),
    ("boot-default", Unknown, "not known", |s| {
        s.hosts[0].boot_default = None;
    }),
    ("release-trusted", Blocking, "nobody signed", |s| {
        s.release.signed_by.clear();
    }),
    (
        "release-trusted",
        Blocking,
        "the signatures name SHA256:evil",
        |s| {
            s.release.signed_by = vec!["SHA256:evil".to_owned()];
        },
    ),
    ("release-trusted", Warning, "trusts the control plane", |s| {
        facts(s).release_keys = Some(Vec::new());
    }),
    ("release-trusted", Unknown, "says nothing of this", |s| {
        facts(s).release_keys = None;
    }),
    (
        "architecture",
        Blocking,
        "for x86_64-linux, and the host is aarch64-linux",
        |s| {
            facts(s).system = Some("aarch64-linux".to_owned());
        },
    ),
    ("architecture", Unknown, "says nothing of this", |s| {
        facts(s).system = None;
    }),
    ("cache", Blocking, "no cache answers; nix said: refused", |s| {
        let closure = facts(s).closure.as_mut().unwrap();
        closure.availability = Availability::Unreachable;
        closure.problem = Some("refused".to_owned());
    }),
    ("cache", Unknown, "could not be asked", |s| {
        facts(s).closure.as_mut().unwrap().availability = Availability::Unknown;
    }),
    // What the agent knows of another closure says nothing of this one.
    ("cache", Unknown, "sent no facts yet", |s| s.hosts[0].facts = None),
    ("cache", Unknown, "has not looked for the closure yet", |s| {
        facts(s).closure.as_mut().unwrap().path = path("other");
    }),
    ("cache-paths", Blocking, "in none of its caches", |s| {
        facts(s).closure.as_mut().unwrap().availability = Availability::Missing;
    }),
    ("cache-paths", Unknown, "did not answer", |s| {
        facts(s).closure.as_mut().unwrap().availability = Availability::Unreachable;
    }),
    ("nix", Blocking, "connection refused", |s| {
        facts(s).nix_problem = Some("connection refused".to_owned());
    }),
    ("nix", Unknown, "says nothing of this", |s| {
        facts(s).nix_problem = None;
    }),
    (
        "store-space",
        Blocking,
        "355 MiB are free in /nix, and the closure needs 100 MiB",
        |s| {
            room(s, Store, |store| store.free_bytes = 355 * MIB);
        },
    ),
    ("store-space", Warning, "the closure needs 100 MiB", |s| {
        room(s, Store, |store| store.free_bytes = 9000 * MIB);
    }),
    ("store-space", Unknown, "not known", |s| facts(s).closure = None),
    ("store-space", Blocking, "255 MiB are free", |s| {
        facts(s).closure = None;
        room(s, Store, |store| store.free_bytes = 255 * MIB);
    }),
    ("store-space", Blocking, "the closure needs 60000 MiB", |s| {
        facts(s).closure = None;
        s.hosts[0].plan = Some(PlanReport {
            digest: crate::digest::Digest::of_bytes(b"plan"),
            from: path("old"),
            bytes_before: 0,
            bytes_after: 0,
            bytes_new: 60_000 * MIB,
        });
    }),
    ("store-inodes", Warning, "19999 more files", |s| {
        room(s, Store, |store| store.free_inodes = 19_999);
    }),
    ("store-inodes", Blocking, "1999 more files", |s| {
        room(s, Store, |store| store.free_inodes = 1999);
    }),
    ("boot-space", Warning, "takes 60 MiB", |s| {
        room(s, Boot, |boot| boot.free_bytes = 119 * MIB);
    }),
    ("boot-space", Blocking, "59 MiB are free", |s| {
        room(s, Boot, |boot| boot.free_bytes = 59 * MIB);
    }),
    ("boot-space", Blocking, "takes 80 MiB", |s| {
        facts(s).closure = None;
        room(s, Boot, |boot| boot.free_bytes = 79 * MIB);
    }),
    ("boot-space", Unknown, "says nothing of this", |s| {
        facts(s).filesystems = None;
    }),
    ("state-space", Warning, "255 MiB", |s| {
        room(s, NixState, |state| state.free_bytes = 255 * MIB);
    }),
    ("state-space", Blocking, "31 MiB", |s| {
        room(s, State, |state| state.free_bytes = 31 * MIB);
    }),
    ("state-space", Unknown, "says nothing of this", |s| {
        facts(s).filesystems = Some(Vec::new());
    }),
    ("read-only", Blocking, "mounted read-only", |s| {
        room(s, Boot, |boot| boot.read_only = true);
    }),
    ("memory", Warning, "255 MiB of 4096 MiB", |s| {
        facts(s).memory.as_mut().unwrap().available_bytes = 255 * MIB;
    }),
    ("memory", Blocking, "63 MiB", |s| {
        facts(s).memory.as_mut().unwrap().available_bytes = 63 * MIB;
    }),
    ("memory", Unknown, "says nothing of this", |s| {
        facts(s).memory = None;
    }),
    ("pressure", Warning, "20 % of the last minute for memory", |s| {
        facts(s).pressure.as_mut().unwrap().memory = 201;
    }),
    ("pressure", Warning, "for disks", |s| {
        facts(s).pressure.as_mut().unwrap().io = 201;
    }),
    ("pressure", Warning, "for processors", |s| {
        facts(s).pressure.as_mut().unwrap().cpu = 701;
    }),
    ("pressure", Unknown, "says nothing of this", |s| {
        facts(s).pressure = None;
    }),
    ("load", Warning, "its load is 8 on 2", |s| {
        facts(s).load.as_mut().unwrap().five_minutes = 801;
    }),
    ("systemd", Warning, "still starts", |s| {
        facts(s).systemd.as_mut().unwrap().state = "starting".to_owned();
    }),
    ("systemd", Blocking, "shutting down", |s| {
        facts(s).systemd.as_mut().unwrap().state = "stopping".to_owned();
    }),
    ("systemd", Blocking, "emergency", |s| {
        facts(s).systemd.as_mut().unwrap().state = "maintenance".to_owned();
    }),
    ("systemd", Unknown, "systemd says offline", |s| {
        facts(s).systemd.as_mut().unwrap().state = "offline".to_owned();
    }),
    ("systemd", Unknown, "says nothing of this", |s| {
        facts(s).systemd = None;
    }),
    ("failed-units", Warning, "a.service, b.service", |s| {
        facts(s).systemd.as_mut().unwrap().failed_units =
            vec!["a.service".to_owned(), "b.service".to_owned()];
    }),
    ("generations", Warning, "101 generations", |s| {
        facts(s).generations = Some(101);
    }),
    ("host-keys", Warning, "ssh_host_ed25519_key", |s| {
        facts(s).readable_host_keys = Some(vec!["/etc/ssh/ssh_host_ed25519_key".to_owned()]);
    }),
    ("certificates", Warning, "expires in 13 days", |s| {
        facts(s).certificates.as_mut().unwrap()[0].expires = Some(at(14 * 24 * 3600 - 1));
    }),
    ("certificates", Warning, "has expired", |s| {
        facts(s).certificates.as_mut().unwrap()[0].expires = Some(at(0));
    }),
    ("certificates", Unknown, "no PEM", |s| {
        let certificate = &mut facts(s).certificates.as_mut().unwrap()[0];
        (certificate.expires, certificate.problem) = (None, Some("no PEM".to_owned()));
    }),
    ("backups", Warning, "the backup (dump) of shop: disk full", |s| {
        let backup = &mut facts(s).backups.as_mut().unwrap()[0];
        (backup.ok, backup.problem) = (false, Some("disk full".to_owned()));
    }),
    (
        "backups",
        Blocking,
        "it is late; the release brings migrations",
        |s| {
            facts(s).backups.as_mut().unwrap()[0].ok = false;
            plan(s, section::SCHEMAS, 1);
        },
    ),
    ("drill", Warning, "the restore drill of shop", |s| {
        facts(s).backups.as_mut().unwrap()[1].ok = false;
    }),
    ("database-quorum", Warning, "4 of 5 members run", |s| {
        facts(s).clusters = Some(vec![cluster(4, 5)]);
    }),
    ("database-quorum", Blocking, "2 of 3 members run", |s| {
        facts(s).clusters = Some(vec![cluster(3, 3), cluster(2, 3)]);
    }),
    ("database-quorum", Blocking, "no leader", |s| {
        facts(s).clusters.as_mut().unwrap()[0].members[0].leads = false;
    }),
    ("database-quorum", Unknown, "no member answered", |s| {
        facts(s).clusters.as_mut().unwrap()[0].members.clear();
    }),
    ("database-quorum", Unknown, "says nothing of this", |s| {
        facts(s).clusters = None;
    }),
];
