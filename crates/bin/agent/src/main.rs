//! `slipway-agent`, the agent of one host: it asks the control plane what to do, and lets the executor of
//! `slipway-attempt` do it. It must never decide by itself what the host should run, and never use the store or Redis.
//!
//! Two parts work side by side. The [`sync`] loop posts observations and receives instructions; the executor acts. They
//! share only two values: the newest instruction, and the newest view. Without the control plane the loop waits, and the
//! executor goes on. Beside them [`printed`] sends what scripts print, and nothing waits for it.

mod boot;
mod cli;
mod collect;
mod facts;
mod local;
mod plane;
mod printed;
mod revert;
mod run;
mod status;
mod supervise;
mod sync;

fn main() -> std::process::ExitCode {
    slipway_settings::forbid_core_dumps();
    cli::main()
}
