//! What a release changes on hosts, for people.

use std::fmt::Write as _;

use slipway_domain::PlanReport;
use slipway_domain::host_plan::{HostPlan, PlanEntry, PlanSection, PlannedChange, section};
use slipway_wire::plan::{ReleaseHostPlans, RolloutHostPlans, SharedPlan, UnplannedHost};

use crate::names;
use crate::text::{bytes, clean, count, listed};

/// The most entries of a section that are shown.
const MOST_SHOWN: usize = 12;
/// The most hosts that are named in one line.
pub(super) const MOST_NAMED: usize = 8;

pub(super) fn of_rollout(plans: &RolloutHostPlans) -> String {
    let hosts = plans.plans.iter().map(|plan| plan.hosts.len()).sum::<usize>() + plans.unknown.len();
    let mut text = format!(
        "rollout      {}\nenvironment  {}\nrelease      {}\nstate        {}\nplan         {}\n",
        names::rollout_and_id(plans.rollout, plans.rollout_number),
        plans.environment,
        names::release_and_id(plans.release, plans.release_label.as_ref()),
        plans.state,
        plans.digest
    );
    if let Some(approved) = plans.approved {
        let _ = writeln!(text, "approved     {approved}");
    }
    let hosts_of = count(hosts, "host");
    let _ = match (hosts, plans.plans.len()) {
        (0 | 1, _) => writeln!(text, "\n{hosts_of}"),
        (_, 0) => writeln!(text, "\n{hosts_of}, and no plan is known yet"),
        (_, 1) => writeln!(text, "\n{hosts_of}, all with the same plan"),
        (_, several) => writeln!(text, "\n{hosts_of} with {several} different plans"),
    };
    shared(&mut text, &plans.plans, &plans.unknown);
    text
}

pub(super) fn of_release(plans: &ReleaseHostPlans) -> String {
    let hosts: usize = plans.plans.iter().map(|plan| plan.hosts.len()).sum();
    let mut text = format!(
        "release  {}\n",
        names::release_and_id(plans.release, plans.release_label.as_ref())
    );
    if hosts == 0 {
        text.push_str(
            "no host has fetched it yet, so nothing is known of what it changes: start a rollout\n",
        );
    }
    shared(&mut text, &plans.plans, &plans.unknown);
    text
}

fn shared(text: &mut String, plans: &[SharedPlan], unknown: &[UnplannedHost]) {
    for shared in plans {
        let names: Vec<&str> = shared.hosts.iter().map(|host| host.host.as_str()).collect();
        let _ = writeln!(
            text,
            "\n{}  (plan {})",
            listed(&names, MOST_NAMED),
            shared.digest.short()
        );
        if let Some(host) = shared.hosts.first() {
            let _ = writeln!(text, "  {}", sizes(&host.report));
        }
        match &shared.plan {
            Some(plan) => self::plan(text, plan),
            None => text.push_str(
                "  its entries are not stored, or it is one of many: slipway rollout show --plan --json\n",
            ),
        }
    }
    let offline: Vec<&str> = named(unknown, |host| !host.online);
    let waits: Vec<&str> = named(unknown, |host| host.online && host.is_fetching());
    let silent: Vec<&str> = named(unknown, |host| host.online && !host.is_fetching());
    for (hosts, why) in [
        (offline, "offline, so not known"),
        (waits, "not known yet: still to fetch"),
        (
            silent,
            "not reported: an agent from before plans, or it could not compute one",
        ),
    ] {
        if !hosts.is_empty() {
            let _ = writeln!(text, "\n{}\n  {why}", listed(&hosts, MOST_NAMED));
        }
    }
}

/// The plan of these hosts.
pub(super) fn of_hosts(text: &mut String, hosts: &[&str], of: &HostPlan) {
    let _ = writeln!(text, "\n{}", listed(hosts, MOST_NAMED));
    plan(text, of);
}

