//! How hosts stand.

use maud::{Markup, html};
use slipway_domain::{EnvironmentName, Standing};
use slipway_wire::fleet::Host;
use slipway_wire::standing::{Fleet, HostCount, HostStanding};

use crate::view::{self, Tone};

pub(super) fn name(standing: Standing) -> String {
    view::spaced(standing.as_str())
}

const fn tone(standing: Standing) -> Tone {
    match standing {
        Standing::Stuck | Standing::Trouble | Standing::Offline | Standing::NeverSeen => Tone::Bad,
        Standing::Changing => Tone::Busy,
        Standing::Drift => Tone::Warn,
        Standing::RebootPending => Tone::Waits,
        Standing::Healthy => Tone::Good,
    }
}

pub(super) fn badge(standing: Standing) -> Markup {
    view::badge(tone(standing), &name(standing))
}

/// How a host stands. One that is retired stands nowhere.
pub(super) fn of(host: &Host) -> Markup {
    if host.retired_at.is_some() {
        view::badge(Tone::Idle, "retired")
    } else {
        badge(host.standing())
    }
}

/// How many hosts stand so: of an environment, or of all.
pub(super) fn count(fleet: &Fleet, environment: Option<&EnvironmentName>, standing: Standing) -> u32 {
    let is_of = |count: &&HostCount| {
        count.standing == standing && environment.is_none_or(|name| count.environment == *name)
    };
    fleet.counts.iter().filter(is_of).map(|count| count.hosts).sum()
}

/// How the hosts of an environment stand, as a bar.
pub(super) fn health(fleet: &Fleet, environment: &EnvironmentName) -> Markup {
    let parts = Standing::ALL.iter().map(|standing| {
        let n = count(fleet, Some(environment), *standing) as usize;
        (tone(*standing), name(*standing), n)
    });
    let parts: Vec<(Tone, String, usize)> = parts.collect();
    html! {
        @if parts.iter().all(|(.., n)| *n == 0) { p.faint { "No hosts." } } @else { (view::shares(&parts)) }
    }
}

/// Hosts up to which each tile has its name.
const MOST_NAMED: usize = 24;
/// The most tiles of a page: it stays below 200 KB.
const MOST_TILES: usize = 1000;

/// Hosts as tiles, for a look at many at once.
pub(super) fn tiles(hosts: &[HostStanding]) -> Markup {
    let named = hosts.len() <= MOST_NAMED;
    html! {
        div.tiles.named[named] {
            @for host in hosts.iter().take(MOST_TILES) {
                @let name = name(host.standing);
                a class={ "tile " (tone(host.standing).class()) } href={ "/hosts/" (host.name) } title={ (host.name) ": " (name) } {
                    @if named { (host.name) span.state { " " (name) } }
                    @else { span.hidden { (host.name) ": " (name) } }
                }
            }
        }
        @if hosts.len() > MOST_TILES { p.faint { "and " (hosts.len() - MOST_TILES) " more" } }
    }
}
