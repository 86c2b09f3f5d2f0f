//! A host with a real Nix, a real agent process on it, and a control plane that goes by the domain's own rules.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests, which show the agent's log when they fail"
)]

mod attempts;
mod collect;
mod disk;
mod door;
mod faults;
mod hooks;
mod hooks_cut;
mod plane;
mod plans;
mod printed;
mod restart;
mod rig;
mod signed;
mod signed_back;
mod token;
mod units;

use rig::AgentRig;
use slipway_domain::Strategy;

/// A dead-man's deadline in seconds that a test waits for, and that comes after the checks have passed on a busy machine.
const LATE: u32 = 20;

/// Short waits; the dead-man is far away.
fn quick() -> Strategy {
    let mut strategy = Strategy {
        bake_seconds: 1,
        ..Strategy::default()
    };
    strategy.verify.passes = 2;
    strategy.verify.interval_seconds = 1;
    strategy.verify.timeout_seconds = 5;
    strategy.limits.stage_seconds = 60;
    strategy.limits.activate_seconds = 30;
    strategy.limits.deadman_seconds = 300;
    strategy.limits.revert_seconds = 30;
    strategy
}
