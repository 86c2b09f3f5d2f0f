//! What differs between two releases, or between a release and what runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;
use slipway_domain::host_plan::HostPlan;
use slipway_domain::{HostName, ReleaseId, ReleaseRef, StorePath};
use slipway_wire::release::{Release, ReleaseLabel};

use super::plan;
use crate::CliFailure;
use crate::context::Context;
use crate::table::{Cell, Table};
use crate::text::{clean, count};

/// What differs.
#[derive(Debug, Serialize)]
struct ReleaseDiff {
    /// The release that is compared with; none where that is what runs.
    from: Option<ReleaseId>,
    to: ReleaseId,
    /// Both as people say them.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_label: Option<ReleaseLabel>,
    to_label: ReleaseLabel,
    /// Hosts that only the second has.
    added: BTreeMap<HostName, StorePath>,
    /// Hosts that only the first has. Not told of what runs.
    removed: BTreeMap<HostName, StorePath>,
    changed: Vec<ChangedHost>,
    /// Hosts with the same closure in both.
    unchanged: Vec<HostName>,
}

#[derive(Debug, Serialize)]
struct ChangedHost {
    host: HostName,
    before: StorePath,
    after: StorePath,
    /// What the change from the one to the other is, if its agent ever computed it.
    plan: Option<HostPlan>,
}

pub(super) async fn run(
    context: &Context,
    first: &ReleaseRef,
    second: Option<&ReleaseRef>,
) -> Result<(), CliFailure> {
    let client = context.client()?;
    let (from, to) = second.map_or((None, first), |second| (Some(first), second));
    let to = client.release(to).await?;
    let from = match from {
        Some(from) => Some(client.release(from).await?),
        None => None,
    };
    let (from_label, to_label) = (from.as_ref().map(Release::label), to.label());
    let (to, after) = (to.id, to.closures);
    let (from, before) = from.map(|from| (from.id, from.closures)).unzip();
    let before = if let Some(before) = before {
        before
    } else {
        let hosts = client.all_hosts(None).await?.into_iter();
        let hosts = hosts.filter(|host| after.contains_key(&host.name));
        hosts.filter_map(|host| Some((host.name, host.live?))).collect()
    };
    let known = client.release_host_plans(to).await?;
    let mut plans: BTreeMap<HostName, (StorePath, Option<HostPlan>)> = BTreeMap::new();
    for shared in known.plans {
        for host in shared.hosts {
            plans.insert(host.host, (host.report.from, shared.plan.clone()));
        }
    }
    let mut diff = ReleaseDiff {
        from,
        to,
        from_label,
        to_label,
        added: BTreeMap::new(),
        removed: BTreeMap::new(),
        changed: Vec::new(),
        unchanged: Vec::new(),
    };
    let names: BTreeSet<&HostName> = before.keys().chain(after.keys()).collect();
    for name in names.into_iter().cloned() {
        match (before.get(&name), after.get(&name)) {
            (Some(old), Some(new)) if old == new => diff.unchanged.push(name),
            (Some(old), Some(new)) => {
                let plan = plans
                    .remove(&name)
                    .filter(|(from, _)| from == old)
                    .and_then(|(_, plan)| plan);
                diff.changed.push(ChangedHost {
                    host: name,
                    before: old.clone(),
                    after: new.clone(),
                    plan,
                });
            }
            (None, Some(new)) => {
                diff.added.insert(name, new.clone());
            }
            (Some(old), None) => {
                diff.removed.insert(name, old.clone());
            }
            (None, None) => {}
        }
    }
    let output = context.output;
    output.show(&diff, || text(&diff, output.colour))
}

fn text(diff: &ReleaseDiff, colour: bool) -> String {
    let from = diff
        .from_label
        .as_ref()
        .map_or_else(|| "what runs".to_owned(), |from| clean(&from.to_string()));
    let mut text = format!("{from} -> {}\n", clean(&diff.to_label.to_string()));
    let mut table = Table::new(&["HOST", "CHANGE", "BEFORE", "AFTER"]);
    for (host, closure) in &diff.added {
        table.row([
            host.as_str().into(),
            "added".into(),
            Cell::maybe(None::<&str>),
            closure.short().into(),
        ]);
    }
    for (host, closure) in &diff.removed {
        table.row([
            host.as_str().into(),
            "removed".into(),
            closure.short().into(),
            Cell::maybe(None::<&str>),
        ]);
    }
    for changed in &diff.changed {
        table.row([
            changed.host.as_str().into(),
            "changed".into(),
            changed.before.short().into(),
            changed.after.short().into(),
        ]);
    }
    text.push_str(&table.render(colour, "no host differs"));
    if !diff.unchanged.is_empty() {
        let _ = writeln!(text, "{} the same in both", count(diff.unchanged.len(), "host"));
    }
    let mut shown: Vec<&HostPlan> = Vec::new();
    for changed in &diff.changed {
        let Some(known) = &changed.plan else { continue };
        if shown.contains(&known) {
            continue;
        }
        shown.push(known);
        let hosts = diff
            .changed
            .iter()
            .filter(|other| other.plan.as_ref() == Some(known));
        let hosts: Vec<&str> = hosts.map(|other| other.host.as_str()).collect();
        plan::of_hosts(&mut text, &hosts, known);
    }
    let unknown = diff
        .changed
        .iter()
        .filter(|changed| changed.plan.is_none())
        .count();
    if unknown > 0 {
        let _ = writeln!(
            text,
            "\nwhat changes on {} is not known: no agent went from the one to the other",
            count(unknown, "host")
        );
    }
    text
}
