//! The plan of a rollout, before it begins.

use std::fmt::Write as _;

use slipway_domain::HostName;
use slipway_domain::labels::CLUSTER_LABEL;
use slipway_wire::rollout::{PlannedHost, RolloutPlan, label};

use crate::names;
use crate::output::Output;
use crate::table::{Cell, Table};
use crate::text::{clean, count};
use crate::watch;

pub(super) fn text(plan: &RolloutPlan, output: &Output) -> String {
    let waves = plan.groups.iter().flat_map(|group| &group.waves);
    let hosts: usize = waves.clone().map(|wave| wave.hosts.len()).sum();
    let mut text = format!(
        "{} to release {}: {} in {}, of which at most {} out at once\n",
        plan.environment,
        names::release(plan.release, plan.release_label.as_ref()),
        count(hosts, "host"),
        count(waves.count(), "wave"),
        plan.max_unavailable
    );
    let mut table = Table::new(&["GROUP", "AT MOST OUT", "WAVE", "HOST", "NOTE"]);
    for group in &plan.groups {
        for wave in &group.waves {
            for host in &wave.hosts {
                table.row([
                    group.name.as_str().into(),
                    Cell::maybe(group.max_unavailable.map(|most| most.to_string())),
                    watch::wave_name(wave.wave, wave.canary).into(),
                    host.host.as_str().into(),
                    Cell::maybe(note(host)),
                ]);
            }
        }
    }
    text.push_str(&table.render(output.colour, "no hosts take part"));
    if !plan.left_alone.is_empty() {
        let names: Vec<&str> = plan.left_alone.iter().map(HostName::as_str).collect();
        let _ = writeln!(
            text,
            "left alone, as the release has no closure for them: {}",
            names.join(", ")
        );
    }
    if let Some(open) = plan.open_rollout {
        let open = label(open, plan.open_rollout_number);
        let _ = writeln!(text, "it cannot begin yet: the rollout {open} is under way");
    }
    if let Some(hold) = &plan.hold {
        let _ = writeln!(text, "its hosts would fetch at once; it {}", clean(&hold.words()));
    }
    if plan.approval_required {
        text.push_str("it waits for the approval of somebody other than its author\n");
    }
    text
}

fn note(host: &PlannedHost) -> Option<String> {
    let cluster = host.cluster.as_ref().map(|of| format!("{CLUSTER_LABEL}={of}"));
    let offline = (!host.online).then(|| "offline".to_owned());
    let notes: Vec<String> = cluster.into_iter().chain(offline).collect();
    (!notes.is_empty()).then(|| notes.join(", "))
}
