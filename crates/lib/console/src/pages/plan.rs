//! What a release changes on hosts.

use maud::{Markup, html};
use slipway_domain::host_plan::{HostPlan, PlanEntry, PlanSection, PlannedChange, section};
use slipway_text::number::{bytes, count, listed};
use slipway_wire::plan::{SharedPlan, UnplannedHost};

use crate::view;

/// Entries of a section that are shown at once; the others are behind a fold.
const MOST_SHOWN: usize = 15;
/// Hosts that are named in one line.
const MOST_NAMED: usize = 12;

/// The plans of groups of equal hosts.
pub(super) fn shared(plans: &[SharedPlan], unknown: &[UnplannedHost]) -> Markup {
    html! {
        @if plans.is_empty() { p.empty { "No host has fetched it yet, so it is not known what it changes." } }
        @for shared in plans {
            @let names: Vec<&str> = shared.hosts.iter().map(|host| host.host.as_str()).collect();
            article.plan {
                h3 { (listed(&names, MOST_NAMED)) " " span.faint { "plan " code title=(shared.digest) { (shared.digest.short()) } } }
                @if let Some(host) = shared.hosts.first() {
                    p.faint { "closure " (bytes(host.report.bytes_before)) " → " (bytes(host.report.bytes_after)) ", "
                        (bytes(host.report.bytes_new)) " new there" }
                }
                @match &shared.plan {
                    Some(plan) => (sections(plan)),
                    None => p.faint { "Its entries are not kept here: it is one of many different plans." },
                }
            }
        }
        @if !unknown.is_empty() {
            @let names: Vec<&str> = unknown.iter().map(|host| host.host.as_str()).collect();
            p.faint { "Not known yet: " (listed(&names, MOST_NAMED)) }
        }
    }
}

fn sections(plan: &HostPlan) -> Markup {
    html! {
        @if plan.sections.is_empty() { p { "Nothing that a plan looks at changes." } }
        @for (name, found) in plan.in_order() { (one_section(name, found)) }
    }
}

fn one_section(name: &str, found: &PlanSection) -> Markup {
    let weighty = matches!(name, section::REBOOT | section::INHIBITORS | section::SCHEMAS);
    // What was only built again says little, and there may be hundreds.
    let (rebuilt, told): (Vec<&PlanEntry>, Vec<&PlanEntry>) = found
        .entries
        .iter()
        .partition(|entry| entry.change == PlannedChange::Rebuilt);
    let cut = found.cut.as_ref().map_or(0, |cut| cut.entries);
    html! {
        section.changes.weighty[weighty] {
            h4 { (view::words(section::title(name))) " " span.faint { (found.count()) } }
            ul { @for entry in told.iter().take(MOST_SHOWN) { (line(entry)) } }
            @if told.len() > MOST_SHOWN {
                details { summary { (told.len() - MOST_SHOWN) " more" } ul { @for entry in told.iter().skip(MOST_SHOWN) { (line(entry)) } } }
            }
            @if !rebuilt.is_empty() {
                details { summary { (count(rebuilt.len(), "package")) " built again with the same version" }
                    ul { @for entry in &rebuilt { (line(entry)) } } }
            }
            @if cut > 0 { p.faint { "and " (cut) " that were too many to keep; the plan's digest covers them" } }
        }
    }
}

fn line(entry: &PlanEntry) -> Markup {
    let name = view::words(&entry.name);
    html! {
        li class=(entry.change.as_str()) {
            @match entry.change {
                PlannedChange::Added => { span.sign { "+" } span.hidden { "added" } }
                PlannedChange::Removed => { span.sign { "−" } span.hidden { "removed" } }
                PlannedChange::Changed => { span.sign { "~" } span.hidden { "changed" } }
                PlannedChange::Rebuilt => { span.sign { "=" } span.hidden { "rebuilt" } }
                other => span.verb { (other.as_str()) },
            }
            " " code { (name) }
            @match (&entry.before, &entry.after) {
                (Some(before), Some(after)) => { " " span.before { (view::words(before)) } " → " span.after { (view::words(after)) } }
                (Some(one), None) | (None, Some(one)) => { " " (view::words(one)) }
                (None, None) => {}
            }
            @if let Some(why) = &entry.why { span.faint { " (" (view::words(why)) ")" } }
        }
    }
}
