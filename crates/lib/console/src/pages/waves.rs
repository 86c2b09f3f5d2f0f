//! The picture of a rollout: groups, waves and hosts, as they stand.

use maud::{Markup, html};
use slipway_domain::StepState;
use slipway_text::number::count;
use slipway_wire::rollout::{RolloutPlan, Step};

use crate::view::{self, Tone};

/// Hosts of a wave up to which each is shown with its name.
const MOST_NAMED: usize = 24;

/// How the hosts of a rollout stand, in the order of a host's way.
pub(super) fn progress(steps: &[Step]) -> Markup {
    use StepState as S;
    let of = |wanted: &[S]| steps.iter().filter(|step| wanted.contains(&step.state)).count();
    view::shares(&[
        (Tone::Good, "committed", of(&[S::Committed])),
        (
            Tone::Busy,
            "under way",
            of(&[S::Activating, S::Verifying, S::Verified]),
        ),
        (Tone::Busy, "fetching", of(&[S::Staging])),
        (Tone::Waits, "fetched", of(&[S::Staged])),
        (Tone::Waits, "waiting", of(&[S::Waiting])),
        (Tone::Warn, "going back", of(&[S::Reverting])),
        (Tone::Warn, "back", of(&[S::Reverted])),
        (Tone::Bad, "stuck", of(&[S::Stuck])),
        (Tone::Idle, "skipped", of(&[S::Skipped])),
    ])
}

/// The waves, one row each.
pub(super) fn waves(steps: &[Step]) -> Markup {
    let mut rows: Vec<(u32, u32, bool, Vec<&Step>)> = Vec::new();
    for step in steps {
        match rows
            .iter_mut()
            .find(|(group, wave, ..)| (*group, *wave) == (step.group, step.wave))
        {
            Some((.., of)) => of.push(step),
            None => rows.push((step.group, step.wave, step.canary, vec![step])),
        }
    }
    rows.sort_by_key(|(group, wave, ..)| (*group, *wave));
    let groups = rows.iter().map(|(group, ..)| *group).max().unwrap_or_default() > 0;
    html! {
        ol.waves {
            @for (group, wave, canary, of) in &rows {
                li class={ "wave stage-" (stage(of)) } {
                    div.wave-name {
                        strong { @if *canary { "Canary" } @else { "Wave " (wave) } }
                        @if groups { span.faint { " group " (group + 1) } }
                        span.faint { " " (count(of.len(), "host")) }
                    }
                    (hosts(of))
                }
            }
        }
    }
}

/// How a wave stands, for the colour of its edge: a wave that is over is good only if its hosts have the release.
fn stage(steps: &[&Step]) -> &'static str {
    use StepState as S;
    let any = |is: fn(StepState) -> bool| steps.iter().any(|step| is(step.state));
    if any(|state| state == S::Stuck) {
        "bad"
    } else if any(StepState::is_under_way) {
        "now"
    } else if !steps.iter().all(|step| step.state.is_settled()) {
        "later"
    } else if any(|state| state == S::Reverted) {
        "back"
    } else if any(|state| state == S::Committed) {
        "done"
    } else {
        "skipped"
    }
}

fn hosts(steps: &[&Step]) -> Markup {
    let named = steps.len() <= MOST_NAMED;
    html! {
        div.tiles.named[named] {
            @for step in steps {
                @let tone = Tone::of_step(step.state).class();
                @let state = view::spaced(step.state.as_str());
                a class={ "tile " (tone) } href={ "/hosts/" (step.host) } title={ (step.host) ": " (state) } {
                    @if named { (step.host) span.state { " " (state) } } @else { span.hidden { (step.host) ": " (state) } }
                }
            }
        }
    }
}

/// The waves that a rollout would have.
pub(super) fn preview(plan: &RolloutPlan) -> Markup {
    html! {
        ol.waves {
            @for group in &plan.groups {
                @for wave in &group.waves {
                    li.wave.stage-later {
                        div.wave-name {
                            strong { @if wave.canary { "Canary" } @else { "Wave " (wave.wave) } }
                            @if plan.groups.len() > 1 { span.faint { " " (view::words(&group.name)) } }
                            span.faint { " " (count(wave.hosts.len(), "host")) }
                        }
                        div.tiles.named {
                            @for host in wave.hosts.iter().take(200) {
                                span class={ "tile " (if host.online { "waits" } else { "bad" }) } { (host.host) @if !host.online { span.state { " offline" } } }
                            }
                            @if wave.hosts.len() > 200 { span.faint { "and " (wave.hosts.len() - 200) " more" } }
                        }
                    }
                }
            }
        }
    }
}
