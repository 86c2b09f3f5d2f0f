//! Checks of the release, the environment and the control plane.

use super::Judgement;
use super::subject::{MANY_APPROVERS, Subject};
use crate::host_plan::section;
use crate::strategy::Canary;
use crate::{HostName, PrincipalName};

/// More changes on one host are more than a person reads.
const CHANGES_SHOWN: u64 = 2000;
/// When that is known which a host finds in the release itself.
const KNOWN_LATER: &str =
    "it is known once a rollout has fetched the release to its hosts, before any host changes";

fn names<'a>(names: impl IntoIterator<Item = &'a HostName>) -> String {
    let all: Vec<&str> = names.into_iter().map(HostName::as_str).collect();
    match all.as_slice() {
        [first, second, third, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second}, {third} and {} more", rest.len())
        }
        all => all.join(", "),
    }
}

pub(super) fn release_hosts(subject: &Subject) -> Judgement {
    let environment = &subject.environment.name;
    if subject.hosts.is_empty() {
        return Judgement::blocking(
            format!("the release has a closure for no host of {environment}"),
            "make a release of this environment's hosts",
        );
    }
    match subject.release.without_closure.as_slice() {
        [] => Judgement::passed("the release has a closure for every host"),
        missing => Judgement::warning(
            format!("the release has no closure for {}", names(missing)),
            "they stay on what they run; make a release with all hosts if they should not",
        ),
    }
}

pub(super) fn release_expiry(subject: &Subject) -> Judgement {
    let Some(expires) = subject.release.expires else {
        return Judgement::passed("the release has no manifest, so it does not expire");
    };
    let left = (expires - subject.now).num_seconds();
    if left <= 0 {
        Judgement::blocking(
            format!("the manifest expired at {}", expires.format("%Y-%m-%d %H:%M:%SZ")),
            "sign the closures again: slipway release manifest",
        )
    } else if left < 3600 {
        Judgement::warning(
            format!("the manifest expires in {} min", left / 60),
            "hosts whose turn comes later refuse it; sign the closures again",
        )
    } else {
        Judgement::passed("the manifest is good for another hour")
    }
}

pub(super) fn release_number(subject: &Subject) -> Judgement {
    match (subject.release.number, subject.release.committed_number) {
        (Some(number), Some(committed)) if number < committed => Judgement::blocking(
            format!("its manifest has number {number}, and a host has committed number {committed}"),
            "sign the closures under a new number: slipway release manifest",
        ),
        (Some(number), _) => Judgement::passed(format!("number {number} is below none that was committed")),
        (None, _) => Judgement::passed("the release has no manifest, so it has no number"),
    }
}

pub(super) fn plan_size(subject: &Subject) -> Judgement {
    let changes = subject.release.plans.iter().map(|plan| {
        let counts = plan.sections.values().map(crate::host_plan::PlanSection::count);
        counts.sum::<u64>()
    });
    match changes.max() {
        None => Judgement::unknown(
            "what changes is not known: no host has fetched the release",
            KNOWN_LATER,
        ),
        Some(most) if most > CHANGES_SHOWN => Judgement::warning(
            format!("{most} changes on one host"),
            "look whether that is meant: slipway release plan",
        ),
        Some(most) => Judgement::passed(format!("at most {most} changes on a host")),
    }
}

pub(super) fn stack_migrations(subject: &Subject) -> Judgement {
    if subject.release.plans.is_empty() {
        return Judgement::unknown(
            "whether it brings migrations is not known: no host has fetched the release",
            KNOWN_LATER,
        );
    }
    let plans = subject.release.plans.iter();
    let stacks: Vec<&str> = plans
        .flat_map(|plan| plan.entries(section::SCHEMAS))
        .map(|entry| entry.name.as_str())
        .collect();
    if stacks.is_empty() {
        Judgement::passed("the release brings no migrations")
    } else {
        Judgement::warning(
            format!("the release brings migrations: {}", stacks.join(", ")),
            "the schema stays when the host goes back: see that the former program can use it",
        )
    }
}

pub(super) fn reboot(subject: &Subject) -> Judgement {
    if subject.release.plans.is_empty() {
        return Judgement::unknown(
            "whether hosts must reboot is not known: no host has fetched the release",
            KNOWN_LATER,
        );
    }
    let needed = subject.release.plans.iter().filter(|plan| plan.needs_reboot());
    match needed.count() {
        0 => Judgement::passed("no host needs a reboot"),
        _ => Judgement::warning(
            "hosts need a reboot before all of the release runs",
            "see which: slipway release plan",
        ),
    }
}

pub(super) fn open_rollout(subject: &Subject) -> Judgement {
    subject.environment.open_rollout.as_ref().map_or_else(
        || Judgement::passed("no rollout is under way"),
        |rollout| {
            Judgement::blocking(
                format!("rollout #{rollout} is under way"),
                format!("wait for its end, or end it: slipway rollout abort {rollout}"),
            )
        },
    )
}