fn named(hosts: &[UnplannedHost], of: impl Fn(&UnplannedHost) -> bool) -> Vec<&str> {
    let hosts = hosts.iter().filter(|host| of(host));
    hosts.map(|host| host.host.as_str()).collect()
}

fn sizes(report: &PlanReport) -> String {
    format!(
        "closure {} -> {}, of which {} new here",
        bytes(report.bytes_before),
        bytes(report.bytes_after),
        bytes(report.bytes_new)
    )
}

fn plan(text: &mut String, plan: &HostPlan) {
    if plan.sections.is_empty() {
        text.push_str("  nothing that a plan looks at changes\n");
    }
    for (name, found) in plan.in_order() {
        section_text(text, name, found);
    }
}

fn section_text(text: &mut String, name: &str, found: &PlanSection) {
    let _ = writeln!(text, "  {} ({})", clean(section::title(name)), found.count());
    // What was only built again says little, and there may be hundreds.
    let is_rebuilt = |entry: &&PlanEntry| entry.change == PlannedChange::Rebuilt;
    let rebuilt = found.entries.iter().filter(is_rebuilt).count();
    let all_rebuilt = rebuilt == found.entries.len();
    let shown = found
        .entries
        .iter()
        .filter(|entry| all_rebuilt || !is_rebuilt(entry));
    let total = if all_rebuilt {
        rebuilt
    } else {
        found.entries.len() - rebuilt
    };
    for entry in shown.take(MOST_SHOWN) {
        let _ = writeln!(text, "    {}", line(entry));
    }
    let cut = found.cut.as_ref().map_or(0, |cut| cut.entries);
    let more = cut + total.saturating_sub(MOST_SHOWN) as u64;
    if more > 0 {
        let _ = writeln!(text, "    and {more} more");
    }
    if rebuilt > 0 && !all_rebuilt {
        let _ = writeln!(
            text,
            "    and {} built again with the same version",
            count(rebuilt, "package")
        );
    }
}

fn line(entry: &PlanEntry) -> String {
    let sign = match entry.change {
        PlannedChange::Added => "+ ",
        PlannedChange::Removed => "- ",
        PlannedChange::Changed => "",
        other => return with_why(format!("{} {}", other.as_str(), clean(&entry.name)), entry),
    };
    let mut line = format!("{sign}{}", clean(&entry.name));
    let _ = match (&entry.before, &entry.after) {
        (Some(before), Some(after)) => write!(line, ": {} -> {}", clean(before), clean(after)),
        (Some(one), None) | (None, Some(one)) => write!(line, ": {}", clean(one)),
        (None, None) => Ok(()),
    };
    with_why(line, entry)
}

fn with_why(mut line: String, entry: &PlanEntry) -> String {
    if let Some(why) = &entry.why {
        let _ = write!(line, " ({})", clean(why));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_short_and_says_what_it_leaves_out() {
        let mut plan = HostPlan::default();
        let changed = (0..20).map(|n| PlanEntry {
            before: Some("1".to_owned()),
            after: Some("2".to_owned()),
            ..PlanEntry::new(format!("a{n:02}"), PlannedChange::Changed)
        });
        let rebuilt = (0..3).map(|n| PlanEntry::new(format!("b{n}"), PlannedChange::Rebuilt));
        plan.put(section::PACKAGES, changed.chain(rebuilt));
        plan.put(
            section::UNITS,
            [PlanEntry {
                why: Some("ExecStart".to_owned()),
                ..PlanEntry::new("web.service", PlannedChange::Restart)
            }],
        );
        plan.put("clocks", [PlanEntry::new("tick", PlannedChange::Other)]);
        let mut text = String::new();
        super::plan(&mut text, &plan);
        assert!(
            text.starts_with("  units (1)\n    restart web.service (ExecStart)\n  packages (23)\n"),
            "{text}"
        );
        assert!(
            text.contains("    a11: 1 -> 2\n    and 8 more\n    and 3 packages built again"),
            "{text}"
        );
        assert!(text.ends_with("  clocks (1)\n    other tick\n"), "{text}");
    }
}
