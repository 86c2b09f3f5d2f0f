//! How hosts stand.

use maud::{Markup, html};
use slipway_domain::StepState;
use slipway_wire::fleet::Host;

use crate::view::{self, Tone};

/// How a host stands, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    Stuck,
    Trouble,
    Offline,
    NeverSeen,
    Changing,
    Drift,
    RebootPending,
    Healthy,
    Retired,
}

impl Standing {
    /// Those of hosts in service. Lists of the API have no others.
    pub(super) const IN_SERVICE: [Self; 8] = [
        Self::Stuck,
        Self::Trouble,
        Self::Offline,
        Self::NeverSeen,
        Self::Changing,
        Self::Drift,
        Self::RebootPending,
        Self::Healthy,
    ];

    pub(super) fn of(host: &Host) -> Self {
        let state = host.step.as_ref().map(|step| step.state);
        if host.retired_at.is_some() {
            Self::Retired
        } else if state == Some(StepState::Stuck) {
            Self::Stuck
        } else if host.trouble.is_some() || host.journal_trouble.is_some() {
            Self::Trouble
        } else if host.last_seen_at.is_none() {
            Self::NeverSeen
        } else if !host.online {
            Self::Offline
        } else if state.is_some_and(StepState::is_under_way) || host.unsettled.is_some() {
            Self::Changing
        } else if host.drift.is_some() {
            Self::Drift
        } else if !host.pending_reboot.is_empty() {
            Self::RebootPending
        } else {
            Self::Healthy
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Trouble => "trouble",
            Self::Offline => "offline",
            Self::NeverSeen => "never seen",
            Self::Changing => "changing",
            Self::Drift => "drift",
            Self::RebootPending => "reboot pending",
            Self::Healthy => "healthy",
            Self::Retired => "retired",
        }
    }

    pub(super) const fn tone(self) -> Tone {
        match self {
            Self::Stuck | Self::Trouble | Self::Offline | Self::NeverSeen => Tone::Bad,
            Self::Changing => Tone::Busy,
            Self::Drift => Tone::Warn,
            Self::RebootPending => Tone::Waits,
            Self::Healthy => Tone::Good,
            Self::Retired => Tone::Idle,
        }
    }

    /// Whether a person should look at the host.
    pub(super) const fn asks_for_attention(self) -> bool {
        !matches!(self, Self::Changing | Self::Healthy | Self::Retired)
    }

    pub(super) fn badge(self) -> Markup {
        view::badge(self.tone(), self.name())
    }

    /// How many of the hosts stand so.
    pub(super) fn count<'a>(self, hosts: impl Iterator<Item = &'a Host>) -> usize {
        hosts.filter(|host| Self::of(host) == self).count()
    }
}

/// How hosts stand, as a bar.
pub(super) fn health<'a>(hosts: &(impl Iterator<Item = &'a Host> + Clone)) -> Markup {
    let parts = Standing::IN_SERVICE.map(|standing| {
        let n = standing.count(hosts.clone());
        (standing.tone(), standing.name(), n)
    });
    html! {
        @if parts.iter().all(|(.., n)| *n == 0) { p.faint { "No hosts." } } @else { (view::shares(&parts)) }
    }
}

/// Hosts up to which each tile has its name.
const MOST_NAMED: usize = 24;

/// Hosts as tiles, for a look at many at once.
pub(super) fn tiles(hosts: &[Host]) -> Markup {
    let named = hosts.len() <= MOST_NAMED;
    html! {
        div.tiles.named[named] {
            @for host in hosts {
                @let standing = Standing::of(host);
                a class={ "tile " (standing.tone().class()) } href={ "/hosts/" (host.name) } title={ (host.name) ": " (standing.name()) } {
                    @if named { (host.name) span.state { " " (standing.name()) } }
                    @else { span.hidden { (host.name) ": " (standing.name()) } }
                }
            }
        }
    }
}