pub(super) fn window(subject: &Subject) -> Judgement {
    subject.environment.hold.as_ref().map_or_else(
        || Judgement::passed("a rollout may begin now"),
        |hold| {
            Judgement::warning(
                format!("rollouts {}", hold.words_of_all()),
                "a rollout that you start now waits by itself until it may go on",
            )
        },
    )
}

pub(super) fn approvers(subject: &Subject) -> Judgement {
    let environment = &subject.environment;
    if !environment.approval_required {
        return Judgement::passed("no approval is asked for");
    }
    let related = related(&environment.related);
    match environment.approvers {
        0 => Judgement::blocking(
            format!("an approval is asked for, and nobody but you could give it{related}"),
            format!(
                "have another admin make an approver; one that you make may not approve what you start. Or permit that: slipway env set {} --related-approval-allowed true",
                environment.name
            ),
        ),
        1 => Judgement::passed(format!("one other can approve{related}")),
        few @ 2..MANY_APPROVERS => Judgement::passed(format!("{few} others can approve{related}")),
        many => Judgement::passed(format!("{many} or more others can approve{related}")),
    }
}

/// Those who may not, although they have the role.
fn related(names: &[PrincipalName]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = names.iter().map(PrincipalName::as_str).collect();
    format!(
        "; not {}: one of you made the other, or a token of it",
        names.join(", nor ")
    )
}

pub(super) fn order_labels(subject: &Subject) -> Judgement {
    let order = &subject.environment.strategy.order;
    let empty: Vec<String> = order
        .iter()
        .filter(|group| !subject.hosts.iter().any(|host| group.hosts.matches(&host.labels)))
        .map(|group| group.hosts.to_string())
        .collect();
    if empty.is_empty() {
        return Judgement::passed("every group of the strategy has hosts");
    }
    Judgement::warning(
        format!("no host has {}", empty.join("; nor ")),
        "see the labels: slipway host list; change them: slipway host label",
    )
}

pub(super) fn canary_hosts(subject: &Subject) -> Judgement {
    let strategy = &subject.environment.strategy;
    let hosts = subject.names();
    let named = |canary: &Canary| match canary {
        Canary::Hosts(names) => names.clone(),
        Canary::Number(_) => Vec::new(),
    };
    let of_groups = strategy.order.iter().filter_map(|group| group.canary.as_ref());
    let missing: Vec<HostName> = [&strategy.canary]
        .into_iter()
        .chain(of_groups)
        .flat_map(named)
        .filter(|name| !hosts.contains(name.as_str()))
        .collect();
    if missing.is_empty() {
        return Judgement::passed("the canaries are there");
    }
    Judgement::blocking(
        format!(
            "the strategy names canaries that are not among its hosts: {}",
            names(&missing)
        ),
        "name others: slipway env update --strategy FILE",
    )
}

pub(super) fn out_of_service(subject: &Subject) -> Judgement {
    let environment = &subject.environment;
    let fleet = subject.hosts.len() + subject.release.without_closure.len();
    let most = environment.strategy.max_out(fleet);
    let said = || format!("earlier rollouts left {} out", names(&environment.out));
    let cure = "see them: slipway status; a host that is stuck needs a person";
    match environment.out.len() {
        0 => Judgement::passed("no host is out because of earlier rollouts"),
        out if out >= most => Judgement::blocking(format!("{}, and max_unavailable is {most}", said()), cure),
        _ => Judgement::warning(said(), cure),
    }
}

pub(super) fn workers(subject: &Subject) -> Judgement {
    match subject.plane.workers {
        0 => Judgement::blocking(
            "no worker was seen lately",
            "see on the control plane's host: systemctl status 'slipway-worker-*'",
        ),
        workers => Judgement::passed(format!("{workers} workers run")),
    }
}

pub(super) fn audit_log(subject: &Subject) -> Judgement {
    subject.plane.audit_problem.as_ref().map_or_else(
        || Judgement::passed("the audit log is whole, as far as it was checked"),
        |problem| {
            Judgement::blocking(
                format!("the audit log is not whole: {problem}"),
                "slipway audit verify, and docs/runbooks.md",
            )
        },
    )
}

pub(super) fn schema(subject: &Subject) -> Judgement {
    match subject.plane.pending_migrations {
        Some(0) => Judgement::passed("the control plane's migrations have run"),
        Some(pending) => Judgement::warning(
            format!("{pending} migrations of the control plane are still to run"),
            "slipway-api migrate",
        ),
        None => Judgement::unknown(
            "whether the control plane's migrations have run is not known",
            "look at the control plane: slipway verify",
        ),
    }
}
